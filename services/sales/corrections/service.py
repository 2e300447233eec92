"""Use cases of data corrections; the caller's transaction, never a commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import raw_connection
from kit.db.etag import check_etag
from kit.db.paging import KeyValue, keyset, split
from kit.errors import NotFound
from kit.ids import new_ids
from kit.vault import Vault
from sales import notes
from sales.corrections import rules
from sales.corrections.model import NOTE, DataCorrection
from sales.corrections.values import Known, Opening, State
from sales.customers.model import Customer

# In the order of the unique index, so that two transactions wait for one another and never in a ring.
_OPEN: Final = """
INSERT INTO data_correction (id, store_id, delivery_id, customer_id, field, reason, source, create_time,
                             state, version, resolver)
SELECT id, store_id, delivery_id, customer_id, field, reason, source, create_time, 'OPEN', 1, ''
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
     AS new (id, store_id, delivery_id, customer_id, field, reason, source, create_time)
ORDER BY store_id, delivery_id, customer_id, field, reason
ON CONFLICT (store_id, delivery_id, customer_id, field, reason) WHERE state = 'OPEN' DO NOTHING
"""
_SETTLE: Final = """
WITH due AS MATERIALIZED (
    SELECT id FROM data_correction
    WHERE state = 'OPEN' AND field = ANY ($1) AND (delivery_id = $2 OR customer_id = $3)
    ORDER BY id FOR UPDATE
)
UPDATE data_correction
SET state = 'RESOLVED', resolve_time = greatest($4, create_time), resolver = $5, version = version + 1
FROM due WHERE data_correction.id = due.id
"""
_FORGET: Final = """
WITH due AS MATERIALIZED (
    SELECT id FROM data_correction WHERE customer_id = $1 AND note_sealed IS NOT NULL ORDER BY id FOR UPDATE
)
UPDATE data_correction SET note_sealed = NULL, version = version + 1 FROM due WHERE data_correction.id = due.id
"""


class CorrectionNotFound(NotFound):
    """The store has no such data correction."""

    reason = "DATA_CORRECTION_NOT_FOUND"


async def open_many(session: AsyncSession, openings: Iterable[Opening], now: datetime) -> int:
    """Open corrections in one statement; one that is open already stays as it is. Returns how many are new."""
    subjects = {one.subject: one for one in openings}
    if not subjects:
        return 0
    ids = new_ids(len(subjects), now)
    rows = [
        (correction_id, *subject, one.source, one.came_up or now)
        for correction_id, (subject, one) in zip(ids, subjects.items(), strict=True)
    ]
    connection = await raw_connection(session)
    done = await connection.execute(_OPEN, *(list(column) for column in zip(*rows, strict=True)))
    return int(done.split()[-1])


async def settle(
    session: AsyncSession,
    *,
    delivery_id: UUID | None,
    customer_id: UUID | None,
    fields: Collection[str],
    now: datetime,
    resolver: str,
) -> int:
    """End the open corrections of these fields, of this delivery or of this customer: the fields were corrected.

    `fields` are paths such as `customer.phone`; `resolver` is the id of who corrected them. Returns how many ended.
    """
    connection = await raw_connection(session)
    done = await connection.execute(_SETTLE, sorted(fields), delivery_id, customer_id, now, resolver)
    return int(done.split()[-1])


async def forget(session: AsyncSession, customer_id: UUID) -> None:
    """Remove what was written about a customer who is erased (GRP-06)."""
    connection = await raw_connection(session)
    await connection.execute(_FORGET, customer_id)


async def request_many(session: AsyncSession, requests: Sequence[Opening], now: datetime) -> int:
    """Open what another department asks to have corrected about customers; returns how many are new (CARE-03).

    Each request carries its `came_up`, so that one that is told again, or that comes after the correction was made,
    opens nothing. The store is the one that owns the customer. One whom sales does not know (a backup may be older
    than the follow-up) is kept under the store that asks: somebody must look. Of an erased one nothing is left to
    correct.
    """
    wanted = {one.customer_id for one in requests if one.customer_id is not None}
    query = select(Customer.id, Customer.store_id, Customer.erase_time).where(Customer.id.in_(wanted))
    owners = {row[0]: row for row in (await session.execute(query)).all()}
    placed = [
        one if one.customer_id not in owners else replace(one, store_id=owners[one.customer_id].store_id)
        for one in requests
        if one.customer_id not in owners or owners[one.customer_id].erase_time is None
    ]
    known = await _known(session, wanted)
    news = [one for one in placed if rules.is_news(one.came_up or now, known[one.subject])]
    return await open_many(session, news, now)


async def page(
    session: AsyncSession,
    store_id: str,
    *,
    state: State | None,
    delivery_id: UUID | None,
    after: tuple[KeyValue, ...],
    size: int,
) -> tuple[Sequence[DataCorrection], DataCorrection | None]:
    """Return one page of a store's corrections, the newest first, and its last row when another page follows."""
    query = listed(store_id, state=state, delivery_id=delivery_id)
    query = keyset(query, (DataCorrection.create_time, DataCorrection.id), after, size, descending=True)
    return split((await session.scalars(query)).all(), size)


def listed(store_id: str, *, state: State | None, delivery_id: UUID | None) -> Select[DataCorrection]:
    """Return the query of what a list shows."""
    query = select(DataCorrection).where(DataCorrection.store_id == store_id)
    if state is not None:
        query = query.where(DataCorrection.state == state)
    if delivery_id is not None:
        query = query.where(DataCorrection.delivery_id == delivery_id)
    return query


async def resolve(
    session: AsyncSession,
    vault: Vault,
    key: tuple[str, UUID],
    *,
    note: str,
    etag: str,
    resolver: str,
    now: datetime,
) -> DataCorrection:
    """End the correction `key` (store, id) by hand, with what was found out.

    Raises CorrectionNotFound, CorrectionAlreadyResolved, StaleEtag, and InvalidNote on `note`.
    """
    kept = notes.read(note, field="note", required=True)
    store_id, correction_id = key
    query = select(DataCorrection).where(DataCorrection.id == correction_id, DataCorrection.store_id == store_id)
    correction = await session.scalar(query.with_for_update())
    if correction is None:
        raise CorrectionNotFound("there is no such data correction in this store")
    rules.require_open(correction.state)
    check_etag(etag, correction.version)
    correction.state = State.RESOLVED
    correction.note_sealed = vault.seal(NOTE, kept)
    correction.resolver = resolver
    correction.resolve_time = now
    correction.version += 1
    await session.flush()
    return correction


async def _known(session: AsyncSession, customer_ids: Collection[UUID]) -> defaultdict[tuple[object, ...], list[Known]]:
    query = select(DataCorrection).where(DataCorrection.customer_id.in_(customer_ids))
    found: defaultdict[tuple[object, ...], list[Known]] = defaultdict(list)
    for row in await session.scalars(query):
        subject = (row.store_id, row.delivery_id, row.customer_id, row.field, row.reason)
        found[subject].append(row.known)
    return found
