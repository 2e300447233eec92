"""Cases that the answers of a survey open, in the transaction that takes them (CARE-07)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.care_plans.model import CarePlan
from customer_care.complaints.levels import LANGUAGES, Thresholds, find
from customer_care.complaints.service import Complaints
from customer_care.complaints.values import SYSTEM, Channel, Opening
from customer_care.surveys.model import Survey
from customer_care.surveys.values import Answers, QuestionnaireVersion


class Cases:
    """Opens a case where the answers ask for one; `language` is that of the words in it."""

    def __init__(self, complaints: Complaints, thresholds: Thresholds, language: str = LANGUAGES[0]) -> None:
        self._complaints = complaints
        self._thresholds = thresholds
        self._language = language

    async def open(
        self,
        session: AsyncSession,
        survey: Survey,
        plan: CarePlan,
        *,
        questionnaire: QuestionnaireVersion,
        answers: Answers,
        actor: str | None,
        now: datetime,
    ) -> None:
        """Open the case of a survey that was answered just now, if any; `actor` is None when the customer answered.

        A survey is answered once, under a lock, so that a response has one case at the most.
        """
        finding = find(questionnaire, answers, self._thresholds, self._language)
        if finding is None:
            return
        opening = Opening(
            store_id=survey.store_id,
            level=finding.level,
            kind=finding.kind,
            channel=Channel.SURVEY,
            description=finding.description,
            actor=actor or SYSTEM,
            severity=finding.severity,
            customer_id=plan.customer_id,
            vin=plan.vin,
            delivery_id=survey.delivery_id,
            survey_id=survey.id,
            department=finding.department,
        )
        await self._complaints.open(session, opening, now)
