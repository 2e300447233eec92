"""The contact projection: filled from sales, read masked or in the clear, erased on request (GRP-02, GRP-06)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.care_plans.model import CarePlan
from customer_care.clients import Sales
from customer_care.complaints import erasure
from customer_care.contacts.model import NAME, PHONE, ContactRow
from customer_care.followups.model import Attempt, FollowUp
from customer_care.surveys.model import Response, Survey
from dealerloop.sales.v1 import customers_pb2
from dealership.phone import mask_name, mask_phone
from kit.errors import NotFound
from kit.vault import Vault

_AT_ONCE = 500
# "cont" in ASCII.
_LOCK = 0x636F6E74
_CHANGED = ("store_id", "version", "sealed_display_name", "sealed_phone", "phone_verified", "erased")


class ContactUnknown(NotFound):
    """Nothing is known of the customer: not told yet, or erased on request."""

    reason = "CONTACT_UNKNOWN"


class ContactView(NamedTuple):
    """Name and number, masked or in the clear as the method says."""

    display_name: str
    phone: str


class ErasedCustomer(NamedTuple):
    """A customer whose data must go."""

    customer_id: UUID
    store_id: str
    version: int


class ContactBook:
    """Reads the projection; sales is asked only for a contact in the clear that has not arrived yet."""

    def __init__(self, vault: Vault, projection: ContactProjection) -> None:
        self._vault = vault
        self._projection = projection

    async def masked(self, session: AsyncSession, customer_ids: Collection[UUID]) -> dict[UUID, ContactView]:
        """Return masked contacts by customer; unknown and erased ones are left out. One query."""
        query = select(ContactRow).where(ContactRow.customer_id.in_(customer_ids), ContactRow.erased.is_(False))
        found: dict[UUID, ContactView] = {}
        for row in await session.scalars(query):
            clear = self._open(row)
            found[row.customer_id] = ContactView(mask_name(clear.display_name), mask_phone(clear.phone))
        return found

    async def reveal(self, session: AsyncSession, customer_id: UUID | None) -> ContactView:
        """Return a contact in the clear. Raises ContactUnknown; Unavailable when sales has to be asked and is away."""
        row = await self._row(session, customer_id) if customer_id is not None else None
        if row is None:
            raise ContactUnknown("nothing is known of this customer")
        return self._open(row)

    async def knows(self, session: AsyncSession, customer_id: UUID) -> bool:
        """Say whether there is such a customer within reach. Raises Unavailable as `reveal` does."""
        return await self._row(session, customer_id) is not None

    async def _row(self, session: AsyncSession, customer_id: UUID) -> ContactRow | None:
        row = await session.get(ContactRow, customer_id)
        if row is None:
            await self._projection.refresh(session, [str(customer_id)])
            row = await session.get(ContactRow, customer_id)
        return None if row is None or row.erased else row

    def _open(self, row: ContactRow) -> ContactView:
        name, phone = row.sealed_display_name, row.sealed_phone
        return ContactView(
            self._vault.open(NAME, name) if name else "", self._vault.open(PHONE, phone) if phone else ""
        )


class ContactProjection:
    """Keeps the projection current."""

    def __init__(self, vault: Vault, sales: Sales) -> None:
        self._vault = vault
        self._sales = sales

    async def refresh(self, session: AsyncSession, customer_ids: Iterable[str]) -> None:
        """Ask sales for these customers and keep what is newer.

        Raises Unavailable when sales does not answer: the events stay where they are and come again.
        """
        wanted = sorted(set(customer_ids))
        await _lock(session)
        for start in range(0, len(wanted), _AT_ONCE):
            await self.keep(session, await self._sales.contacts(wanted[start : start + _AT_ONCE]))

    async def rebuild(self, session: AsyncSession) -> int:
        """Read every contact from sales, whose versions may have gone back; returns how many there are."""
        count = 0
        await _lock(session)
        async for contacts in self._sales.all_contacts(_AT_ONCE):
            await self.keep(session, contacts, as_is=True)
            count += len(contacts)
        return count

    async def keep(
        self, session: AsyncSession, contacts: Sequence[customers_pb2.Contact], *, as_is: bool = False
    ) -> None:
        """Keep what is newer than what is there, or everything `as_is`, encrypted; erased stays erased."""
        newest: dict[UUID, customers_pb2.Contact] = {}
        for contact in contacts:
            known = newest.get(UUID(contact.customer_id))
            if known is None or contact.version > known.version:
                newest[UUID(contact.customer_id)] = contact
        # Sorted, so that two batches lock their rows in the same order.
        rows = [self._row(customer_id, newest[customer_id]) for customer_id in sorted(newest)]
        await self._upsert(session, rows, as_is=as_is)
        await self._erase_texts(session, [row["customer_id"] for row in rows if row["erased"]])

    async def erase(self, session: AsyncSession, customers: Iterable[ErasedCustomer]) -> None:
        """Remove every personal word of these customers: the contact, notes of attempts, free text of answers."""
        newest = {one.customer_id: one for one in sorted(customers, key=lambda one: one.version)}
        rows = [_tombstone(newest[customer_id]) for customer_id in sorted(newest)]
        await self._upsert(session, rows)
        await self._erase_texts(session, [row["customer_id"] for row in rows])

    async def _upsert(self, session: AsyncSession, rows: list[dict[str, object]], *, as_is: bool = False) -> None:
        if not rows:
            return
        statement = insert(ContactRow)
        changes = {column: statement.excluded[column] for column in _CHANGED}
        # Erased for good: no version of the record brings the person back.
        newer = true() if as_is else statement.excluded.version > ContactRow.version
        newer = newer & ContactRow.erased.is_(False)
        statement = statement.on_conflict_do_update(
            index_elements=["customer_id"], set_=changes, where=newer | statement.excluded.erased
        )
        await session.execute(statement, rows)

    async def _erase_texts(self, session: AsyncSession, customer_ids: Sequence[object]) -> None:
        if not customer_ids:
            return
        deliveries = select(CarePlan.delivery_id).where(CarePlan.customer_id.in_(customer_ids))
        follow_ups = select(FollowUp.id).where(FollowUp.delivery_id.in_(deliveries))
        surveys = select(Survey.id).where(Survey.delivery_id.in_(deliveries))
        await session.execute(
            update(Attempt).where(Attempt.follow_up_id.in_(follow_ups)).values(sealed_note=None),
            execution_options={"synchronize_session": False},
        )
        await session.execute(
            update(Response).where(Response.survey_id.in_(surveys)).values(sealed_texts=None),
            execution_options={"synchronize_session": False},
        )
        await erasure.erase(session, customer_ids)

    def _row(self, customer_id: UUID, contact: customers_pb2.Contact) -> dict[str, object]:
        if contact.erased:
            return _tombstone(ErasedCustomer(customer_id, contact.store_id, contact.version))
        return {
            "customer_id": customer_id,
            "store_id": contact.store_id,
            "version": contact.version,
            "sealed_display_name": self._vault.seal(NAME, contact.display_name),
            "sealed_phone": self._vault.seal(PHONE, contact.phone),
            "phone_verified": contact.phone_verified,
            "erased": False,
        }


async def _lock(session: AsyncSession) -> None:
    # What was asked first is written first: an answer that waited must not overwrite a newer one.
    await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _tombstone(customer: ErasedCustomer) -> dict[str, object]:
    return {
        "customer_id": customer.customer_id,
        "store_id": customer.store_id,
        "version": customer.version,
        "sealed_display_name": None,
        "sealed_phone": None,
        "phone_verified": False,
        "erased": True,
    }
