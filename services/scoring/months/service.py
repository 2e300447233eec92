"""Closing and re-opening months (SCR-08)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.scoring.events.v1.events_pb2 import ClosedIndex, GradeClosed, MonthClosed
from kit.db.engine import raw_connection
from kit.messaging import outbox
from scoring.grades.rules import provisional
from scoring.grades.values import Tally
from scoring.models.model import SatisfactionModelRow
from scoring.models.service import ModelCatalogue
from scoring.models.values import SatisfactionModel
from scoring.months import counting, fixing, reading, rules
from scoring.months.values import Month

_FIXED = """
select grade.store_id, told.model_code, told.model_version, told.n, told.total
from closed_grade grade
left join closed_index told on told.month = $1 and told.revision = $2 and told.store_id = grade.store_id and told.n > 0
where grade.month = $1 and grade.revision = $2
order by grade.store_id, told.model_code, told.model_version
"""


class Closing:
    """The use cases: one revision at a time for each month, whoever asks at the same moment."""

    def __init__(self, catalogue: ModelCatalogue) -> None:
        self._catalogue = catalogue

    async def close(self, session: AsyncSession, name: str, *, creator: str, now: datetime) -> Month:
        """Makes the first revision of a month.

        Raises:
            MonthNotOver: it has not ended in every store.
            MonthClosed: it is closed already.
            InvalidArgument: it lies before every satisfaction model.
        """
        await counting.take(session, name)
        first_model = await session.scalar(select(func.min(SatisfactionModelRow.publish_time)))
        rules.require_closable(await reading.month_of(session, name), now=now, first_model=first_model)
        stores = await fixing.stores_of(session, name)
        await fixing.fix(session, name, 1, stores, creator=creator, reason="", now=now)
        return await self._tell(session, name, now)

    async def reopen(
        self, session: AsyncSession, name: str, *, creator: str, reason: str, etag: str, now: datetime
    ) -> Month:
        """Makes the next revision of a closed month, which counts everything that is known now.

        Raises:
            MonthNotClosed: it was never closed.
            MonthUnchanged: the next revision would be the same.
            StaleEtag: somebody else re-opened it meanwhile.
        """
        await counting.take(session, name)
        month = await reading.month_of(session, name)
        rules.require_reopenable(month, etag=etag)
        stores = await fixing.changed_stores_of(session, name)
        if not stores:
            raise rules.MonthUnchanged(
                f"nothing changed since revision {month.latest} of {name}",
                metadata={"month": name, "revision": str(month.latest)},
            )
        await fixing.fix(session, name, month.latest + 1, stores, creator=creator, reason=reason, now=now)
        return await self._tell(session, name, now)

    async def _tell(self, session: AsyncSession, name: str, now: datetime) -> Month:
        month = await reading.month_of(session, name)
        latest = month.revisions[0]
        grades = await self._grades(session, name, latest.number)
        closed = MonthClosed(month=name, revision=latest.number, stores=latest.stores, responses=latest.responses)
        await outbox.add_many(session, [(grade, grade.grade_id) for grade in grades], now=now)
        await outbox.add(session, closed, key=name, now=now)
        return month

    async def _grades(self, session: AsyncSession, name: str, number: int) -> Sequence[GradeClosed]:
        connection = await raw_connection(session)
        models = await self._models(session)
        grades: dict[str, GradeClosed] = {}
        for row in await connection.fetch(_FIXED, name, number):
            store_id = row["store_id"]
            # A store's id has no underscore.
            grade = grades.setdefault(
                store_id, GradeClosed(grade_id=f"{store_id}_{name}", store_id=store_id, month=name, revision=number)
            )
            if row["n"] is not None:
                model = models[row["model_code"], row["model_version"]]
                grade.indexes.append(
                    ClosedIndex(
                        satisfaction_model_version=model.name,
                        n=row["n"],
                        total_micro_points=row["total"],
                        provisional=provisional(model, Tally(row["n"])),
                    )
                )
        return list(grades.values())

    async def _models(self, session: AsyncSession) -> dict[tuple[str, int], SatisfactionModel]:
        return {
            (model.code, model.version): model
            for code in await self._catalogue.codes(session)
            for model, _ in await self._catalogue.versions(session, code)
        }
