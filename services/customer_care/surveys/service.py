"""Surveys: showing them, and taking their answers exactly once (CARE-05)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.care_plans.model import CarePlan
from customer_care.complaints.model import Complaint
from customer_care.followups.service import FollowUps
from customer_care.stores import StoreCache
from customer_care.surveys import rules
from customer_care.surveys.cases import Cases
from customer_care.surveys.catalogue import QuestionnaireCatalogue
from customer_care.surveys.links import SurveyLinkInvalid, SurveyLinks
from customer_care.surveys.model import Response, Survey
from customer_care.surveys.values import Answers, Given, InterviewMode, QuestionnaireVersion, SurveyState
from dealerloop.customer_care.events.v1 import events_pb2
from dealerloop.customer_care.v1 import surveys_pb2
from dealership.stores import Store
from kit.db.etag import check_etag
from kit.db.paging import decode_token, encode_token, keyset, page_size, query_hash, split
from kit.errors import NotFound
from kit.messaging import outbox
from kit.vault import Vault

TEXTS = "customer_care.response.texts"
_LARGEST_PAGE = 200
# Answered once, so that a response has one version.
_RESPONSE_VERSION = 1
_STORED = (SurveyState.OPEN, SurveyState.EXPIRED)


class SurveyNotFound(NotFound):
    """There is no such survey in this store."""

    reason = "SURVEY_NOT_FOUND"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which surveys of a store a list shows; None does not limit."""

    store_id: str
    delivery_id: UUID | None = None
    state: SurveyState | None = None


class SurveyView(NamedTuple):
    """A survey with all that is shown of it.

    The answers are None in lists and before it was answered; `complaint_id` is the case that they opened (CARE-07).
    """

    survey: Survey
    plan: CarePlan
    state: SurveyState
    mode: InterviewMode | None
    answers: Answers | None
    complaint_id: UUID | None


class PublicView(NamedTuple):
    """What anybody with the link may see."""

    state: SurveyState
    questionnaire: QuestionnaireVersion
    store: Store
    plan: CarePlan


class Submission(NamedTuple):
    """Answers as they came in; `actor` is who keyed them in, None when the customer used the link."""

    answers: Sequence[Given]
    mode: InterviewMode
    actor: str | None
    etag: str = ""


