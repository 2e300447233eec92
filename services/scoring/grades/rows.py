"""The stored responses and cells: read, locked and changed many at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import raw_connection
from scoring.grades.model import ResponseRow
from scoring.grades.values import CellKey, Mark, Response, Scale, Tally

_SAVE = """
insert into response (response_id, store_id, version, delivery_id, consultant_id, customer_id, mode, month, submit_time,
                      questionnaire_version, model_code, model_version, marks)
select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::timestamptz[], $10::text[], $11::text[], $12::int[], $13::jsonb[])
on conflict (response_id) do update set
    store_id = excluded.store_id, version = excluded.version, delivery_id = excluded.delivery_id,
    consultant_id = excluded.consultant_id, customer_id = excluded.customer_id, mode = excluded.mode,
    month = excluded.month, submit_time = excluded.submit_time, questionnaire_version = excluded.questionnaire_version,
    model_code = excluded.model_code, model_version = excluded.model_version, marks = excluded.marks
"""

_ADD = """
insert into grade_cell as cell (store_id, month, model_code, model_version, consultant_id, mode, code,
                                n, total, square, top, bottom)
select * from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[],
                     $8::bigint[], $9::bigint[], $10::numeric[], $11::bigint[], $12::bigint[])
on conflict (month, store_id, model_code, model_version, consultant_id, mode, code) do update set
    n = cell.n + excluded.n, total = cell.total + excluded.total, square = cell.square + excluded.square,
    top = cell.top + excluded.top, bottom = cell.bottom + excluded.bottom
"""
_LOCK = "select pg_advisory_xact_lock(hashtextextended(id::text, 0)) from unnest($1::uuid[]) as id"


async def lock(session: AsyncSession, ids: Iterable[UUID]) -> None:
    """Nobody else counts or decides about these responses meanwhile, also before their first row exists."""
    connection = await raw_connection(session)
    # In the order of the key, so that two workers can never wait for each other.
    await connection.execute(_LOCK, sorted(ids))


async def stored(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Response]:
    """Those of the responses that are known."""
    rows = await session.scalars(select(ResponseRow).where(ResponseRow.response_id.in_(ids)))
    return {row.response_id: response_of(row) for row in rows}


def response_of(row: ResponseRow) -> Response:
    """A response as the rules need it."""
    return Response(
        id=row.response_id,
        store_id=row.store_id,
        version=row.version,
        delivery_id=row.delivery_id,
        consultant_id=row.consultant_id,
        customer_id=row.customer_id,
        mode=row.mode,
        month=row.month,
        submit_time=row.submit_time,
        questionnaire_version=row.questionnaire_version,
        model_code=row.model_code,
        model_version=row.model_version,
        marks=marks_of(row.marks),
        excluded=row.excluded,
    )


def marks_of(stored_marks: Iterable[Sequence[Any]]) -> tuple[Mark, ...]:
    """Marks from their stored triples of question, scale and mark."""
    return tuple(Mark(question, Scale[scale], mark) for question, scale, mark in stored_marks)


async def save(session: AsyncSession, responses: Sequence[Response]) -> None:
    """Keeps what was answered; whether a response is excluded is not changed by this."""
    connection = await raw_connection(session)
    await connection.execute(
        _SAVE,
        [response.id for response in responses],
        [response.store_id for response in responses],
        [response.version for response in responses],
        [response.delivery_id for response in responses],
        [response.consultant_id for response in responses],
        [response.customer_id for response in responses],
        [response.mode for response in responses],
        [response.month for response in responses],
        [response.submit_time for response in responses],
        [response.questionnaire_version for response in responses],
        [response.model_code for response in responses],
        [response.model_version for response in responses],
        [_marks_json(response) for response in responses],
    )


async def add(session: AsyncSession, changed: Mapping[CellKey, Tally]) -> None:
    """Adds to the cells, in the order in which everybody locks them."""
    if not changed:
        return
    connection = await raw_connection(session)
    keys = sorted(changed)
    sums = [changed[key] for key in keys]
    await connection.execute(
        _ADD,
        [key.store_id for key in keys],
        [key.month for key in keys],
        [key.model_code for key in keys],
        [key.model_version for key in keys],
        [key.consultant_id for key in keys],
        [key.mode for key in keys],
        [key.code for key in keys],
        [tally.n for tally in sums],
        [tally.total for tally in sums],
        [Decimal(tally.square) for tally in sums],
        [tally.top for tally in sums],
        [tally.bottom for tally in sums],
    )


def _marks_json(response: Response) -> str:
    return orjson.dumps([(mark.question, mark.scale.name, mark.mark) for mark in response.marks]).decode()
