"""Recomputing grades from responses, one store and month at a time: memory does not grow with the number of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.errors import InvalidArgument
from scoring.grades.rows import marks_of
from scoring.grades.rules import tallies
from scoring.grades.values import CellKey, Response, Tally
from scoring.models.service import ModelCatalogue
from scoring.models.values import SatisfactionModel
from scoring.verifying import rules
from scoring.verifying.values import Cells, Findings, Place

_AHEAD = 500
_PLACES = """
select month, store_id, 0 as revision from (
    select month, store_id from response union select month, store_id from grade_cell
) live where $1 in ('', month)
union all select month, store_id, revision from closed_grade where $1 in ('', month)
order by month, store_id, revision
"""
_STATE = (
    "response_id, version, delivery_id, consultant_id, customer_id, mode, submit_time, questionnaire_version,"
    " model_code, model_version, marks"
)
_LIVE_RESPONSES = f"select {_STATE} from response where month = $1 and store_id = $2 and not excluded"  # noqa: S608 - columns
_KEPT_RESPONSES = f"select {_STATE} from counted_response where month = $1 and store_id = $2 and revision = $3"  # noqa: S608 - columns
_CELL = "model_code, model_version, consultant_id, mode"
_LIVE_CELLS = f"""
select {_CELL}, code, n, total, square, top, bottom from grade_cell
where month = $1 and store_id = $2 and (n, total, square, top, bottom) <> (0, 0, 0, 0, 0)
"""  # noqa: S608 - columns
_KEPT_CELLS = f"""
select {_CELL}, cell.code, cell.n, cell.total, cell.square, cell.top, cell.bottom
from closed_cells
cross join lateral unnest(codes, n, total, square, top, bottom) as cell(code, n, total, square, top, bottom)
where month = $1 and store_id = $2 and revision = $3
"""  # noqa: S608 - columns
_KEPT_GRADE = "select responses from closed_grade where month = $1 and store_id = $2 and revision = $3"
_KEPT_INDEX = """
select model_code, model_version, n, total, square from closed_index
where month = $1 and store_id = $2 and revision = $3
"""
# Noted one by one as they come; counted here by comparing everything that is live with everything that was fixed.
_LATE = "select count(*) from late_change where month = $1 and store_id = $2"
_LATE_BY_COMPARISON = f"""
select count(*) from (
    select {_STATE} from response where month = $1 and store_id = $2 and not excluded
) live full join (
    select {_STATE} from counted_response
    where month = $1 and store_id = $2 and revision = (
        select max(revision) from closed_grade where month = $1 and store_id = $2
    )
) fixed using (response_id)
where live is distinct from fixed and exists (select 1 from month_revision where month = $1)
"""  # noqa: S608 - columns
Tell = Callable[[str], None]


class Verifying:
    """Recomputes live and closed grades; only reads."""

    def __init__(self, database: Database, catalogue: ModelCatalogue) -> None:
        self._database = database
        self._catalogue = catalogue

    async def run(self, month: str, tell: Tell) -> Findings:
        """Recomputes one month, or every month when none is named; tells each difference in one line.

        Each store and month is compared as it is at one moment, so that counting may go on meanwhile.
        """
        findings = Findings()
        async with self._database.transaction(Scope.system("verify"), read_only=True) as session:
            rows = await (await raw_connection(session)).fetch(_PLACES, month)
            models = await self._models(session)
        for row in rows:
            place = Place(**row)
            async with self._database.transaction(Scope.system("verify"), read_only=True) as session:
                await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                differences = await _compare(session, place, models, findings)
            for difference in differences:
                findings.differences += 1
                tell(difference)
        return findings

    async def _models(self, session: AsyncSession) -> dict[tuple[str, int], SatisfactionModel]:
        return {
            (model.code, model.version): model
            for code in await self._catalogue.codes(session)
            for model, _ in await self._catalogue.versions(session, code)
        }


async def _compare(
    session: AsyncSession, place: Place, models: Mapping[tuple[str, int], SatisfactionModel], findings: Findings
) -> list[str]:
    connection = await raw_connection(session)
    recomputed: Cells = {}
    unsound: list[str] = []
    responses = 0
    async for row in _responses(connection, place):
        responses += 1
        unsound += _count(place, row, models, recomputed)
    findings.months.add(place.month)
    findings.responses += responses
    findings.cells += len(recomputed)
    if place.revision:
        findings.revisions += 1
        return [*unsound, *await _closed(connection, place, models, recomputed, responses)]
    findings.stores += 1
    return [*unsound, *await _live(connection, place, recomputed)]


async def _live(connection: Any, place: Place, recomputed: Cells) -> list[str]:
    where = (place.month, place.store_id)
    stored = _cells(place, await connection.fetch(_LIVE_CELLS, *where))
    late = await connection.fetchval(_LATE, *where)
    compared = await connection.fetchval(_LATE_BY_COMPARISON, *where)
    return [
        *rules.cell_differences(place, stored, recomputed),
        *rules.count_difference(place, "late changes", late, compared),
    ]


async def _closed(
    connection: Any,
    place: Place,
    models: Mapping[tuple[str, int], SatisfactionModel],
    recomputed: Cells,
    responses: int,
) -> list[str]:
    where = (place.month, place.store_id, place.revision)
    stored = _cells(place, await connection.fetch(_KEPT_CELLS, *where))
    index = {
        (row["model_code"], row["model_version"]): Tally(row["n"], row["total"], int(row["square"]))
        for row in await connection.fetch(_KEPT_INDEX, *where)
    }
    counted = await connection.fetchval(_KEPT_GRADE, *where)
    return [
        *rules.cell_differences(place, stored, recomputed),
        *rules.index_differences(place, index, recomputed, models),
        *rules.count_difference(place, "responses", counted, responses),
    ]


def _responses(connection: Any, place: Place) -> AsyncIterator[Any]:
    """Streamed: a store may have any number of them."""
    where = (place.month, place.store_id)
    if place.revision:
        return connection.cursor(_KEPT_RESPONSES, *where, place.revision, prefetch=_AHEAD)  # type: ignore[no-any-return]
    return connection.cursor(_LIVE_RESPONSES, *where, prefetch=_AHEAD)  # type: ignore[no-any-return]


def _count(place: Place, row: Any, models: Mapping[tuple[str, int], SatisfactionModel], cells: Cells) -> Iterator[str]:
    """Adds what one response gives; what cannot be computed any more is a difference of its own."""
    try:
        model = models[row["model_code"], row["model_version"]]
        for key, tally in tallies(model, _response(place, row)):
            cells[key] = cells.get(key, Tally()) + tally
    except (KeyError, ValueError, TypeError, InvalidArgument) as error:
        yield f"{place} response {row['response_id']} cannot be computed: {type(error).__name__}"


def _response(place: Place, row: Any) -> Response:
    return Response(
        id=row["response_id"],
        store_id=place.store_id,
        version=row["version"],
        delivery_id=row["delivery_id"],
        consultant_id=row["consultant_id"],
        customer_id=row["customer_id"],
        mode=row["mode"],
        month=place.month,
        submit_time=row["submit_time"],
        questionnaire_version=row["questionnaire_version"],
        model_code=row["model_code"],
        model_version=row["model_version"],
        marks=marks_of(row["marks"]),
    )


def _cells(place: Place, rows: list[Any]) -> Cells:
    return {
        CellKey(
            place.store_id,
            place.month,
            row["model_code"],
            row["model_version"],
            row["consultant_id"],
            row["mode"],
            row["code"],
        ): Tally(row["n"], row["total"], int(row["square"]), row["top"], row["bottom"])
        for row in rows
    }
