"""The event edge of the sample frame."""

from __future__ import annotations

from dealerloop.sales.events.v1.events_pb2 import DeliveryCancelled, DeliveryCorrected, DeliveryRecorded
from dealerloop.sales.v1.deliveries_pb2 import (
    DeliveryFacts,
    ListDeliveriesForProjectionRequest,
    ListDeliveriesForProjectionResponse,
)
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.messaging.subscription import Batch, OnRewind, Subscription
from kit.rpc.client import Peer
from scoring.frame import service
from scoring.streams import SALES

_EVENTS = (DeliveryRecorded, DeliveryCorrected, DeliveryCancelled)
_CHUNK = 1_000
_SNAPSHOT_SECONDS = 600.0


async def on_deliveries(batch: Batch) -> None:
    """Every delivery, whatever became of it, has one row in the frame."""
    told = (event.message for event in batch.events)
    await service.keep(batch.session, [message.delivery for message in told if isinstance(message, _EVENTS)])


def subscription(on_rewind: OnRewind) -> Subscription:
    """What the frame is built from."""
    return Subscription(
        name="sample-frame",
        stream=SALES,
        source_service="sales",
        events=_EVENTS,
        handle=on_deliveries,
        on_rewind=on_rewind,
        gather_seconds=0.5,
    )


async def rebuild(database: Database, sales: Peer) -> None:
    """Takes every delivery anew from sales, after its database was restored."""
    method = "dealerloop.sales.v1.DeliveryService/ListDeliveriesForProjection"
    stream = sales.stream(
        method, ListDeliveriesForProjectionRequest(), ListDeliveriesForProjectionResponse, timeout=_SNAPSHOT_SECONDS
    )
    async with database.transaction(Scope.system("rebuild of the sample frame")) as session:
        chunk: list[DeliveryFacts] = []
        async for reply in stream:
            chunk.append(reply.delivery)
            if len(chunk) == _CHUNK:
                await service.keep(session, chunk, as_is=True)
                chunk.clear()
        if chunk:
            await service.keep(session, chunk, as_is=True)
