"""Trace context in headers, and metrics that are made once."""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

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


def test_a_metric_is_made_once_and_found_again() -> None:
    first = telemetry.counter("kit_test_total", "Counted in a test.", ("kind",))

    assert telemetry.counter("kit_test_total", "Counted in a test.", ("kind",)) is first
    assert telemetry.gauge("kit_test_depth", "A depth.") is telemetry.gauge("kit_test_depth", "A depth.")
