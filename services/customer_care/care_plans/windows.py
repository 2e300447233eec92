"""The end of windows: one timer per care plan, due when its next open window closes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.care_plans import bulk, rules
from customer_care.care_plans.model import CarePlan
from customer_care.followups.model import Attempt, FollowUp
from customer_care.followups.values import FollowUpState, Outcome
from customer_care.stores import StoreCache
from dealerloop.customer_care.events.v1 import events_pb2
from kit import timers
from kit.db.engine import raw_connection
from kit.messaging import outbox
from kit.timers import Firing

WINDOW: Final = "care.window"
_BUSY: Final = timedelta(seconds=2)
_RESULTS: Final = {
    FollowUpState.REACHED: events_pb2.FollowUpFinished.RESULT_REACHED,
    FollowUpState.EXHAUSTED: events_pb2.FollowUpFinished.RESULT_EXHAUSTED,
    FollowUpState.MISSED: events_pb2.FollowUpFinished.RESULT_MISSED,
    FollowUpState.CLOSED: events_pb2.FollowUpFinished.RESULT_CLOSED,
}


class _FollowUp(Protocol):
    """What an event tells of a follow-up."""

    id: UUID
    step: str
    occurrence: int
    owner_id: str
    version: int


class WindowTimers:
    """Fires when windows close."""

    def __init__(self, stores: StoreCache) -> None:
        self._stores = stores

    async def fire(self, firing: Firing) -> None:
        """Look at each plan again, end what was not made in its window, and set the next timer."""
        await self.close(firing.session, [UUID(item.key) for item in firing.items], firing.now)

    async def close(self, session: AsyncSession, delivery_ids: Sequence[UUID], now: datetime) -> None:
        """End the open follow-ups of these plans whose windows have closed; a fixed number of statements.

        A plan that somebody else is changing is looked at again a moment later: the timer is held here already, and
        whoever changes a plan may come for its timer, so that waiting could be for one another.
        """
        lock = select(CarePlan).where(CarePlan.delivery_id.in_(delivery_ids)).order_by(CarePlan.delivery_id)
        plans = {plan.delivery_id: plan for plan in await session.scalars(lock.with_for_update(skip_locked=True))}
        busy = [delivery_id for delivery_id in delivery_ids if delivery_id not in plans]
        await schedule_closes(session, [(delivery_id, now + _BUSY) for delivery_id in busy])
        stores = await self._stores.get_many(session, {plan.store_id for plan in plans.values()})
        opened = select(FollowUp).where(FollowUp.delivery_id.in_(list(plans)), FollowUp.state == FollowUpState.PLANNED)
        due: list[FollowUp] = []
        later: dict[UUID, list[datetime]] = defaultdict(list)
        for one in await session.scalars(opened):
            end = rules.closes_at(one.window_end_date, stores[one.store_id].time_zone)
            if end <= now:
                due.append(one)
            else:
                later[one.delivery_id].append(end)
        await self._end(session, due, now)
        await schedule_closes(session, [(delivery_id, min(ends)) for delivery_id, ends in later.items()])

    async def _end(self, session: AsyncSession, due: Sequence[FollowUp], now: datetime) -> None:
        if not due:
            return
        last = await _last_outcomes(session, [one.id for one in due])
        rows = []
        told = []
        for one in due:
            state = rules.at_window_end(last.get(one.id))
            rows.append((one.id, one.owner_id, one.window_start_date, one.window_end_date, state.value))
            told.append(follow_up_finished(one, state, now))
        await bulk.update_follow_ups(await raw_connection(session), rows, now)
        await outbox.add_many(session, told, now=now)


async def schedule_closes(session: AsyncSession, closes: Sequence[tuple[UUID, datetime]]) -> None:
    """Set the timers of plans: (delivery, instant)."""
    if closes:
        await timers.schedule_many(session, WINDOW, [(str(delivery_id), due_at) for delivery_id, due_at in closes])


async def cancel_closes(session: AsyncSession, delivery_ids: Sequence[UUID]) -> None:
    """Remove the timers of plans in which nothing is open."""
    if delivery_ids:
        await timers.cancel(session, WINDOW, *(str(delivery_id) for delivery_id in delivery_ids))


def follow_up_finished(one: FollowUp, state: FollowUpState, now: datetime) -> tuple[events_pb2.FollowUpFinished, str]:
    """Return the event of a follow-up's end, and its ordering key; the end is the next version of `one`."""
    return finished(one, one.store_id, one.delivery_id, one.window_end_date, state, now)


def finished(
    one: _FollowUp, store_id: str, delivery_id: UUID, window_end: date, state: FollowUpState, now: datetime
) -> tuple[events_pb2.FollowUpFinished, str]:
    """Return the event of the end of a follow-up of this delivery, and its ordering key; `one` is as it was before."""
    key = str(delivery_id)
    event = events_pb2.FollowUpFinished(
        follow_up_id=str(one.id),
        store_id=store_id,
        step=one.step,
        occurrence=one.occurrence,
        delivery_id=key,
        owner_id=one.owner_id,
        result=_RESULTS[state],
        window_end_date=window_end.isoformat(),
        version=one.version + 1,
    )
    event.finish_time.FromDatetime(now)
    return event, key


async def _last_outcomes(session: AsyncSession, follow_up_ids: Sequence[UUID]) -> dict[UUID, Outcome]:
    newest = select(Attempt.follow_up_id, Attempt.outcome).where(Attempt.follow_up_id.in_(follow_up_ids))
    newest = newest.ext(distinct_on(Attempt.follow_up_id)).order_by(Attempt.follow_up_id, Attempt.attempt_time.desc())
    return dict((await session.execute(newest)).all())
