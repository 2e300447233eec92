"""Making a revision: everything that grades rest on is copied inside the database, for all stores at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import raw_connection

_REVISION = "insert into month_revision (month, revision, create_time, creator, reason) values ($1, $2, $3, $4, $5)"
_WITH_SOMETHING = """
select store_id from response where month = $1 and not excluded
union select store_id from sample_frame where month = $1 and not cancelled
order by store_id
"""
# A delivery that was recorded or cancelled later belongs to the frame of the next revision.
_CHANGED = """
with frame as (select store_id, count(*) as deliveries from sample_frame where month = $1 and not cancelled group by 1),
     known as (
        select distinct on (store_id) store_id, sample_frame from closed_grade where month = $1
        order by store_id, revision desc
     )
select store_id from late_change where month = $1
union
select coalesce(frame.store_id, known.store_id) from frame full join known using (store_id)
where coalesce(frame.deliveries, 0) <> coalesce(known.sample_frame, 0)
order by store_id
"""
_DIFFERENCES = """
insert into changed_response (month, revision, store_id, model_code, model_version, change, response_id)
select late.month, $2, late.store_id, told.model_code, told.model_version, told.change, late.response_id
from late_change late
cross join lateral (
    select (model_code_before, model_version_before) is not distinct from (model_code_now, model_version_now) as same
) model
cross join lateral (values
    (model_code_now, model_version_now, 'CHANGED', model.same),
    (model_code_now, model_version_now, 'ADDED', not model.same and model_code_now is not null),
    (model_code_before, model_version_before, 'REMOVED', not model.same and model_code_before is not null)
) told(model_code, model_version, change, holds)
where late.month = $1 and told.holds
"""
_GRADES = """
insert into closed_grade (month, store_id, revision, previous, responses, sample_frame, answered)
select $1, fixed.store_id, $2, coalesce(known.revision, 0),
       coalesce(counted.responses, 0), coalesce(frame.deliveries, 0), coalesce(answered.deliveries, 0)
from unnest($3::text[]) as fixed(store_id)
left join (
    select store_id, count(*) as responses from response where month = $1 and not excluded group by store_id
) counted using (store_id)
left join (
    select store_id, count(*) as deliveries from sample_frame where month = $1 and not cancelled group by store_id
) frame using (store_id)
left join (
    select store_id, count(*) as deliveries from sample_frame delivery
    where month = $1 and not cancelled
        and exists (select 1 from response where response.delivery_id = delivery.delivery_id)
    group by store_id
) answered using (store_id)
left join (
    select store_id, max(revision) as revision from closed_grade where month = $1 group by store_id
) known using (store_id)
"""
_RESPONSES = """
insert into counted_response (month, store_id, revision, response_id, version, delivery_id, consultant_id, customer_id,
                              mode, submit_time, questionnaire_version, model_code, model_version, marks)
select month, store_id, $2, response_id, version, delivery_id, consultant_id, customer_id,
       mode, submit_time, questionnaire_version, model_code, model_version, marks
from response where month = $1 and not excluded and store_id = any ($3)
order by store_id, response_id
"""
_CELLS = """
insert into closed_cells (month, store_id, revision, model_code, model_version, consultant_id, mode,
                          codes, n, total, square, top, bottom)
select month, store_id, $2, model_code, model_version, consultant_id, mode,
       array_agg(code order by code), array_agg(n order by code), array_agg(total order by code),
       array_agg(square order by code), array_agg(top order by code), array_agg(bottom order by code)
from grade_cell where month = $1 and n <> 0 and store_id = any ($3)
group by month, store_id, model_code, model_version, consultant_id, mode
"""
# A model version that had an index before, or whose responses changed, is told even where nothing is left of it.
_INDEXES = """
insert into closed_index (month, revision, store_id, model_code, model_version, n, total, square)
select $1, $2, told.store_id, told.model_code, told.model_version,
       coalesce(sums.n, 0), coalesce(sums.total, 0), coalesce(sums.square, 0)
from (
    select store_id, model_code, model_version from closed_cells where month = $1 and revision = $2
    union select store_id, model_code, model_version from changed_response where month = $1 and revision = $2
    union select before.store_id, before.model_code, before.model_version
    from closed_grade grade
    join closed_index before
        on before.month = $1 and before.revision = grade.previous and before.store_id = grade.store_id and before.n > 0
    where grade.month = $1 and grade.revision = $2
) told
left join (
    select cell.store_id, cell.model_code, cell.model_version,
           sum(cell.n) as n, sum(cell.total) as total, sum(cell.square) as square
    from grade_cell cell
    join satisfaction_model_version model
        on model.code = cell.model_code and model.version = cell.model_version
        and model.content ->> 'index_code' = cell.code
    where cell.month = $1 and cell.n <> 0 and cell.store_id = any ($3)
    group by 1, 2, 3
) sums using (store_id, model_code, model_version)
"""
_SETTLE = "delete from touched_response where month = $1"


async def stores_of(session: AsyncSession, month: str) -> list[str]:
    """The stores that have a delivery or an answer in the month: those with a grade."""
    connection = await raw_connection(session)
    return [row["store_id"] for row in await connection.fetch(_WITH_SOMETHING, month)]


async def changed_stores_of(session: AsyncSession, month: str) -> list[str]:
    """The stores whose responses, or whose number of deliveries, are not those of the latest revision."""
    connection = await raw_connection(session)
    return [row["store_id"] for row in await connection.fetch(_CHANGED, month)]


async def fix(
    session: AsyncSession, month: str, number: int, stores: Sequence[str], *, creator: str, reason: str, now: datetime
) -> None:
    """Makes revision `number` of the month, with the grades of these stores; the month's lock is taken.

    A fixed number of statements, however many stores and responses there are.
    """
    connection = await raw_connection(session)
    await connection.execute(_REVISION, month, number, now, creator, reason)
    await connection.execute(_DIFFERENCES, month, number)
    for statement in (_GRADES, _RESPONSES, _CELLS, _INDEXES):
        await connection.execute(statement, month, number, stores)
    await connection.execute(_SETTLE, month)
