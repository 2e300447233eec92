"""Counting responses into live grades, exactly once and in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import orjson
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from dealerloop.customer_care.v1.surveys_pb2 import InterviewMode, QuestionType
from dealerloop.scoring.events.v1.events_pb2 import ResponseCounted
from dealership.stores import Store, get_stores
from kit.db.engine import raw_connection
from kit.messaging import outbox
from kit.rpc.client import Peer
from scoring.grades import rules
from scoring.grades.model import GradeCell, ResponseRow
from scoring.grades.values import CellKey, Mark, Response, Scale, Tally
from scoring.models.rules import choose
from scoring.models.service import ModelCatalogue
from scoring.models.values import SatisfactionModel

_SCALES = {
    QuestionType.QUESTION_TYPE_SCALE_7: Scale.SCALE_7,
    QuestionType.QUESTION_TYPE_SCALE_10: Scale.SCALE_10,
    QuestionType.QUESTION_TYPE_NPS: Scale.NPS,
    QuestionType.QUESTION_TYPE_YES_NO: Scale.YES_NO,
}

_SAVE = """
insert into response (response_id, store_id, version, delivery_id, consultant_id, customer_id, mode, month, submit_time,
                      questionnaire_version, model_code, model_version, marks)
select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::timestamptz[], $10::text[], $11::text[], $12::int[], $13::jsonb[])
on conflict (response_id) do update set
    version = excluded.version, consultant_id = excluded.consultant_id, customer_id = excluded.customer_id,
    mode = excluded.mode, month = excluded.month, submit_time = excluded.submit_time,
    questionnaire_version = excluded.questionnaire_version, model_code = excluded.model_code,
    model_version = excluded.model_version, marks = excluded.marks
"""

_ADD = """
insert into grade_cell as cell (store_id, month, model_code, model_version, consultant_id, mode, code,
                                n, total, square, top, bottom)
select * from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[],
                     $8::bigint[], $9::bigint[], $10::numeric[], $11::bigint[], $12::bigint[])
on conflict (store_id, month, model_code, model_version, consultant_id, mode, code) do update set
    n = cell.n + excluded.n, total = cell.total + excluded.total, square = cell.square + excluded.square,
    top = cell.top + excluded.top, bottom = cell.bottom + excluded.bottom
"""


class Counting:
    """The use case: responses in, cells changed, told."""

    def __init__(self, catalogue: ModelCatalogue, gateway: Peer) -> None:
        self._catalogue = catalogue
        self._gateway = gateway

    async def count(
        self, session: AsyncSession, submitted: Iterable[ResponseSubmitted], now: datetime, *, as_is: bool = False
    ) -> None:
        """Counts the newest version of each response and takes back the version that it replaces.

        `as_is` counts them even where a higher version is known: after customer care was restored from a backup its
        versions went back.

        Raises:
            ModelNotFound: a response names a model that does not exist.
            MarkOutOfScale: a mark is not on its scale.
        """
        newest: dict[str, ResponseSubmitted] = {}
        for message in submitted:
            known = newest.get(message.response_id)
            if known is None or known.version < message.version:
                newest[message.response_id] = message
        # In the order of the key, so that two workers can never lock the same rows crosswise.
        messages = [newest[key] for key in sorted(newest)]
        await _lock(session, [UUID(message.response_id) for message in messages])
        known_rows = await _stored(session, [UUID(message.response_id) for message in messages])
        models = await self._models(session, messages, known_rows.values())
        stores = await get_stores(session, self._gateway, {message.store_id for message in messages})

        fresh: list[tuple[ResponseSubmitted, Response]] = []
        replaced: list[Response] = []
        for message in messages:
            old = known_rows.get(UUID(message.response_id))
            if old is not None and old.version >= message.version and not as_is:
                continue
            response = _response(message, stores[message.store_id], models[message.satisfaction_model])
            fresh.append((message, response))
            if old is not None:
                replaced.append(old)
        if not fresh:
            return
        by_version = {(model.code, model.version): model for found in models.values() for model, _ in found}

        def with_model(response: Response) -> tuple[SatisfactionModel, Response]:
            return by_version[response.model_code, response.model_version], response

        changed = rules.changes(map(with_model, replaced), (with_model(response) for _, response in fresh))
        await _save(session, fresh)
        await _add(session, changed)
        await outbox.add_many(session, [(_counted(response), str(response.id)) for _, response in fresh], now=now)

    async def _models(
        self, session: AsyncSession, messages: Sequence[ResponseSubmitted], stored: Iterable[Response]
    ) -> dict[str, list[tuple[SatisfactionModel, datetime]]]:
        codes = {message.satisfaction_model for message in messages} | {response.model_code for response in stored}
        return {code: await self._catalogue.require(session, code) for code in sorted(codes)}


async def store_tallies(session: AsyncSession, store_id: str, month: str) -> dict[tuple[str, int], dict[str, Tally]]:
    """The sums of a store's month over consultants and interview modes: by model version, then by code."""
    query = (
        select(GradeCell.model_code, GradeCell.model_version, GradeCell.code, *_SUMS)
        .where(GradeCell.store_id == store_id, GradeCell.month == month)
        .group_by(GradeCell.model_code, GradeCell.model_version, GradeCell.code)
        .having(func.sum(GradeCell.n) > 0)
    )
    found: dict[tuple[str, int], dict[str, Tally]] = {}
    for code, version, cell, *sums in await session.execute(query):
        found.setdefault((code, version), {})[cell] = Tally(*map(int, sums))
    return found


