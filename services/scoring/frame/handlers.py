"""The event edge of the sample frame."""

from __future__ import annotations

from dealerloop.sales.events.v1.events_pb2 import DeliveryCancelled, DeliveryCorrected, DeliveryRecorded
from dealerloop.sales.v1.deliveries_pb2 import (
    ListDeliveriesForProjectionRequest,
    ListDeliveriesForProjectionResponse,
)
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.messaging.subscription import Batch, Subscription
from kit.rpc.client import Peer
from scoring.frame import service
from scoring.streams import SALES

_CHUNK = 1_000
_SNAPSHOT_SECONDS = 600.0


async def on_deliveries(batch: Batch) -> None:
    """Every delivery, whatever became of it, has one row in the frame."""
    await service.keep(batch.session, [event.message.delivery for event in batch.events])


def subscription() -> Subscription:
    """What the frame is built from."""
    return Subscription(
        name="sample-frame",
        stream=SALES,
        source_service="sales",
        events=(DeliveryRecorded, DeliveryCorrected, DeliveryCancelled),
        handle=on_deliveries,
    )


async def rebuild(database: Database, sales: Peer) -> None:
    """Takes every delivery anew from sales, after its database was restored."""
    method = "dealerloop.sales.v1.DeliveryService/ListDeliveriesForProjection"
    stream = sales.stream(
        method,
        ListDeliveriesForProjectionRequest(),
        ListDeliveriesForProjectionResponse,
        timeout=_SNAPSHOT_SECONDS,
    )
    chunk = []
    async for reply in stream:
        chunk.append(reply.delivery)
        if len(chunk) >= _CHUNK:
            await _keep(database, chunk)
            chunk = []
    await _keep(database, chunk)


async def _keep(database: Database, chunk: list) -> None:  # type: ignore[type-arg]
    if chunk:
        async with database.transaction(Scope.system("rebuild of the sample frame")) as session:
            await service.keep(session, chunk)
