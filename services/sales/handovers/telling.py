"""The events of daily hand-overs, with the key that keeps those of one day in order."""

from __future__ import annotations

from datetime import date

from google.protobuf.message import Message

from dealerloop.sales.events.v1 import events_pb2
from sales.handovers.model import DailyHandover
from sales.handovers.values import Counts


def reported(handover: DailyHandover, counts: Counts) -> tuple[Message, str]:
    """The report that was just made."""
    key = _id(handover.store_id, handover.date)
    event = events_pb2.DailyHandoverReported(
        handover_id=key,
        store_id=handover.store_id,
        date=handover.date.isoformat(),
        version=handover.version,
        reported_deliveries=counts.reported,
        recorded_deliveries=counts.recorded,
        late=handover.late,
    )
    return event, key


def mismatched(handover: DailyHandover, counts: Counts) -> tuple[Message, str]:
    """Report and recorded deliveries do not agree."""
    key = _id(handover.store_id, handover.date)
    event = events_pb2.DailyHandoverMismatched(
        handover_id=key,
        store_id=handover.store_id,
        date=handover.date.isoformat(),
        reported_deliveries=counts.reported,
        recorded_deliveries=counts.recorded,
        version=handover.version,
    )
    return event, key


def missing(store_id: str, day: date, recorded: int) -> tuple[Message, str]:
    """No report had come at the cut-off."""
    key = _id(store_id, day)
    event = events_pb2.DailyHandoverMissing(
        handover_id=key, store_id=store_id, date=day.isoformat(), recorded_deliveries=recorded
    )
    return event, key


def _id(store_id: str, day: date) -> str:
    return f"{store_id}/{day.isoformat()}"
