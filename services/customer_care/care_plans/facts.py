"""What the events of the neighbours say, as values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from customer_care.care_plans.values import DeliveryState, FirstServiceState
from dealerloop.aftersales.v1 import vehicles_pb2
from dealerloop.sales.v1 import deliveries_pb2
from kit.errors import InvalidArgument

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class FactsUnreadable(InvalidArgument):
    """An event holds an id or a date that is none; no repetition will make it one."""

    reason = "FACTS_UNREADABLE"


def delivery_of(facts: deliveries_pb2.DeliveryFacts) -> DeliveryState:
    """Read a delivery. Raises FactsUnreadable."""
    try:
        return DeliveryState(
            delivery_id=UUID(facts.delivery_id),
            store_id=facts.store_id,
            version=facts.version,
            vin=facts.vin,
            series=facts.series,
            customer_id=UUID(facts.customer_id) if facts.customer_id else None,
            consultant_id=facts.consultant_id,
            delivery_date=date.fromisoformat(facts.delivery_date),
            record_time=_instant(facts.record_time),
            finance_end_date=_day(facts.finance_end_date),
            cancelled=facts.cancelled,
        )
    except ValueError as error:
        raise FactsUnreadable("a delivery cannot be read") from error


def first_service_of(facts: vehicles_pb2.FirstService) -> FirstServiceState:
    """Read a first service. Raises FactsUnreadable."""
    try:
        return FirstServiceState(
            vin=facts.vin,
            version=facts.version,
            due_date=_day(facts.due_date),
            due_km=facts.due_km,
            done_date=_day(facts.done_date),
        )
    except ValueError as error:
        raise FactsUnreadable("a first service cannot be read") from error


def visit_day(text: str) -> date:
    """Read the day of a visit. Raises FactsUnreadable."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise FactsUnreadable("a visit cannot be read") from error


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _instant(stamp: Timestamp) -> datetime:
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
