"""Reading months and their revisions; row-level security keeps every figure to the reader's reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import raw_connection
from scoring.grades.tallies import ByCode, ByModel
from scoring.grades.values import Tally
from scoring.models.values import SatisfactionModel
from scoring.months import rules
from scoring.months.values import ClosedGrade, IndexChange, Month, Revision

_ZONES = "select distinct time_zone from store"
# A store's grade in a revision is its newest one up to that revision; without deliveries and answers it has none.
_REVISIONS = """
select one.revision, one.create_time, one.creator, one.reason,
       count(grade.store_id) filter (where grade.responses > 0 or grade.sample_frame > 0) as stores,
       coalesce(sum(grade.responses), 0)::bigint as responses,
       count(grade.store_id) filter (where grade.revision = one.revision) as changed_stores
from month_revision one
left join lateral (
    select distinct on (store_id) store_id, revision, responses, sample_frame from closed_grade
    where month = one.month and revision <= one.revision
    order by store_id, revision desc
) grade on true
where one.month = $1
group by one.revision, one.create_time, one.creator, one.reason
order by one.revision desc
"""
_LATE = "select count(*) from late_change where month = $1"
_LATE_OF_STORE = f"{_LATE} and store_id = $2"
_IS_LATE = f"{_LATE_OF_STORE} and response_id = $3"
_STATE = (
    "version, delivery_id, consultant_id, customer_id, mode, submit_time, questionnaire_version, model_code,"
    " model_version, marks"
)
# Against any revision, not only the latest: what is live now and was fixed then, response by response.
_SINCE = f"""
select count(*) from (
    select response_id, {_STATE} from response where month = $1 and store_id = $2 and not excluded
) live full join (
    select response_id, {_STATE} from counted_response where month = $1 and store_id = $2 and revision = $3
) fixed using (response_id)
where live is distinct from fixed
"""  # noqa: S608 - column names from above
_LATEST = "select coalesce(max(revision), 0) from month_revision where month = $1 and revision <= $2"
_GRADE = """
select revision, responses, sample_frame, answered from closed_grade
where month = $1 and store_id = $2 and revision <= $3
order by revision desc limit 1
"""
_SUMS = """
sum(cell.n)::bigint as n, sum(cell.total)::bigint as total, sum(cell.square) as square,
sum(cell.top)::bigint as top, sum(cell.bottom)::bigint as bottom
from closed_cells
cross join lateral unnest(codes, n, total, square, top, bottom) as cell(code, n, total, square, top, bottom)
where month = $1 and store_id = $2 and revision = $3
"""
_BY_MODEL = f"select model_code, model_version, cell.code, {_SUMS} group by 1, 2, 3"
_BY_CONSULTANT = f"""
select consultant_id, {_SUMS} and model_code = $4 and model_version = $5 and cell.code = $6 group by 1 order by 1
"""
_CHANGES = """
select now.store_id, now.model_code, now.model_version, now.n, now.total, now.square,
       before.n as n_before, before.total as total_before, before.square as square_before,
       response.added, response.removed, response.changed
from closed_index now
join closed_grade grade on grade.month = $1 and grade.store_id = now.store_id and grade.revision = $2
left join closed_index before
    on before.month = $1 and before.revision = grade.previous and before.store_id = now.store_id
    and before.model_code = now.model_code and before.model_version = now.model_version
