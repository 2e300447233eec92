"""Questionnaires: finding versions."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.surveys.model import QuestionnaireRow, questionnaire_of
from customer_care.surveys.values import QuestionnaireVersion
from kit.errors import NotFound


class QuestionnaireNotFound(NotFound):
    """There is no such questionnaire, or no such version of it."""

    reason = "QUESTIONNAIRE_NOT_FOUND"


class QuestionnaireCatalogue:
    """Published versions of questionnaires, kept in memory, because they never change."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], QuestionnaireVersion] = {}

    async def codes(self, session: AsyncSession) -> list[str]:
        """Return the codes of all questionnaires."""
        return list(await session.scalars(select(QuestionnaireRow.code).distinct()))

    async def published(self, session: AsyncSession) -> dict[str, list[QuestionnaireVersion]]:
        """Return all versions by the code of their questionnaire."""
        keys = (await session.execute(select(QuestionnaireRow.code, QuestionnaireRow.number))).all()
        versions: dict[str, list[QuestionnaireVersion]] = {}
        for version in (await self._load(session, keys)).values():
            versions.setdefault(version.code, []).append(version)
        return versions

    async def get(self, session: AsyncSession, code: str, number: int) -> QuestionnaireVersion:
        """Return one version. Raises QuestionnaireNotFound."""
        found = await self._load(session, [(code, number)])
        if not found:
            raise QuestionnaireNotFound("there is no such version of a questionnaire")
        return found[code, number]

    async def _load(
        self, session: AsyncSession, keys: Iterable[tuple[str, int]]
    ) -> dict[tuple[str, int], QuestionnaireVersion]:
        wanted = list(keys)
        missing = [key for key in wanted if key not in self._known]
        if missing:
            query = select(QuestionnaireRow).where(tuple_(QuestionnaireRow.code, QuestionnaireRow.number).in_(missing))
            for row in await session.scalars(query):
                self._known[row.code, row.number] = questionnaire_of(row)
        return {key: self._known[key] for key in wanted if key in self._known}
