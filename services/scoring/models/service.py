"""Finding the version of a satisfaction model that applies."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import NotFound
from scoring.models.model import SatisfactionModelRow
from scoring.models.rules import parse
from scoring.models.values import SatisfactionModel


class ModelNotFound(NotFound):
    """There is no such satisfaction model, or no such version of it."""

    reason = "SATISFACTION_MODEL_NOT_FOUND"


class ModelCatalogue:
    """Published versions, parsed once: they never change, so a version that was read is kept for good."""

    def __init__(self) -> None:
        self._parsed: dict[tuple[str, int], SatisfactionModel] = {}

    async def get(self, session: AsyncSession, code: str, version: int) -> tuple[SatisfactionModel, datetime]:
        """One version and when it came into force.

        Raises:
            ModelNotFound: no such version.
        """
        row = await session.get(SatisfactionModelRow, (code, version))
        if row is None:
            raise ModelNotFound(f"there is no version {version} of satisfaction model {code}")
        return self._of(row), row.publish_time

    async def versions(self, session: AsyncSession, code: str) -> list[tuple[SatisfactionModel, datetime]]:
        """All versions of a model, newest first; empty when there is none."""
        query = select(SatisfactionModelRow).where(SatisfactionModelRow.code == code)
        rows = await session.scalars(query.order_by(SatisfactionModelRow.version.desc()))
        return [(self._of(row), row.publish_time) for row in rows]

    async def codes(self, session: AsyncSession) -> list[str]:
        """The codes of all models."""
        query = select(SatisfactionModelRow.code).distinct().order_by(SatisfactionModelRow.code)
        return list(await session.scalars(query))

    async def require(self, session: AsyncSession, code: str) -> list[tuple[SatisfactionModel, datetime]]:
        """All versions of a model, newest first; at least one.

        Raises:
            ModelNotFound: there is no such model.
        """
        versions = await self.versions(session, code)
        if not versions:
            raise ModelNotFound(f"there is no satisfaction model {code}")
        return versions

    def _of(self, row: SatisfactionModelRow) -> SatisfactionModel:
        key = (row.code, row.version)
        if key not in self._parsed:
            self._parsed[key] = parse(row.content, row.version)
        return self._parsed[key]
