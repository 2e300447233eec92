"""Logs: JSON lines that belong to a trace and repeat no row values."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from kit import log as logs


@pytest.fixture
def configured(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    before = logging.getLogger().handlers[:], logging.getLogger().level
    logs.configure("sales", "info")
    yield capsys
    structlog.reset_defaults()
    logging.getLogger().handlers[:], _ = before
    logging.getLogger().setLevel(before[1])


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in captured.readouterr().out.splitlines()]


def test_an_event_is_one_json_line_with_service_and_trace(configured: pytest.CaptureFixture[str]) -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("call") as span:
        structlog.get_logger().info("delivery.recorded", delivery_id=7)
        structlog.get_logger().debug("too.quiet")

    (line,) = lines(configured)
    assert (line["event"], line["service"], line["delivery_id"], line["level"]) == (
        "delivery.recorded",
        "sales",
        7,
        "info",
    )
    assert line["trace_id"] == f"{span.get_span_context().trace_id:032x}"


def test_messages_of_libraries_have_the_same_form_and_the_chatty_ones_are_quiet(
    configured: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger("some.library").warning("it is %s", "late")
    logging.getLogger("uvicorn.error").info("started")

    (line,) = lines(configured)
    assert (line["event"], line["logger"], line["service"]) == ("it is late", "some.library", "sales")


@pytest.mark.parametrize(
    "message",
    [
        "duplicate key value\nDETAIL:  Key (phone)=(13800138000) already exists.",
        "invalid input for query argument $1: '13800138000' (an integer is required)",
        'invalid input syntax for type integer: "13800138000"',
    ],
)
def test_values_that_the_database_repeats_are_hidden(configured: pytest.CaptureFixture[str], message: str) -> None:
    structlog.get_logger().error("edge.failed", exc_info=ValueError(message))

    (line,) = lines(configured)
    assert "ValueError" in str(line["exception"])
    assert "13800138000" not in str(line)