class Surveys:
    """The use cases of surveys."""

    def __init__(
        self,
        questionnaires: QuestionnaireCatalogue,
        follow_ups: FollowUps,
        cases: Cases,
        stores: StoreCache,
        links: SurveyLinks,
        vault: Vault,
    ) -> None:
        self._questionnaires = questionnaires
        self._follow_ups = follow_ups
        self._cases = cases
        self._stores = stores
        self._links = links
        self._vault = vault

    async def get(self, session: AsyncSession, store_id: str, survey_id: UUID, now: datetime) -> SurveyView:
        """Return one survey with its answers. Raises SurveyNotFound."""
        query = _select(store_id).where(Survey.id == survey_id)
        row = (await session.execute(query)).one_or_none()
        if row is None:
            raise SurveyNotFound("there is no such survey in this store")
        survey, plan, response, complaint_id = row
        answers = self._answers(response) if response is not None else None
        mode = response.mode if response is not None else None
        state = rules.state_at(survey.state, survey.expire_time, now)
        return SurveyView(survey, plan, state, mode, answers, complaint_id)

    async def page(
        self, session: AsyncSession, wanted: Filter, size: int, token: str, now: datetime
    ) -> tuple[list[SurveyView], str]:
        """Return a page, newest first, and the token of the next one. One query."""
        digest = query_hash("surveys", wanted)
        limit = page_size(size, largest=_LARGEST_PAGE)
        query = keyset(_filtered(wanted, now), [Survey.id], decode_token(token, digest), limit, descending=True)
        rows, last = split((await session.execute(query)).all(), limit)
        views = [
            SurveyView(
                survey,
                plan,
                rules.state_at(survey.state, survey.expire_time, now),
                response.mode if response is not None else None,
                None,
                complaint_id,
            )
            for survey, plan, response, complaint_id in rows
        ]
        return views, encode_token([last[0].id], digest) if last is not None else ""

    async def submit(
        self, session: AsyncSession, store_id: str, survey_id: UUID, submission: Submission, now: datetime
    ) -> SurveyView:
        """Take the answers that a specialist keyed in. Raises SurveyNotFound and what `_take` raises."""
        survey, plan = await self._locked(session, survey_id, store_id)
        await self._take(session, survey, plan, submission, now)
        return await self.get(session, store_id, survey_id, now)

    async def public(self, session: AsyncSession, token: str, now: datetime) -> PublicView:
        """Return what the page of a link shows, whatever the survey's state. Raises SurveyLinkInvalid."""
        query = select(Survey, CarePlan).join(CarePlan, CarePlan.delivery_id == Survey.delivery_id)
        row = (await session.execute(query.where(Survey.id == self._links.survey_id(token)))).one_or_none()
        if row is None:
            raise SurveyLinkInvalid("there is no survey with this link")
        return await self._public_view(session, *row, now)

    async def submit_public(
        self, session: AsyncSession, token: str, answers: Sequence[Given], now: datetime
    ) -> PublicView:
        """Take the answers of the page. Raises SurveyLinkInvalid and what `_take` raises."""
        try:
            survey, plan = await self._locked(session, self._links.survey_id(token), None)
        except SurveyNotFound:
            raise SurveyLinkInvalid("there is no survey with this link") from None
        await self._take(session, survey, plan, Submission(answers, InterviewMode.LINK, None), now)
        return await self._public_view(session, survey, plan, now)

    async def _take(
        self, session: AsyncSession, survey: Survey, plan: CarePlan, submission: Submission, now: datetime
    ) -> None:
        """Keep the answers of a locked survey, tell scoring, end the follow-up, and open a case where one is due.

        Raises StaleEtag, SurveyAlreadySubmitted, SurveyExpired, SurveyCancelled, AnswersInvalid.
        """
        rules.answerable(rules.state_at(survey.state, survey.expire_time, now))
        check_etag(submission.etag, survey.version)
        questionnaire = await self._questionnaires.get(session, survey.questionnaire, survey.questionnaire_number)
        answers = rules.check(questionnaire, submission.answers)
        texts = json.dumps(dict(answers.texts), ensure_ascii=False) if answers.texts else ""
        session.add(
            Response(
                survey_id=survey.id,
                store_id=survey.store_id,
                mode=submission.mode,
                actor=submission.actor or "public",
                submit_time=now,
                marks=dict(answers.marks),
                sealed_texts=self._vault.seal(TEXTS, texts) if texts else None,
            )
        )
        survey.state = SurveyState.SUBMITTED
        survey.submit_time = now
        survey.version += 1
        await session.flush()
        event = submitted_event(survey, plan, questionnaire, answers, submission.mode)
        await outbox.add(session, event, key=event.delivery_id, now=now)
        await self._follow_ups.reached_by_survey(session, survey, actor=submission.actor, now=now)
        await self._cases.open(
            session, survey, plan, questionnaire=questionnaire, answers=answers, actor=submission.actor, now=now
        )

    async def _locked(self, session: AsyncSession, survey_id: UUID, store_id: str | None) -> tuple[Survey, CarePlan]:
        # The plan is locked first, as by everything that changes what belongs to it; whoever comes second sees the
        # survey as the first has left it.
        query = select(CarePlan).join(Survey, Survey.delivery_id == CarePlan.delivery_id).where(Survey.id == survey_id)
        if store_id is not None:
            query = query.where(Survey.store_id == store_id)
        plan = (await session.scalars(query.with_for_update(of=CarePlan))).one_or_none()
        survey = await session.get(Survey, survey_id) if plan is not None else None
        if plan is None or survey is None:
            raise SurveyNotFound("there is no such survey in this store")
        return survey, plan

    async def _public_view(self, session: AsyncSession, survey: Survey, plan: CarePlan, now: datetime) -> PublicView:
        questionnaire = await self._questionnaires.get(session, survey.questionnaire, survey.questionnaire_number)
        state = rules.state_at(survey.state, survey.expire_time, now)
        return PublicView(state, questionnaire, await self._stores.get(session, survey.store_id), plan)

    def _answers(self, response: Response) -> Answers:
        sealed = response.sealed_texts
        return Answers(response.marks, json.loads(self._vault.open(TEXTS, sealed)) if sealed else {})


def submitted_event(
    survey: Survey, plan: CarePlan, questionnaire: QuestionnaireVersion, answers: Answers, mode: InterviewMode
) -> events_pb2.ResponseSubmitted:
    """Return what scoring is told of a response: the marks of its scale questions, and no text."""
    types = {question.code: question.type for question in questionnaire.questions}
    event = events_pb2.ResponseSubmitted(
        response_id=str(survey.id),
        store_id=survey.store_id,
        version=_RESPONSE_VERSION,
        delivery_id=str(survey.delivery_id),
        consultant_id=plan.consultant_id,
        customer_id=str(plan.customer_id or ""),
        satisfaction_model=questionnaire.satisfaction_model,
        questionnaire_version=questionnaire.name,
        mode=f"INTERVIEW_MODE_{mode.name}",
    )
    assert survey.submit_time is not None
    event.submit_time.FromDatetime(survey.submit_time)
    for code, mark in answers.marks.items():
        kind = surveys_pb2.QuestionType.Value(f"QUESTION_TYPE_{types[code].name}")
        event.marks.add(question=code, type=kind, mark=mark)
    return event


def _select(store_id: str) -> Select[Survey, CarePlan, Response, UUID]:
    query = select(Survey, CarePlan, Response, Complaint.id).join(CarePlan, CarePlan.delivery_id == Survey.delivery_id)
    query = query.outerjoin(Response, Response.survey_id == Survey.id)
    return query.outerjoin(Complaint, Complaint.survey_id == Survey.id).where(Survey.store_id == store_id)


def _filtered(wanted: Filter, now: datetime) -> Select[Survey, CarePlan, Response, UUID]:
    query = _select(wanted.store_id)
    if wanted.delivery_id is not None:
        query = query.where(Survey.delivery_id == wanted.delivery_id)
    if wanted.state in _STORED:
        expired = Survey.expire_time <= now
        query = query.where(
            Survey.state == SurveyState.OPEN, expired if wanted.state is SurveyState.EXPIRED else ~expired
        )
    elif wanted.state is not None:
        query = query.where(Survey.state == wanted.state)
    return query
