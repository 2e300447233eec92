"""The event edge of data corrections: what customer care found out about a record of sales (CARE-03)."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from dealerloop.customer_care.events.v1 import events_pb2 as care
from kit.log import log
from kit.messaging.event import Event
from kit.messaging.subscription import Batch
from sales.corrections import service
from sales.corrections.values import Opening

CORRECTION_EVENTS: Final = (care.DataCorrectionRequested,)


async def handle(batch: Batch) -> None:
    """Open a correction for each request that tells something new, in any order and however often it comes."""
    requests = [
        _opening(event, event.message)
        for event in batch.events
        if isinstance(event.message, care.DataCorrectionRequested)
    ]
    # The oldest first: of one subject in one batch, the one that came up first is the one that stands.
    requests.sort(key=lambda one: one.came_up or batch.now, reverse=True)
    opened = await service.request_many(batch.session, requests, batch.now)
    log.info("correction.requested", requests=len(requests), opened=opened)


def _opening(event: Event, message: care.DataCorrectionRequested) -> Opening:
    return Opening(
        store_id=message.store_id,
        delivery_id=None,
        customer_id=UUID(message.customer_id),
        # Customer care names the customer's own field, a correction the path from the delivery.
        field=f"customer.{message.field}",
        reason=message.reason,
        source=f"stores/{message.store_id}/followUps/{message.follow_up_id}",
        came_up=event.time,
    )
