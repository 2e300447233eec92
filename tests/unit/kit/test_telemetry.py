"""Trace context in headers, and metrics that are made once."""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from kit import telemetry


def test_the_trace_travels_in_the_headers() -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("call") as span:
        headers = telemetry.inject({"ce-id": "1"})
        assert telemetry.trace_id() == f"{span.get_span_context().trace_id:032x}"

    arrived = trace.get_current_span(telemetry.extract(headers)).get_span_context()
    assert headers["ce-id"] == "1"
    assert arrived.trace_id == span.get_span_context().trace_id
    assert arrived.is_remote


def test_outside_a_trace_there_is_nothing_to_carry() -> None:
    assert telemetry.trace_id() == ""
    assert telemetry.inject() == {}
    assert not trace.get_current_span(telemetry.extract({"traceparent": "nonsense"})).get_span_context().is_valid


def test_a_failure_is_kept_though_its_trace_was_not_sampled() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0)))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")

    with tracer.start_as_current_span("call") as span:
        telemetry.keep_failure("call", ValueError("no customer 13800138000"), tracer=tracer)

    (kept,) = exporter.get_finished_spans()
    assert "ValueError" in kept.to_json()
    assert "13800138000" not in kept.to_json()
    assert kept.context is not None
    assert kept.context.trace_id == span.get_span_context().trace_id
    assert kept.status.status_code is trace.StatusCode.ERROR


def test_a_failure_in_a_sampled_trace_is_not_told_twice() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")

    with tracer.start_as_current_span("call"):
        telemetry.keep_failure("call", ValueError("broken"), tracer=tracer)

    assert [span.name for span in exporter.get_finished_spans()] == ["call"]


def test_a_metric_is_made_once_and_found_again() -> None:
    first = telemetry.counter("kit_test_total", "Counted in a test.", ("kind",))

    assert telemetry.counter("kit_test_total", "Counted in a test.", ("kind",)) is first
    assert telemetry.gauge("kit_test_depth", "A depth.") is telemetry.gauge("kit_test_depth", "A depth.")
