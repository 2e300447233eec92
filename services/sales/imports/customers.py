"""Lists of customers: how their rows are checked and taken over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.sales.events.v1 import events_pb2
from kit.imports.values import UNCHANGED, Draft, Remark
from kit.messaging import outbox
from kit.rpc.client import Peer
from kit.vault import Vault
from sales.corrections import service as corrections
from sales.corrections.values import Opening
from sales.customers import bulk
from sales.customers.values import Buyer
from sales.imports import rules
from sales.imports.checkers import CustomerChecker
from sales.imports.directory import places_of
from sales.imports.fields import CUSTOMER_FIELDS
from sales.imports.values import ListedCustomer, unpack_customer


class CustomerImporter:
    """One kind of list for the engine of imports (GRP-05)."""

    imports: Final = "customerImports"
    mappings: Final = "customerMappings"
    fields: Final = CUSTOMER_FIELDS
    # Without a key no row is the second one of it.
    duplicate: Final = rules.CUSTOMER_TWICE

    def __init__(self, vault: Vault, gateway: Peer) -> None:
        self._vault = vault
        self._gateway = gateway

    async def prepare(self, session: AsyncSession, store_id: str, _now: datetime) -> CustomerChecker:
        """Load the stores that the list may be for."""
        return CustomerChecker(await places_of(session, self._gateway, store_id))

    async def refused(self, session: AsyncSession, drafts: Sequence[Draft]) -> Mapping[int, Remark]:
        """Refuse nobody: who is known to his store already stays as he is."""
        known = await bulk.known(session, self._vault, _buyers(drafts, _unpacked(drafts)))
        return {draft.row: UNCHANGED for draft, here in zip(drafts, known, strict=True) if here}

    async def take(
        self, session: AsyncSession, drafts: Sequence[Draft], source: str, now: datetime
    ) -> Mapping[int, Remark]:
        """Record the customers whom their stores do not know, with their data corrections.

        Publishes CustomerChanged. Consents are not touched: a list asked nobody (GRP-06).
        """
        rows = _unpacked(drafts)
        found = await bulk.find_or_record(session, self._vault, _buyers(drafts, rows), now)
        new: dict[UUID, tuple[Draft, ListedCustomer]] = {}
        same: dict[int, Remark] = {}
        for draft, listed, one in zip(drafts, rows, found, strict=True):
            if one.new and one.id not in new:
                new[one.id] = draft, listed
            else:
                same[draft.row] = UNCHANGED
        await outbox.add_many(session, [_changed(one, draft) for one, (draft, _) in new.items()], now=now)
        openings = [
            Opening(draft.store_id, None, one, doubt.field, doubt.value, f"{source}/rows/{draft.row}")
            for one, (draft, listed) in new.items()
            for doubt in listed.doubts
        ]
        await corrections.open_many(session, openings, now)
        return same


def _unpacked(drafts: Sequence[Draft]) -> list[ListedCustomer]:
    return [unpack_customer(draft.payload) for draft in drafts]


def _buyers(drafts: Sequence[Draft], rows: Sequence[ListedCustomer]) -> list[tuple[str, Buyer]]:
    return [(draft.store_id, listed.buyer) for draft, listed in zip(drafts, rows, strict=True)]


def _changed(customer_id: UUID, draft: Draft) -> tuple[Message, str]:
    key = str(customer_id)
    return events_pb2.CustomerChanged(customer_id=key, store_id=draft.store_id, version=1), key
