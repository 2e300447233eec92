"""Joins the trace of a handler to the traces of those who told the events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace

from kit import telemetry
from kit.messaging.event import TRACE_PARENT, Event

_MOST_LINKS: Final = 32
_SAMPLED: Final = "-01"


@contextmanager
def consuming(durable: str, events: Sequence[Event]) -> Iterator[None]:
    """A span around the handling: in the producer's trace for one event, with links to the producers for a batch."""
    # Only what was sampled has anything to link to; most events are not, and cost nothing here.
    traced = [event for event in events if event.headers.get(TRACE_PARENT, "").endswith(_SAMPLED)]
    contexts = [telemetry.extract(event.headers) for event in traced[:_MOST_LINKS]]
    parent = contexts[0] if len(events) == 1 and contexts else None
    with telemetry.work_span(
        f"handle {durable}",
        trace.SpanKind.CONSUMER,
        parent=parent,
        links=[trace.Link(trace.get_current_span(context).get_span_context()) for context in contexts],
        attributes={"messaging.system": "nats", "messaging.batch.message_count": len(events)},
    ):
        yield
