"""Use cases of deliveries; the caller's transaction, never a commit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.sales.events.v1 import events_pb2
from dealerloop.sales.v1 import deliveries_pb2
from kit.db.etag import check_etag
from kit.db.paging import KeyValue, keyset, split
from kit.errors import NotFound
from kit.ids import new_id
from kit.messaging import outbox
from kit.rpc.carry import carry
from kit.vault import Vault
from sales.customers import service as customers
from sales.customers.model import Customer
from sales.customers.values import Buyer
from sales.deliveries import rules
from sales.deliveries.model import Delivery, columns
from sales.deliveries.values import Draft, State

_CHUNK = 500
_ONE_FIRST_CUSTOMER = "delivery_vin_once"

DeliveryEvent = events_pb2.DeliveryRecorded | events_pb2.DeliveryCorrected | events_pb2.DeliveryCancelled


class DeliveryNotFound(NotFound):
    """The store has no such delivery."""

    reason = "DELIVERY_NOT_FOUND"


async def load(
    session: AsyncSession, store_id: str, delivery_id: UUID, *, lock: bool = False
) -> tuple[Delivery, Customer]:
    """Return one delivery of the store with its customer; raises DeliveryNotFound."""
    query = _rows(store_id).where(Delivery.id == delivery_id)
    found = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    if found is None:
        raise DeliveryNotFound("there is no such delivery in this store")
    return found[0], found[1]


async def page(
    session: AsyncSession, store_id: str, *, vin: str | None, after: tuple[KeyValue, ...], size: int
) -> tuple[list[tuple[Delivery, Customer]], Delivery | None]:
    """Return one page of a store's deliveries, newest hand-over first, and its last row when another page follows."""
    query = _rows(store_id) if vin is None else _rows(store_id).where(Delivery.vin == vin)
    query = keyset(query, (Delivery.delivery_time, Delivery.id), after, size, descending=True)
    found, last = split((await session.execute(query)).all(), size)
    return [(row[0], row[1]) for row in found], last[0] if last else None


async def record(
    session: AsyncSession, vault: Vault, store_id: str, draft: Draft, now: datetime
) -> tuple[Delivery, Customer]:
    """Record a delivery and publish DeliveryRecorded (SAL-10).

    Raises VinAlreadyDelivered, also when another store records the same vehicle at this moment.
    """
    customer = await customers.find_or_record(session, vault, store_id, draft.buyer, now)
    delivery = Delivery(
        id=new_id(now),
        store_id=store_id,
        customer_id=customer.id,
        state=State.COMPLETED,
        cancel_reason="",
        version=1,
        create_time=now,
        update_time=now,
        **columns(draft.handover, vault),
    )
    session.add(delivery)
    try:
        await session.flush()
    except IntegrityError as error:
        if _ONE_FIRST_CUSTOMER not in str(error.orig):
            raise
        raise rules.already_delivered(draft.handover.vin) from None
    await _tell(session, events_pb2.DeliveryRecorded, delivery, now)
    return delivery, customer


async def correct(
    session: AsyncSession, vault: Vault, delivery: Delivery, customer: Customer, draft: Draft, now: datetime
) -> Customer:
    """Write what changed and publish DeliveryCorrected; a change of nothing writes and publishes nothing.

    The delivery is locked and not cancelled. Returns its customer, who may be another one now. Any change counts,
    also one that the published facts do not show (plate, a customer's number): the etag must move with it.
    """
    known = Buyer(customer.person(vault), customer.phone_verified, customer.consents)
    same_buyer = known.person == draft.buyer.person and dict(known.consents) == dict(draft.buyer.consents)
    if same_buyer and delivery.handover(vault) == draft.handover:
        return customer
    if not same_buyer:
        customer = await customers.correct(session, vault, customer, known.person, draft.buyer, now)
    delivery.write(draft.handover, vault)
    delivery.customer_id = customer.id
    delivery.version += 1
    delivery.update_time = now
    await _tell(session, events_pb2.DeliveryCorrected, delivery, now)
    return customer


async def cancel(
    session: AsyncSession, store_id: str, delivery_id: UUID, *, reason: str, etag: str, now: datetime
) -> tuple[Delivery, Customer]:
    """Cancel a delivery that did not take place; the vehicle can be delivered again. Publishes DeliveryCancelled.

    Raises DeliveryNotFound, StaleEtag, DeliveryAlreadyCancelled.
    """
    kept = rules.cancel_reason(reason)
    delivery, customer = await load(session, store_id, delivery_id, lock=True)
    rules.require_open(delivery.state)
    check_etag(etag, delivery.version)
    delivery.state = State.CANCELLED
    delivery.cancel_reason = kept
    delivery.version += 1
    delivery.update_time = now
    await _tell(session, events_pb2.DeliveryCancelled, delivery, now)
    return delivery, customer


async def every(session: AsyncSession) -> AsyncIterator[Delivery]:
    """Yield every delivery in reach, by id, a bounded number in memory."""
    last: UUID | None = None
    while True:
        query = select(Delivery).order_by(Delivery.id).limit(_CHUNK)
        found = (await session.scalars(query if last is None else query.where(Delivery.id > last))).all()
        for delivery in found:
            yield delivery
        if len(found) < _CHUNK:
            return
        last = found[-1].id
        session.expunge_all()


def facts(delivery: Delivery) -> deliveries_pb2.DeliveryFacts:
    """Return what other services may know of it."""
    return carry(
        delivery,
        deliveries_pb2.DeliveryFacts,
        delivery_id=delivery.id,
        cancelled=delivery.state is State.CANCELLED,
        record_time=delivery.create_time,
    )


def _rows(store_id: str) -> Select[Delivery, Customer]:
    joined = select(Delivery, Customer).join(Customer, Delivery.customer_id == Customer.id)
    return joined.where(Delivery.store_id == store_id)


async def _tell(session: AsyncSession, event: type[DeliveryEvent], delivery: Delivery, now: datetime) -> None:
    message = event(delivery_id=str(delivery.id), delivery=facts(delivery))
    await outbox.add(session, message, key=str(delivery.id), now=now)
