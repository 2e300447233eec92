"""What traces and metrics show of a call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import REGISTRY

from kit import telemetry
from kit.errors import DomainError
from kit.rpc.server import Call
from kit.rpc.status import PeerFailed
from tests.integration.rpc.things.edge import WornOut
from tests.integration.rpc.things.running import SERVICE, Things

METHOD = f"{SERVICE}/CreateThing"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # The process has one global provider for ever; this test has its own.
    monkeypatch.setattr(telemetry, "tracer", lambda: provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


async def _create(things: Things, error: Exception | None) -> None:
    async def during(_call: Call) -> None:
        if error is not None:
            raise error

    things.edge.during = during
    await things.create("chair")


def _of_kind(spans: InMemorySpanExporter, kind: SpanKind) -> ReadableSpan:
    (span,) = [span for span in spans.get_finished_spans() if span.kind is kind]
    return span


async def test_client_and_server_are_one_trace(things: Things, spans: InMemorySpanExporter) -> None:
    await _create(things, None)

    client, server = _of_kind(spans, SpanKind.CLIENT), _of_kind(spans, SpanKind.SERVER)
    assert server.parent is not None
    assert server.parent.span_id == client.context.span_id
    assert (server.name, server.status.status_code) == (METHOD, StatusCode.UNSET)
    assert server.attributes is not None
    assert server.attributes["rpc.grpc.status_code"] == 0


async def test_a_fault_of_ours_marks_the_span(things: Things, spans: InMemorySpanExporter) -> None:
    with pytest.raises(PeerFailed):
        await _create(things, RuntimeError("broken for 13800138000"))

    server = _of_kind(spans, SpanKind.SERVER)
    assert server.status.status_code is StatusCode.ERROR
    assert [event.name for event in server.events] == ["exception"]
    # What an error says may repeat a value, and a value may be somebody's number.
    assert "RuntimeError" in server.to_json()
    assert "13800138000" not in server.to_json()


async def test_a_refusal_is_no_fault_of_the_server(things: Things, spans: InMemorySpanExporter) -> None:
    with pytest.raises(DomainError):
        await _create(things, WornOut())

    assert _of_kind(spans, SpanKind.SERVER).status.status_code is StatusCode.UNSET


async def test_calls_are_counted_by_method_and_code(things: Things) -> None:
    def counted(code: str) -> float:
        labels = {"method": METHOD, "code": code}
        return REGISTRY.get_sample_value("dealerloop_rpc_server_seconds_count", labels) or 0

    before = [counted(code) for code in ("OK", "FAILED_PRECONDITION")]

    await _create(things, None)
    with pytest.raises(DomainError):
        await _create(things, WornOut())

    assert [counted(code) for code in ("OK", "FAILED_PRECONDITION")] == [count + 1 for count in before]
