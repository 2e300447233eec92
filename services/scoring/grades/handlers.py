"""The event edge of grades."""

from __future__ import annotations

from datetime import datetime

from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from dealerloop.customer_care.events.v1.projections_pb2 import (
    ListResponsesForProjectionRequest,
    ListResponsesForProjectionResponse,
)
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.messaging.subscription import Batch, OnRewind, Subscription
from kit.rpc.client import Peer
from scoring.grades.service import Counting
from scoring.streams import CARE

_CHUNK = 500
_SNAPSHOT_SECONDS = 600.0


def subscription(counting: Counting, on_rewind: OnRewind) -> Subscription:
    """What live grades are built from."""

    async def on_responses(batch: Batch) -> None:
        told = (event.message for event in batch.events)
        submitted = [message for message in told if isinstance(message, ResponseSubmitted)]
        await counting.count(batch.session, submitted, batch.now)

    return Subscription(
        name="live-grades",
        stream=CARE,
        source_service="customer_care",
        events=(ResponseSubmitted,),
        handle=on_responses,
        on_rewind=on_rewind,
    )


async def rebuild(database: Database, care: Peer, counting: Counting, now: datetime) -> None:
    """Counts every response anew from customer care, after its database was restored.

    A transaction for each chunk: the server has locks for tens of thousands of responses, not for all. What breaks off
    is begun anew, and counting twice changes nothing.
    """
    method = "dealerloop.customer_care.events.v1.ResponseProjectionService/ListResponsesForProjection"
    stream = care.stream(
        method, ListResponsesForProjectionRequest(), ListResponsesForProjectionResponse, timeout=_SNAPSHOT_SECONDS
    )
    chunk: list[ResponseSubmitted] = []

    async def count() -> None:
        async with database.transaction(Scope.system("rebuild of live grades")) as session:
            await counting.count(session, chunk, now, as_is=True)
        chunk.clear()

    async for reply in stream:
        chunk.append(reply.response)
        if len(chunk) == _CHUNK:
            await count()
    if chunk:
        await count()
