"""Lists of deliveries: how their rows are checked and taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from kit.imports.values import Draft, Remark
from kit.rpc.client import Peer
from kit.vault import Vault
from sales.corrections import service as corrections
from sales.corrections.values import Opening
from sales.deliveries import bulk
from sales.imports import rules
from sales.imports.checkers import DeliveryChecker
from sales.imports.directory import people_of, places_of
from sales.imports.fields import DELIVERY_FIELDS
from sales.imports.values import Doubt, ListedDelivery, unpack_delivery


class DeliveryImporter:
    """One kind of list for the engine of imports (SAL-10, GRP-05)."""

    imports: Final = "deliveryImports"
    mappings: Final = "deliveryMappings"
    fields: Final = DELIVERY_FIELDS
    duplicate: Final = rules.ALREADY_DELIVERED

    def __init__(self, vault: Vault, gateway: Peer) -> None:
        self._vault = vault
        self._gateway = gateway

    async def prepare(self, session: AsyncSession, store_id: str, now: datetime) -> DeliveryChecker:
        """Load the stores that the list may be for, and whom they mean by the names of consultants."""
        places = await places_of(session, self._gateway, store_id)
        return DeliveryChecker(places, await people_of(session, places), now)

    async def refused(self, session: AsyncSession, drafts: Sequence[Draft]) -> Mapping[int, Remark]:
        """Refuse vehicles that were delivered anywhere in the group; never say where (GRP-01a)."""
        taken = await bulk.delivered(session, [draft.key for draft in drafts])
        return {draft.row: rules.ALREADY_DELIVERED for draft in drafts if draft.key in taken}

    async def take(
        self, session: AsyncSession, drafts: Sequence[Draft], source: str, now: datetime
    ) -> Mapping[int, Remark]:
        """Record the deliveries with their customers and data corrections; return those that somebody else has.

        Publishes DeliveryRecorded and CustomerChanged.
        """
        rows = await asyncio.to_thread(_unpacked, drafts)
        told = [(draft.store_id, listed.draft) for draft, listed in zip(drafts, rows, strict=True)]
        recorded = await bulk.record(session, self._vault, told, now)
        openings: list[Opening] = []
        people: set[UUID | None] = set()
        for draft, listed, one in zip(drafts, rows, recorded, strict=True):
            if one is not None:
                # Of whoever was known before, it is known too how he is known; of a new one once is enough.
                ask = one.new_customer and one.customer_id not in people
                people.add(one.customer_id)
                openings += [
                    _opening(draft, doubt, one, source) for doubt in listed.doubts if ask or not doubt.of_person
                ]
        await corrections.open_many(session, openings, now)
        return {draft.row: rules.ALREADY_DELIVERED for draft, one in zip(drafts, recorded, strict=True) if one is None}


def _unpacked(drafts: Sequence[Draft]) -> list[ListedDelivery]:
    return [unpack_delivery(draft.payload) for draft in drafts]


def _opening(draft: Draft, doubt: Doubt, recorded: bulk.Recorded, source: str) -> Opening:
    return Opening(
        store_id=draft.store_id,
        delivery_id=recorded.delivery_id,
        # What is missing in this delivery is nothing of the customer's other ones.
        customer_id=recorded.customer_id if doubt.of_person else None,
        field=doubt.field,
        reason=doubt.value,
        source=f"{source}/rows/{draft.row}",
    )
