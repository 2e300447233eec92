"""Event edge: deliveries make vehicles. One transaction per batch, idempotent, in any order."""

from __future__ import annotations

from datetime import UTC, date
from uuid import UUID

from aftersales.streams import SALES
from aftersales.vehicles import service
from aftersales.vehicles.values import Sale
from dealerloop.sales.events.v1 import events_pb2
from dealerloop.sales.v1 import deliveries_pb2
from kit.clock import Clock
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.errors import InvalidArgument
from kit.log import log
from kit.messaging.subscription import Batch, OnRewind, Subscription
from kit.rpc.client import Peer

NAME = "vehicles"
_LIST = "dealerloop.sales.v1.DeliveryService/ListDeliveriesForProjection"
_LIST_SECONDS = 600.0
_CHUNK = 500

_SCOPE = Scope.system("vehicles are brought in line with a snapshot")

EVENTS = (events_pb2.DeliveryRecorded, events_pb2.DeliveryCorrected, events_pb2.DeliveryCancelled)


class FactsUnreadable(InvalidArgument):
    """An event holds no readable delivery; it goes to the dead letters."""

    reason = "DELIVERY_FACTS_UNREADABLE"


async def handle(batch: Batch) -> None:
    """Take a batch of deliveries into the vehicles."""
    sales = [sale_of(event.message.delivery) for event in batch.events if isinstance(event.message, EVENTS)]
    await service.take_sales(batch.session, sales, batch.now)


def subscription(on_rewind: OnRewind) -> Subscription:
    """Return the subscription to deliveries."""
    return Subscription(
        name=NAME,
        stream=SALES.name,
        events=EVENTS,
        handle=handle,
        source_service=SALES.service,
        on_rewind=on_rewind,
        gather_seconds=0.2,
    )


def sale_of(facts: deliveries_pb2.DeliveryFacts) -> Sale:
    """Read the part of a delivery that concerns the vehicle. Raises FactsUnreadable, which no retry would mend."""
    try:
        return Sale(
            delivery_id=UUID(facts.delivery_id),
            store_id=facts.store_id,
            version=facts.version,
            vin=facts.vin,
            brand=facts.brand,
            series=facts.series,
            model=facts.model,
            delivery_date=date.fromisoformat(facts.delivery_date),
            invoice_date=date.fromisoformat(facts.invoice_date),
            odometer_km=facts.odometer_km,
            cancelled=facts.cancelled,
            record_time=facts.record_time.ToDatetime(tzinfo=UTC),
        )
    except (ValueError, OverflowError) as error:
        raise FactsUnreadable("the event's delivery has an id or a day that is none") from error


async def reconcile(database: Database, sales: Peer, clock: Clock) -> int:
    """Bring the vehicles in line with the snapshot of sales, from nothing or after sales was restored from a backup.

    Versions lower than the known ones are right then, and deliveries that sales does not know any more go. What was
    recorded since the start is left alone: it is newer than the snapshot. Returns how many deliveries were read.
    """
    started = clock.now()
    seen: set[UUID] = set()
    chunk: list[Sale] = []
    request = deliveries_pb2.ListDeliveriesForProjectionRequest()
    response = deliveries_pb2.ListDeliveriesForProjectionResponse
    async for answer in sales.stream(_LIST, request, response, timeout=_LIST_SECONDS):
        chunk.append(sale_of(answer.delivery))
        seen.add(chunk[-1].delivery_id)
        if len(chunk) == _CHUNK:
            await _take(database, chunk, clock)
            chunk = []
    await _take(database, chunk, clock)
    async with database.transaction(_SCOPE) as session:
        await service.forget_sales(session, seen, started, clock.now())
    log.info("vehicles.reconciled", deliveries=len(seen))
    return len(seen)


async def _take(database: Database, chunk: list[Sale], clock: Clock) -> None:
    async with database.transaction(_SCOPE) as session:
        await service.take_sales(session, chunk, clock.now(), rewound=True)
