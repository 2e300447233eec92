"""Use cases of customers; the caller's transaction, never a commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, false, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.sales.events.v1 import events_pb2
from kit.errors import NotFound
from kit.ids import new_id
from kit.messaging import outbox
from kit.vault import Vault
from sales.corrections import service as corrections
from sales.customers import rules
from sales.customers.model import Customer, blind, sealed
from sales.customers.values import Buyer, Person
from sales.deliveries.model import Delivery
from sales.deliveries.values import PERSON_FIELDS

_CHUNK = 500


class CustomerNotFound(NotFound):
    """The store has no such customer."""

    reason = "CUSTOMER_NOT_FOUND"


async def load(session: AsyncSession, store_id: str, customer_id: UUID, *, lock: bool = False) -> Customer:
    """Return one customer of the store; raises CustomerNotFound."""
    query = select(Customer).where(Customer.id == customer_id, Customer.store_id == store_id)
    customer = await session.scalar(query.with_for_update() if lock else query)
    if customer is None:
        raise CustomerNotFound("there is no such customer in this store")
    return customer


async def find_or_record(session: AsyncSession, vault: Vault, store_id: str, buyer: Buyer, now: datetime) -> Customer:
    """Return the store's customer with this telephone and name, new when there is none.

    A known customer takes the consents that were asked for again. Publishes CustomerChanged when anything is new.
    """
    query = select(Customer).where(_is(buyer.person, vault, store_id)).with_for_update()
    customer = await session.scalar(query)
    if customer is None:
        row = {
            "id": new_id(now),
            "store_id": store_id,
            **sealed(buyer.person, vault),
            "phone_verified": buyer.phone_verified,
            "consents": dict(buyer.consents),
            "version": 1,
            "create_time": now,
            "update_time": now,
        }
        # Without naming the index: a concurrent delivery to the same person must end up at one record.
        new = insert(Customer).values(row).on_conflict_do_nothing().returning(Customer)
        customer = await session.scalar(new)
        if customer is not None:
            await tell(session, customer, now)
            return customer
        customer = (await session.scalars(query)).one()
    consents = rules.merged_consents(customer.consents, buyer.consents)
    if consents != customer.consents:
        customer.consents = consents
        await _changed(session, customer, now)
    return customer


async def correct(session: AsyncSession, vault: Vault, customer: Customer, buyer: Buyer, now: datetime) -> Customer:
    """Return the customer of a delivery after a correction of the buyer: the same record, or another one.

    Raises CustomerErased. Publishes CustomerChanged when the record changed.
    """
    match rules.correction(customer.buyer(vault), buyer, erased=customer.erase_time is not None):
        case rules.Correction.OTHER_PERSON:
            return await find_or_record(session, vault, customer.store_id, buyer, now)
        case rules.Correction.SAME_PERSON:
            twin = _is(buyer.person, vault, customer.store_id)
            if await session.scalar(select(exists().where(twin, Customer.id != customer.id))):
                return await find_or_record(session, vault, customer.store_id, buyer, now)
            customer.write(buyer.person, vault)
            customer.phone_verified = buyer.phone_verified
        case rules.Correction.CONSENTS_ONLY:
            pass
        case rules.Correction.NOTHING:
            return customer
    customer.consents = dict(buyer.consents)
    await _changed(session, customer, now)
    return customer


async def erase(session: AsyncSession, store_id: str, customer_id: UUID, *, by: str, now: datetime) -> Customer:
    """Pseudonymise a customer: the id and the deliveries stay, names, numbers and plates go (GRP-06).

    A second erasure changes nothing. Publishes CustomerErased.
    """
    customer = await load(session, store_id, customer_id, lock=True)
    if customer.erase_time is not None:
        return customer
    customer.name_sealed = customer.name_blind = customer.phone_sealed = customer.phone_blind = None
    customer.phone_verified = False
    customer.consents = {}
    customer.version += 1
    customer.update_time = customer.erase_time = now
    plates = update(Delivery).where(Delivery.customer_id == customer_id, Delivery.plate_sealed.is_not(None))
    # The plate is not among the facts that are published, so a new version needs no event.
    await session.execute(
        plates.values(plate_sealed=None, plate_blind=None, version=Delivery.version + 1, update_time=now)
    )
    event = events_pb2.CustomerErased(customer_id=str(customer.id), store_id=store_id, version=customer.version)
    await outbox.add(session, event, key=str(customer.id), now=now)
    # Nothing of him is left to put right, and what was written about him goes too.
    await corrections.settle(
        session, delivery_id=None, customer_id=customer_id, fields=PERSON_FIELDS, now=now, resolver=by
    )
    await corrections.forget(session, customer_id)
    return customer


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[Customer]:
    """Return the customers with these ids, in any order; unknown ones are left out."""
    return (await session.scalars(select(Customer).where(Customer.id.in_(ids)))).all()


async def every(session: AsyncSession) -> AsyncIterator[Customer]:
    """Yield every customer in reach, by id, a bounded number in memory."""
    last: UUID | None = None
    while True:
        query = select(Customer).order_by(Customer.id).limit(_CHUNK)
        rows = (await session.scalars(query if last is None else query.where(Customer.id > last))).all()
        for row in rows:
            yield row
        if len(rows) < _CHUNK:
            return
        last = rows[-1].id
        session.expunge_all()


async def tell(session: AsyncSession, customer: Customer, now: datetime) -> None:
    """Publish that there is something to ask for; the event holds no personal data."""
    event = events_pb2.CustomerChanged(
        customer_id=str(customer.id), store_id=customer.store_id, version=customer.version
    )
    await outbox.add(session, event, key=str(customer.id), now=now)


async def _changed(session: AsyncSession, customer: Customer, now: datetime) -> None:
    customer.version += 1
    customer.update_time = now
    await tell(session, customer, now)


def _is(person: Person, vault: Vault, store_id: str) -> ColumnElement[bool]:
    if not person.phone:
        return false()
    keys = blind(person, vault)
    return (
        (Customer.store_id == store_id)
        & (Customer.phone_blind == keys["phone_blind"])
        & (Customer.name_blind == keys["name_blind"])
        & Customer.erase_time.is_(None)
    )
