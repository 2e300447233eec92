"""One trace leads from whoever told an event to whoever handled it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from kit import telemetry
from kit.messaging.subscription import Batch
from tests.support.pond import Catcher, Pond, drain

CALLER = "00-{trace}-00f067aa0ba902b7-{flags}"
FIRST, SECOND = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What is exported; the provider is the process's and stays."""
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


async def throw_in_trace(pond: Pond, pebble: str, trace_id: str, flags: str = "01") -> None:
    context = telemetry.extract({"traceparent": CALLER.format(trace=trace_id, flags=flags)})
    with telemetry.tracer().start_as_current_span("caller", context=context):
        await pond.throw(pebble)


async def test_a_single_event_is_handled_in_the_trace_of_its_teller(pond: Pond, spans: InMemorySpanExporter) -> None:
    await throw_in_trace(pond, "a", FIRST)
    await pond.publish_all()
    consumer = pond.consumer(Catcher())
    await drain(consumer)
    await consumer.close()

    told, handled = spans.get_finished_spans()
    assert (told.name, handled.name) == ("caller", "handle pond-catcher")
    assert f"{handled.context.trace_id:032x}" == FIRST
    assert handled.parent is not None
    assert handled.parent.span_id == told.context.span_id


async def test_a_failure_is_noted_by_its_kind_and_without_its_text(pond: Pond, spans: InMemorySpanExporter) -> None:
    class Clumsy(Catcher):
        async def handle(self, batch: Batch) -> None:
            raise ValueError(f"cannot read {batch.events[0].message}")

    await throw_in_trace(pond, "13800138000", FIRST)
    await pond.publish_all()
    consumer = pond.consumer(Clumsy())
    await drain(consumer)
    await consumer.close()

    (handled,) = [span for span in spans.get_finished_spans() if span.name == "handle pond-catcher"]
    assert handled.status.status_code is trace.StatusCode.ERROR
    assert "ValueError" in handled.to_json()
    assert "13800138000" not in handled.to_json()


async def test_a_batch_has_links_to_all_who_told_its_events(pond: Pond, spans: InMemorySpanExporter) -> None:
    await throw_in_trace(pond, "a", FIRST)
    await throw_in_trace(pond, "b", SECOND)
    await throw_in_trace(pond, "unsampled", "c" * 32, flags="00")
    await pond.publish_all()
    consumer = pond.consumer(Catcher())
    await drain(consumer)
    await consumer.close()

    handled = [span for span in spans.get_finished_spans() if span.name == "handle pond-catcher"]
    # Whether a batch of its own trace is sampled is up to the provider; when it is, it has the links.
    for span in handled:
        assert [f"{link.context.trace_id:032x}" for link in span.links] == [FIRST, SECOND]
