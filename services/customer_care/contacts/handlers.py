"""The event edge of contacts."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from customer_care.contacts.service import ContactProjection, ErasedCustomer
from dealerloop.sales.events.v1 import events_pb2 as sales
from kit.messaging.subscription import Batch

CONTACT_EVENTS: Final = (sales.CustomerChanged, sales.CustomerErased)


class ContactHandlers:
    """Takes batches into the projection."""

    def __init__(self, projection: ContactProjection) -> None:
        self._projection = projection

    async def contacts(self, batch: Batch) -> None:
        """Ask once for all customers that changed; erase those that must go."""
        changed = {
            event.message.customer_id for event in batch.events if isinstance(event.message, sales.CustomerChanged)
        }
        erased = [
            ErasedCustomer(UUID(event.message.customer_id), event.message.store_id, event.message.version)
            for event in batch.events
            if isinstance(event.message, sales.CustomerErased)
        ]
        if changed:
            await self._projection.refresh(batch.session, changed)
        if erased:
            await self._projection.erase(batch.session, erased)
