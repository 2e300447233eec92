"""Counting responses into live grades, exactly once and in any order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from dealerloop.customer_care.v1.surveys_pb2 import InterviewMode, QuestionType
from dealerloop.scoring.events.v1.events_pb2 import ResponseCounted
from dealership.stores import Store, get_stores
from kit.messaging import outbox
from kit.rpc.client import Peer
from scoring.grades import rows, rules
from scoring.grades.values import Mark, Response, Scale
from scoring.models.rules import choose
from scoring.models.service import ModelCatalogue
from scoring.models.values import SatisfactionModel
from scoring.months import counting as months

_SCALES = {
    QuestionType.QUESTION_TYPE_SCALE_7: Scale.SCALE_7,
    QuestionType.QUESTION_TYPE_SCALE_10: Scale.SCALE_10,
    QuestionType.QUESTION_TYPE_NPS: Scale.NPS,
    QuestionType.QUESTION_TYPE_YES_NO: Scale.YES_NO,
}
Versions = Sequence[tuple[SatisfactionModel, datetime]]


class Counting:
    """The use case: responses in, cells changed, told."""

    def __init__(self, catalogue: ModelCatalogue, gateway: Peer) -> None:
        self._catalogue = catalogue
        self._gateway = gateway

    async def count(
        self, session: AsyncSession, submitted: Iterable[ResponseSubmitted], now: datetime, *, as_is: bool = False
    ) -> None:
        """Counts the newest version of each response and takes back the version that it replaces.

        An excluded response is kept up to date, but stays out of the cells. What belongs to a closed month is counted
        in the live cells all the same, and noted for its next revision (SCR-08).

        `as_is` counts them even where a higher version is known: after customer care was restored from a backup its
        versions went back.

        Raises:
            ModelNotFound: a response names a model that does not exist.
            MarkOutOfScale: a mark is not on its scale.
        """
        newest: dict[UUID, ResponseSubmitted] = {}
        for message in submitted:
            known = newest.get(UUID(message.response_id))
            if known is None or known.version < message.version:
                newest[UUID(message.response_id)] = message
        await rows.lock(session, newest)
        stored = await rows.stored(session, newest)
        models = await self._models(session, newest.values(), stored.values())
        stores = await get_stores(session, self._gateway, {message.store_id for message in newest.values()})

        fresh: list[Response] = []
        replaced: list[Response] = []
        for identity in sorted(newest):
            message, old = newest[identity], stored.get(identity)
            if old is not None and old.version >= message.version and not as_is:
                continue
            excluded = old is not None and old.excluded
            response = _response(message, stores[message.store_id], models[message.satisfaction_model], excluded)
            if response == old:
                continue
            fresh.append(response)
            if old is not None:
                replaced.append(old)
        if not fresh:
            return
        by_version = {(model.code, model.version): model for found in models.values() for model, _ in found}

        def counting(responses: Iterable[Response]) -> Iterable[tuple[SatisfactionModel, Response]]:
            return ((by_version[one.model_code, one.model_version], one) for one in responses if not one.excluded)

        changed = rules.changes(counting(replaced), counting(fresh))
        await months.hold_open(session, {response.month for response in (*replaced, *fresh)})
        await rows.save(session, fresh)
        await rows.add(session, changed)
        await months.touch(session, (*replaced, *fresh))
        told = [(_counted(response), str(response.id)) for response in fresh if not response.excluded]
        await outbox.add_many(session, told, now=now)

    async def _models(
        self, session: AsyncSession, messages: Iterable[ResponseSubmitted], stored: Iterable[Response]
    ) -> dict[str, list[tuple[SatisfactionModel, datetime]]]:
        codes = {message.satisfaction_model for message in messages} | {response.model_code for response in stored}
        return {code: await self._catalogue.require(session, code) for code in sorted(codes)}


def _response(message: ResponseSubmitted, store: Store, versions: Versions, excluded: bool) -> Response:
    submit_time = message.submit_time.ToDatetime(tzinfo=UTC)
    model = choose(versions, submit_time)
    return Response(
        id=UUID(message.response_id),
        store_id=message.store_id,
        version=message.version,
        delivery_id=UUID(message.delivery_id),
        consultant_id=message.consultant_id,
        customer_id=message.customer_id,
        mode=InterviewMode.Name(message.mode),
        month=store.local_date(submit_time).strftime("%Y-%m"),
        submit_time=submit_time,
        questionnaire_version=message.questionnaire_version,
        model_code=model.code,
        model_version=model.version,
        marks=tuple(Mark(mark.question, _SCALES[mark.type], mark.mark) for mark in message.marks),
        excluded=excluded,
    )


def _counted(response: Response) -> ResponseCounted:
    return ResponseCounted(
        response_id=str(response.id),
        store_id=response.store_id,
        month=response.month,
        satisfaction_model_version=f"satisfactionModels/{response.model_code}/versions/{response.model_version}",
        version=response.version,
    )
