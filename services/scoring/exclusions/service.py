"""Deciding whether a response counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.scoring.events.v1.events_pb2 import ResponseExclusionDecided
from kit.messaging import outbox
from scoring.exclusions import rules
from scoring.exclusions.values import Decision
from scoring.grades import rows
from scoring.grades.model import ResponseRow
from scoring.grades.rules import changes
from scoring.models.service import ModelCatalogue
from scoring.months import counting as months


class Excluding:
    """The use case: a response goes out of the cells exactly as it came in, or in again."""

    def __init__(self, catalogue: ModelCatalogue) -> None:
        self._catalogue = catalogue

    async def decide(
        self,
        session: AsyncSession,
        response_id: UUID,
        *,
        excluded: bool,
        by: str,
        reason: str,
        etag: str,
        now: datetime,
    ) -> ResponseRow:
        """Takes a response out of the grades, or counts it again.

        Of a closed month only the next revision shows it (SCR-08).

        Raises:
            ResponseNotFound: the store in reach has no such response.
            ResponseExcluded: it is taken out already.
            ResponseNotExcluded: it counts already.
            StaleEtag: somebody decided since the caller has seen it.
        """
        await rows.lock(session, [response_id])
        row = await require(session, response_id)
        decision = rules.decide(decision_of(row), excluded=excluded, by=by, reason=reason, etag=etag, now=now)
        response = replace(rows.response_of(row), excluded=excluded)
        model, _ = await self._catalogue.get(session, row.model_code, row.model_version)
        counted = [(model, response)]
        await months.hold_open(session, [response.month])
        await rows.add(session, changes(counted, []) if excluded else changes([], counted))
        row.excluded, row.decision_version = decision.excluded, decision.version
        row.decision_reason, row.decider, row.decide_time = decision.reason, decision.decider, decision.decide_time
        await session.flush()
        await months.touch(session, [response])
        told = ResponseExclusionDecided(
            response_id=str(response.id),
            store_id=response.store_id,
            month=response.month,
            excluded=excluded,
            version=decision.version,
        )
        await outbox.add(session, told, key=str(response.id), now=now)
        return row


async def require(session: AsyncSession, response_id: UUID) -> ResponseRow:
    """A response of the stores in reach.

    Raises:
        ResponseNotFound: there is none.
    """
    row = await session.get(ResponseRow, response_id)
    if row is None:
        raise rules.ResponseNotFound("there is no such response in this store")
    return row


def decision_of(row: ResponseRow) -> Decision:
    """What was decided about it so far."""
    return Decision(row.excluded, row.decision_version, row.decision_reason, row.decider, row.decide_time)
