"""All responses as their latest events would tell them, for a service that builds its copy from nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.care_plans.model import CarePlan
from customer_care.surveys.catalogue import QuestionnaireCatalogue
from customer_care.surveys.model import Response, Survey
from customer_care.surveys.service import submitted_event
from customer_care.surveys.values import Answers
from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from dealerloop.customer_care.events.v1.projections_pb2 import (
    ListResponsesForProjectionRequest,
    ListResponsesForProjectionResponse,
)
from kit.rpc.server import Call

_CHUNK = 500


class ResponseProjectionEdge:
    """Serves `ResponseProjectionService`."""

    def __init__(self, questionnaires: QuestionnaireCatalogue) -> None:
        self._questionnaires = questionnaires

    async def list_responses_for_projection(
        self, call: Call, _request: ListResponsesForProjectionRequest
    ) -> AsyncIterator[ListResponsesForProjectionResponse]:
        """Yield every response in reach, by id; free text stays here."""
        async for event in every(call.session, self._questionnaires):
            yield ListResponsesForProjectionResponse(response=event)


async def every(session: AsyncSession, questionnaires: QuestionnaireCatalogue) -> AsyncIterator[ResponseSubmitted]:
    """Yield the event of every response, a bounded number in memory."""
    query = (
        select(Survey, CarePlan, Response)
        .join(Response, Response.survey_id == Survey.id)
        .join(CarePlan, CarePlan.delivery_id == Survey.delivery_id)
        .order_by(Survey.id)
        .limit(_CHUNK)
    )
    last: UUID | None = None
    while True:
        rows = (await session.execute(query if last is None else query.where(Survey.id > last))).all()
        for survey, plan, response in rows:
            version = await questionnaires.get(session, survey.questionnaire, survey.questionnaire_number)
            yield submitted_event(survey, plan, version, Answers(response.marks, {}), response.mode)
        if len(rows) < _CHUNK:
            return
        last = rows[-1][0].id
        session.expunge_all()
