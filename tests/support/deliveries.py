"""Builders of deliveries: valid unless a test says otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from dealerloop.sales.events.v1 import events_pb2
from dealerloop.sales.v1 import customers_pb2, deliveries_pb2
from dealership import vin

STORE = "bj-01"
OTHER_STORE = "sh-01"
NOW = datetime(2026, 5, 20, 4, 0, tzinfo=UTC)
DELIVERED = datetime(2026, 5, 20, 2, 30, tzinfo=UTC)
PHONE = "13800138000"


def vin_of(number: int) -> str:
    """A valid Chinese VIN, another for each number."""
    draft = f"LJNTGUBS0{number:08d}"
    return draft[: vin.CHECK_POSITION] + vin.check_digit(draft) + draft[vin.CHECK_POSITION + 1 :]


def customer(**changes: Any) -> customers_pb2.Customer:
    """A buyer."""
    return customers_pb2.Customer(**{"display_name": "王小明", "phone": PHONE} | changes)


def delivery(number: int = 1, **changes: Any) -> deliveries_pb2.Delivery:
    """A Paladin handed over this morning, store time."""
    fields: dict[str, Any] = {
        "vin": vin_of(number),
        "brand": "Nissan",
        "series": "Paladin",
        "model": "Paladin 2.5 4WD",
        "customer": customer(),
        "consultant": f"stores/{STORE}/staff/li-lei",
        "delivery_time": DELIVERED,
        "odometer_km": 12,
    }
    return deliveries_pb2.Delivery(**fields | changes)


def facts(number: int = 1, **changes: Any) -> deliveries_pb2.DeliveryFacts:
    """What sales tells of the delivery with this number."""
    fields: dict[str, Any] = {
        "delivery_id": str(UUID(int=number)),
        "store_id": STORE,
        "version": 1,
        "vin": vin_of(number),
        "brand": "Nissan",
        "series": "Paladin",
        "model": "Paladin 2.5 4WD",
        "customer_id": str(UUID(int=1000 + number)),
        "consultant_id": "li-lei",
        "delivery_time": DELIVERED,
        "delivery_date": "2026-05-20",
        "invoice_date": "2026-05-20",
        "odometer_km": 12,
        "record_time": NOW,
    }
    return deliveries_pb2.DeliveryFacts(**fields | changes)


def recorded(number: int = 1, **changes: Any) -> events_pb2.DeliveryRecorded:
    """The event of a recorded delivery."""
    told = facts(number, **changes)
    return events_pb2.DeliveryRecorded(delivery_id=told.delivery_id, delivery=told)


def cancelled(number: int = 1, **changes: Any) -> events_pb2.DeliveryCancelled:
    """The event of a cancelled delivery."""
    told = facts(number, **{"version": 2, "cancelled": True} | changes)
    return events_pb2.DeliveryCancelled(delivery_id=told.delivery_id, delivery=told)


def corrected(number: int = 1, **changes: Any) -> events_pb2.DeliveryCorrected:
    """The event of a corrected delivery."""
    told = facts(number, **{"version": 2} | changes)
    return events_pb2.DeliveryCorrected(delivery_id=told.delivery_id, delivery=told)


class BeijingStore:
    """As much of a store as the rules ask for; local time is eight hours ahead of UTC."""

    id = STORE

    def local_date(self, instant: datetime) -> date:
        """Its day at an instant."""
        from zoneinfo import ZoneInfo

        return instant.astimezone(ZoneInfo("Asia/Shanghai")).date()