left join lateral (
    select array_agg(response_id::text order by response_id) filter (where change = 'ADDED') as added,
           array_agg(response_id::text order by response_id) filter (where change = 'REMOVED') as removed,
           array_agg(response_id::text order by response_id) filter (where change = 'CHANGED') as changed
    from changed_response one
    where one.month = $1 and one.revision = $2 and one.store_id = now.store_id
        and one.model_code = now.model_code and one.model_version = now.model_version
) response on true
where now.month = $1 and now.revision = $2 and (now.store_id, now.model_code, now.model_version) > ($3, $4, $5::bigint)
order by now.store_id, now.model_code, now.model_version
limit $6
"""


@dataclass(frozen=True)
class ClosedSums:
    """The cells as one revision has fixed them for a store; see `Sums`."""

    store_id: str
    month: str
    revision: int

    async def by_model(self, session: AsyncSession) -> ByModel:
        """Over consultants and interview modes: by model version, then by code."""
        connection = await raw_connection(session)
        found: ByModel = {}
        for row in await connection.fetch(_BY_MODEL, self.month, self.store_id, self.revision):
            found.setdefault((row["model_code"], row["model_version"]), {})[row["code"]] = _tally(row)
        return found

    async def by_consultant(self, session: AsyncSession, model: SatisfactionModel) -> ByCode:
        """The sums of the index of one model version by consultant."""
        connection = await raw_connection(session)
        place = (self.month, self.store_id, self.revision)
        rows = await connection.fetch(_BY_CONSULTANT, *place, model.code, model.version, model.index_code)
        return {row["consultant_id"]: _tally(row) for row in rows}


async def month_of(session: AsyncSession, name: str) -> Month:
    """The month as it stands, with the figures of the stores in reach."""
    connection = await raw_connection(session)
    zones = [ZoneInfo(row["time_zone"]) for row in await connection.fetch(_ZONES)]
    revisions = tuple(Revision(*row.values()) for row in await connection.fetch(_REVISIONS, name))
    late = await connection.fetchval(_LATE, name) if revisions else 0
    return Month(name, rules.end_of(name, zones), revisions, late)


async def latest_revision(session: AsyncSession, month: str, *, up_to: int = 2**31 - 1) -> int:
    """The number of the newest revision up to that number; 0 when there is none."""
    return int(await (await raw_connection(session)).fetchval(_LATEST, month, up_to))


async def require_revision(session: AsyncSession, month: str, number: int) -> None:
    """Raises RevisionNotFound unless the month has that revision."""
    if await latest_revision(session, month, up_to=number) != number:
        raise rules.RevisionNotFound(
            f"{month} has no revision {number}", metadata={"month": month, "revision": str(number)}
        )


async def closed_grade(session: AsyncSession, store_id: str, month: str, number: int) -> ClosedGrade | None:
    """A store's grade in revision `number`; None when it has none."""
    row = await (await raw_connection(session)).fetchrow(_GRADE, month, store_id, number)
    return None if row is None else ClosedGrade(*row.values())


async def require_closed_grade(session: AsyncSession, store_id: str, month: str, number: int) -> ClosedGrade:
    """A store's grade in revision `number`.

    Raises:
        RevisionNotFound: there is no such revision, or the store has no grade in it.
    """
    await require_revision(session, month, number)
    grade = await closed_grade(session, store_id, month, number)
    if grade is None:
        raise rules.RevisionNotFound(f"stores/{store_id} has no grade in revision {number} of {month}")
    return grade


async def late_changes(session: AsyncSession, store_id: str, month: str) -> int:
    """How many of a store's answers count differently now from the latest revision."""
    return int(await (await raw_connection(session)).fetchval(_LATE_OF_STORE, month, store_id))


async def changes_since(session: AsyncSession, store_id: str, month: str, revision: int) -> int:
    """The same against the revision that fixed a grade of the store, however old."""
    return int(await (await raw_connection(session)).fetchval(_SINCE, month, store_id, revision))


async def is_late(session: AsyncSession, store_id: str, month: str, response_id: UUID) -> bool:
    """Whether one answer counts differently now from the latest revision."""
    return bool(await (await raw_connection(session)).fetchval(_IS_LATE, month, store_id, response_id))


async def index_changes(
    session: AsyncSession, month: str, number: int, *, after: tuple[str, str, int], limit: int
) -> list[IndexChange]:
    """What a revision changed, by store and model version, from the one after that key on."""
    connection = await raw_connection(session)
    return [_change(row) for row in await connection.fetch(_CHANGES, month, number, *after, limit)]


def _change(row: Any) -> IndexChange:
    had, has = bool(row["n_before"]), bool(row["n"])
    return IndexChange(
        store_id=row["store_id"],
        model_code=row["model_code"],
        model_version=row["model_version"],
        before=Tally(row["n_before"], row["total_before"], int(row["square_before"])) if had else None,
        after=Tally(row["n"], row["total"], int(row["square"])) if has else None,
        added=tuple(row["added"] or ()),
        removed=tuple(row["removed"] or ()),
        changed=tuple(row["changed"] or ()),
    )


def _tally(row: Any) -> Tally:
    return Tally(row["n"], row["total"], int(row["square"]), row["top"], row["bottom"])