async def consultant_tallies(
    session: AsyncSession, store_id: str, month: str, model: SatisfactionModel
) -> dict[str, Tally]:
    """The sums of the index of one model version by consultant."""
    query = (
        select(GradeCell.consultant_id, *_SUMS)
        .where(
            GradeCell.store_id == store_id,
            GradeCell.month == month,
            GradeCell.model_code == model.code,
            GradeCell.model_version == model.version,
            GradeCell.code == model.index_code,
        )
        .group_by(GradeCell.consultant_id)
        .order_by(GradeCell.consultant_id)
    )
    return {consultant: Tally(*map(int, sums)) for consultant, *sums in await session.execute(query)}


_SUMS = tuple(
    func.sum(column) for column in (GradeCell.n, GradeCell.total, GradeCell.square, GradeCell.top, GradeCell.bottom)
)


async def _lock(session: AsyncSession, ids: Sequence[UUID]) -> None:
    """Two workers never count versions of the same response at once, also before its first row exists."""
    connection = await raw_connection(session)
    await connection.execute(
        "select pg_advisory_xact_lock(hashtextextended(id::text, 0)) from unnest($1::uuid[]) as id", list(ids)
    )


async def _stored(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Response]:
    rows = await session.scalars(select(ResponseRow).where(ResponseRow.response_id.in_(ids)))
    return {
        row.response_id: Response(
            id=row.response_id,
            store_id=row.store_id,
            version=row.version,
            delivery_id=row.delivery_id,
            consultant_id=row.consultant_id,
            mode=row.mode,
            month=row.month,
            model_code=row.model_code,
            model_version=row.model_version,
            marks=tuple(Mark(question, Scale[scale], mark) for question, scale, mark in row.marks),
        )
        for row in rows
    }


async def _save(session: AsyncSession, fresh: Sequence[tuple[ResponseSubmitted, Response]]) -> None:
    connection = await raw_connection(session)
    responses = [response for _, response in fresh]
    await connection.execute(
        _SAVE,
        [response.id for response in responses],
        [response.store_id for response in responses],
        [response.version for response in responses],
        [response.delivery_id for response in responses],
        [response.consultant_id for response in responses],
        [message.customer_id for message, _ in fresh],
        [response.mode for response in responses],
        [response.month for response in responses],
        [_instant(message) for message, _ in fresh],
        [message.questionnaire_version for message, _ in fresh],
        [response.model_code for response in responses],
        [response.model_version for response in responses],
        [_marks_json(response) for response in responses],
    )


async def _add(session: AsyncSession, changed: Mapping[CellKey, Tally]) -> None:
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


def _response(
    message: ResponseSubmitted, store: Store, versions: Sequence[tuple[SatisfactionModel, datetime]]
) -> Response:
    submit_time = _instant(message)
    model = choose(versions, submit_time)
    return Response(
        id=UUID(message.response_id),
        store_id=message.store_id,
        version=message.version,
        delivery_id=UUID(message.delivery_id),
        consultant_id=message.consultant_id,
        mode=InterviewMode.Name(message.mode),
        month=store.local_date(submit_time).strftime("%Y-%m"),
        model_code=model.code,
        model_version=model.version,
        marks=tuple(Mark(mark.question, _SCALES[mark.type], mark.mark) for mark in message.marks),
    )


def _marks_json(response: Response) -> str:
    return orjson.dumps([(mark.question, mark.scale.name, mark.mark) for mark in response.marks]).decode()


def _counted(response: Response) -> ResponseCounted:
    return ResponseCounted(
        response_id=str(response.id),
        store_id=response.store_id,
        month=response.month,
        satisfaction_model_version=f"satisfactionModels/{response.model_code}/versions/{response.model_version}",
        version=response.version,
    )


def _instant(message: ResponseSubmitted) -> datetime:
    return message.submit_time.ToDatetime(tzinfo=UTC)
