"""Deliveries by the hundred: arrays in, one round trip for each step (SAL-10, GRP-05)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.sales.events.v1 import events_pb2
from kit.db.engine import raw_connection
from kit.ids import new_ids
from kit.messaging import outbox
from kit.vault import Vault
from sales.customers import bulk as customers
from sales.deliveries.model import PLATE
from sales.deliveries.values import Draft, Handover, State

_LIVE: Final = "SELECT vin FROM delivery WHERE vin = ANY ($1) AND state <> 'CANCELLED'"
# In the order of the index, so that two transactions wait for one another and never in a ring. Whoever was quicker with
# a vehicle, here or in a store that this transaction does not see, keeps it.
_INSERT: Final = """
INSERT INTO delivery (id, store_id, customer_id, vin, brand, series, model, consultant_id, delivery_time, delivery_date,
                      invoice_date, odometer_km, insurance_expiry_date, finance_end_date, plate_sealed, plate_blind,
                      warnings, state, cancel_reason, version, create_time, update_time)
SELECT id, store_id, customer_id, vin, brand, series, model, consultant_id, delivery_time, delivery_date,
       invoice_date, odometer_km, insurance_expiry_date, finance_end_date, plate_sealed, plate_blind,
       CASE WHEN warnings = '' THEN '{}' ELSE string_to_array(warnings, ',') END, $18::text, '', 1,
       $19::timestamptz, $19::timestamptz
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::timestamptz[], $10::date[], $11::date[], $12::integer[], $13::date[], $14::date[], $15::bytea[],
            $16::bytea[], $17::text[])
     AS new (id, store_id, customer_id, vin, brand, series, model, consultant_id, delivery_time, delivery_date,
             invoice_date, odometer_km, insurance_expiry_date, finance_end_date, plate_sealed, plate_blind, warnings)
ORDER BY vin
ON CONFLICT (vin) WHERE state <> 'CANCELLED' DO NOTHING
RETURNING id
"""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS: Final = 86_400


class Recorded(NamedTuple):
    """A delivery that was recorded, and its customer where it has one; whether he was not known before."""

    delivery_id: UUID
    customer_id: UUID | None
    new_customer: bool


async def delivered(session: AsyncSession, vins: Collection[str]) -> frozenset[str]:
    """Return those of these vehicles that have their first customer, as far as the session sees."""
    connection = await raw_connection(session)
    return frozenset(row["vin"] for row in await connection.fetch(_LIVE, sorted(vins)))


async def record(
    session: AsyncSession, vault: Vault, drafts: Sequence[tuple[str, Draft]], now: datetime
) -> list[Recorded | None]:
    """Record deliveries (store, draft) with their customers, and publish DeliveryRecorded and CustomerChanged.

    Returns in the same order what became of each: None when the vehicle has its first customer already, also when
    another store records it at this moment. Of two drafts of one vehicle only one is recorded.
    """
    found = await _customers(session, vault, drafts, now)
    ids = new_ids(len(drafts), now)
    rows = [
        _row(vault, delivery_id, (store_id, draft.handover), found.get(place))
        for place, (delivery_id, (store_id, draft)) in enumerate(zip(ids, drafts, strict=True))
    ]
    written: set[UUID] = set()
    if rows:
        connection = await raw_connection(session)
        arrays = [list(column) for column in zip(*rows, strict=True)]
        written = {row["id"] for row in await connection.fetch(_INSERT, *arrays, State.COMPLETED.value, now)}
    recorded = [
        _recorded(delivery_id, found.get(place)) if delivery_id in written else None
        for place, delivery_id in enumerate(ids)
    ]
    await _take_back(session, found, recorded)
    await outbox.add_many(session, _events(drafts, recorded, now), now=now)
    return recorded


async def _customers(
    session: AsyncSession, vault: Vault, drafts: Sequence[tuple[str, Draft]], now: datetime
) -> dict[int, customers.Found]:
    taken = await delivered(session, {draft.handover.vin for _, draft in drafts})
    buyers = {
        place: (store_id, draft.buyer)
        for place, (store_id, draft) in enumerate(drafts)
        if draft.buyer is not None and draft.handover.vin not in taken
    }
    found = await customers.find_or_record(session, vault, list(buyers.values()), now)
    return dict(zip(buyers, found, strict=True))


def _row(
    vault: Vault, delivery_id: UUID, told: tuple[str, Handover], customer: customers.Found | None
) -> tuple[object, ...]:
    store_id, handover = told
    *plain, plate, insured, financed, warnings = handover
    sealed, blind = (vault.seal(PLATE, plate), vault.blind(PLATE, plate)) if plate else (None, None)
    customer_id = None if customer is None else customer.id
    # An array of arrays must be a rectangle, so each row's codes travel as one text.
    return (delivery_id, store_id, customer_id, *plain, insured, financed, sealed, blind, ",".join(warnings))


def _recorded(delivery_id: UUID, customer: customers.Found | None) -> Recorded:
    if customer is None:
        return Recorded(delivery_id, None, new_customer=False)
    return Recorded(delivery_id, customer.id, customer.new)


async def _take_back(
    session: AsyncSession, found: Mapping[int, customers.Found], recorded: Sequence[Recorded | None]
) -> None:
    # Somebody was quicker with these vehicles: whoever was made for them alone bought nothing.
    needed = {one.customer_id for one in recorded if one is not None}
    await customers.forget(session, {one.id for one in found.values() if one.new and one.id not in needed})


def _events(
    drafts: Sequence[tuple[str, Draft]], recorded: Sequence[Recorded | None], now: datetime
) -> list[tuple[Message, str]]:
    record_time = Timestamp()
    record_time.FromDatetime(now)
    people: dict[str, tuple[Message, str]] = {}
    told: list[tuple[Message, str]] = []
    for (store_id, draft), one in zip(drafts, recorded, strict=True):
        if one is None:
            continue
        person = "" if one.customer_id is None else str(one.customer_id)
        if one.new_customer and person not in people:
            people[person] = (events_pb2.CustomerChanged(customer_id=person, store_id=store_id, version=1), person)
        delivery_id = str(one.delivery_id)
        told.append((_told(store_id, draft.handover, delivery_id, person, record_time), delivery_id))
    return [*people.values(), *told]


def _told(
    store_id: str, handover: Handover, delivery_id: str, customer_id: str, record_time: Timestamp
) -> events_pb2.DeliveryRecorded:
    """Return what `service.facts` tells of a new delivery; written out, since every row of a list needs it."""
    event = events_pb2.DeliveryRecorded(delivery_id=delivery_id)
    facts = event.delivery
    facts.delivery_id = delivery_id
    facts.store_id = store_id
    facts.version = 1
    facts.vin = handover.vin
    facts.brand = handover.brand
    facts.series = handover.series
    facts.model = handover.model
    facts.customer_id = customer_id
    facts.consultant_id = handover.consultant_id
    elapsed = handover.delivery_time - _EPOCH
    facts.delivery_time.seconds = elapsed.days * _DAY_SECONDS + elapsed.seconds
    facts.delivery_time.nanos = elapsed.microseconds * 1000
    facts.delivery_date = handover.delivery_date.isoformat()
    facts.invoice_date = handover.invoice_date.isoformat()
    facts.odometer_km = handover.odometer_km
    if handover.insurance_expiry_date is not None:
        facts.insurance_expiry_date = handover.insurance_expiry_date.isoformat()
    if handover.finance_end_date is not None:
        facts.finance_end_date = handover.finance_end_date.isoformat()
    facts.record_time.CopyFrom(record_time)
    return event
