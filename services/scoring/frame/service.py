"""Keeping the sample frame in step with the deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.sales.v1.deliveries_pb2 import DeliveryFacts
from kit.db.engine import raw_connection
from scoring.frame.model import FrameRow
from scoring.grades.model import ResponseRow

_UPSERT = """
insert into sample_frame (delivery_id, store_id, version, consultant_id, vin, delivery_date, month, cancelled)
select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::date[], $7::text[], $8::bool[])
on conflict (delivery_id) do update set
    store_id = excluded.store_id, version = excluded.version, consultant_id = excluded.consultant_id,
    vin = excluded.vin, delivery_date = excluded.delivery_date, month = excluded.month, cancelled = excluded.cancelled
"""
# A delivery that arrives late or twice never replaces a newer state of itself.
_ONLY_NEWER = "where sample_frame.version < excluded.version"


async def keep(session: AsyncSession, deliveries: Iterable[DeliveryFacts], *, as_is: bool = False) -> None:
    """Takes the state of deliveries in any order and number; the highest version of each wins.

    `as_is` takes them even where a higher version is known: after sales was restored from a backup its versions went
    back.
    """
    newest: dict[str, DeliveryFacts] = {}
    for facts in deliveries:
        known = newest.get(facts.delivery_id)
        if known is None or known.version < facts.version:
            newest[facts.delivery_id] = facts
    # In the order of the key, so that two workers can never lock the same rows crosswise.
    rows = [newest[key] for key in sorted(newest)]
    connection = await raw_connection(session)
    await connection.execute(
        _UPSERT if as_is else _UPSERT + _ONLY_NEWER,
        [UUID(facts.delivery_id) for facts in rows],
        [facts.store_id for facts in rows],
        [facts.version for facts in rows],
        [facts.consultant_id for facts in rows],
        [facts.vin for facts in rows],
        [date.fromisoformat(facts.delivery_date) for facts in rows],
        [facts.delivery_date[:7] for facts in rows],
        [facts.cancelled for facts in rows],
    )


async def coverage(session: AsyncSession, store_id: str, month: str) -> tuple[int, int]:
    """How many deliveries of the month were not cancelled, and how many of them have a response."""
    answered = exists().where(ResponseRow.delivery_id == FrameRow.delivery_id)
    query = select(func.count(), func.count().filter(answered)).where(
        FrameRow.store_id == store_id, FrameRow.month == month, FrameRow.cancelled.is_(False)
    )
    frame, with_response = (await session.execute(query)).one()
    return frame, with_response
