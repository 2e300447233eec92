"""The sums that a store's grade of a month is read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from scoring.grades.model import GradeCell
from scoring.grades.values import Tally
from scoring.models.values import SatisfactionModel

ByCode = dict[str, Tally]
ByModel = dict[tuple[str, int], ByCode]

_SUMS = tuple(
    func.sum(column) for column in (GradeCell.n, GradeCell.total, GradeCell.square, GradeCell.top, GradeCell.bottom)
)


class Sums(Protocol):
    """Where the sums of one store and month come from: the live cells, or those of a closed revision."""

    async def by_model(self, session: AsyncSession) -> ByModel:
        """Over consultants and interview modes: by model version, then by code."""

    async def by_consultant(self, session: AsyncSession, model: SatisfactionModel) -> ByCode:
        """The sums of the index of one model version by consultant."""


@dataclass(frozen=True)
class LiveSums:
    """They move with every answer."""

    store_id: str
    month: str

    async def by_model(self, session: AsyncSession) -> ByModel:
        """See `Sums`; codes that nobody answers any more are left out."""
        query = (
            select(GradeCell.model_code, GradeCell.model_version, GradeCell.code, *_SUMS)
            .where(GradeCell.store_id == self.store_id, GradeCell.month == self.month)
            .group_by(GradeCell.model_code, GradeCell.model_version, GradeCell.code)
            .having(func.sum(GradeCell.n) > 0)
        )
        found: ByModel = {}
        for code, version, cell, *sums in await session.execute(query):
            found.setdefault((code, version), {})[cell] = Tally(*map(int, sums))
        return found

    async def by_consultant(self, session: AsyncSession, model: SatisfactionModel) -> ByCode:
        """See `Sums`."""
        query = (
            select(GradeCell.consultant_id, *_SUMS)
            .where(
                GradeCell.store_id == self.store_id,
                GradeCell.month == self.month,
                GradeCell.model_code == model.code,
                GradeCell.model_version == model.version,
                GradeCell.code == model.index_code,
            )
            .group_by(GradeCell.consultant_id)
            .order_by(GradeCell.consultant_id)
        )
        return {consultant: Tally(*map(int, sums)) for consultant, *sums in await session.execute(query)}
