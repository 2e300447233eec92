"""Use cases of deliveries; the caller's transaction, never a commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
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
from sales.corrections import service as corrections
from sales.customers import service as customers
from sales.customers.model import Customer
from sales.deliveries import rules
from sales.deliveries.model import Delivery, columns
from sales.deliveries.values import DELIVERY_FIELDS, PERSON_FIELDS, Before, Draft, State

_CHUNK = 500
_ONE_FIRST_CUSTOMER = "delivery_vin_once"

DeliveryEvent = events_pb2.DeliveryRecorded | events_pb2.DeliveryCorrected | events_pb2.DeliveryCancelled


class DeliveryNotFound(NotFound):
    """The store has no such delivery."""

    reason = "DELIVERY_NOT_FOUND"


async def load(
    session: AsyncSession, store_id: str, delivery_id: UUID, *, lock: bool = False
) -> tuple[Delivery, Customer | None]:
    """Return one delivery of the store with its customer, both locked when asked for; raises DeliveryNotFound."""
    query = _rows(store_id).where(Delivery.id == delivery_id)
    # PostgreSQL locks no row that an outer join may not have found: the customer follows by himself.
    found = (await session.execute(query.with_for_update(of=Delivery) if lock else query)).one_or_none()
    if found is None:
        raise DeliveryNotFound("there is no such delivery in this store")
    if lock and found[1] is not None:
        await session.refresh(found[1], with_for_update=True)
    return found[0], found[1]


async def page(
    session: AsyncSession, store_id: str, *, vin: str | None, after: tuple[KeyValue, ...], size: int
) -> tuple[list[tuple[Delivery, Customer | None]], Delivery | None]:
    """Return one page of a store's deliveries, newest hand-over first, and its last row when another page follows."""
    query = _rows(store_id) if vin is None else _rows(store_id).where(Delivery.vin == vin)
    query = keyset(query, (Delivery.delivery_time, Delivery.id), after, size, descending=True)
    found, last = split((await session.execute(query)).all(), size)
    return [(row[0], row[1]) for row in found], last[0] if last else None


async def record(
    session: AsyncSession, vault: Vault, store_id: str, draft: Draft, now: datetime
) -> tuple[Delivery, Customer]:
    """Record a delivery, whose buyer is known, and publish DeliveryRecorded (SAL-10).

    Raises VinAlreadyDelivered, also when another store records the same vehicle at this moment.
    """
    assert draft.buyer is not None
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
    session: AsyncSession,
    vault: Vault,
    found: tuple[Delivery, Customer | None],
    draft: Draft,
    *,
    by: str,
    now: datetime,
) -> Customer | None:
    """Write what changed and publish DeliveryCorrected; a change of nothing writes and publishes nothing.

    The delivery that was found is locked and not cancelled. Returns its customer, who may be another one now. Any
    change counts, also one that the published facts do not show (plate, a customer's number): the etag must move with
    it. Data corrections of what `by` has put right end with it.
    """
    delivery, customer = found
    known = None if customer is None else customer.buyer(vault)
    if known == draft.buyer and delivery.handover(vault) == draft.handover:
        return customer
    fields = rules.put_right(Before(known, delivery.consultant_id), draft)
    if draft.buyer is not None and draft.buyer != known:
        if customer is None:
            customer = await customers.find_or_record(session, vault, delivery.store_id, draft.buyer, now)
        else:
            customer = await customers.correct(session, vault, customer, draft.buyer, now)
    delivery.write(draft.handover, vault)
    delivery.customer_id = None if customer is None else customer.id
    delivery.version += 1
    delivery.update_time = now
    await _settle(session, delivery, fields, by, now)
    await _tell(session, events_pb2.DeliveryCorrected, delivery, now)
    return customer


async def cancel(
    session: AsyncSession, place: tuple[str, UUID], *, reason: str, etag: str, by: str, now: datetime
) -> tuple[Delivery, Customer | None]:
    """Cancel the delivery at `place` (store, id), which did not take place; the vehicle can be delivered again.

    Nothing is left to complete in it. Publishes DeliveryCancelled. Raises DeliveryNotFound, StaleEtag,
    DeliveryAlreadyCancelled.
    """
    kept = rules.cancel_reason(reason)
    delivery, customer = await load(session, *place, lock=True)
    rules.require_open(delivery.state)
    check_etag(etag, delivery.version)
    delivery.state = State.CANCELLED
    delivery.cancel_reason = kept
    delivery.version += 1
    delivery.update_time = now
    await _settle(session, delivery, DELIVERY_FIELDS, by, now)
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


async def _settle(session: AsyncSession, delivery: Delivery, fields: Collection[str], by: str, now: datetime) -> None:
    own, his = DELIVERY_FIELDS.intersection(fields), PERSON_FIELDS.intersection(fields)
    if own:
        await corrections.settle(session, delivery_id=delivery.id, customer_id=None, fields=own, now=now, resolver=by)
    if his:
        # He may have bought twice: his name and number are put right for all of his deliveries.
        await corrections.settle(
            session, delivery_id=delivery.id, customer_id=delivery.customer_id, fields=his, now=now, resolver=by
        )


def _rows(store_id: str) -> Select[Delivery, Customer | None]:
    joined = select(Delivery, Customer).outerjoin(Customer, Delivery.customer_id == Customer.id)
    return joined.where(Delivery.store_id == store_id)


async def _tell(session: AsyncSession, event: type[DeliveryEvent], delivery: Delivery, now: datetime) -> None:
    message = event(delivery_id=str(delivery.id), delivery=facts(delivery))
    await outbox.add(session, message, key=str(delivery.id), now=now)
