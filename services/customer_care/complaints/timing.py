"""The timers of clocks: one for each clock that runs, due at its next threshold (CMP-11)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.complaints import clocks, entitlement
from customer_care.complaints.clocks import Clock, Hours
from customer_care.complaints.form import Form
from customer_care.complaints.model import Complaint, ComplaintClock
from customer_care.complaints.policy import BREACH, Policy
from customer_care.complaints.records import CLOCK_COLUMNS
from customer_care.complaints.values import ClockKind, Department, Step
from customer_care.stores import StoreCache
from dealerloop.customer_care.events.v1 import events_pb2
from dealership import staff
from dealership.stores import Store
from kit import timers
from kit.db.engine import raw_connection
from kit.messaging import outbox
from kit.timers import Firing

CLOCK: Final = "complaint.clock"
_BUSY: Final = timedelta(seconds=2)
_WRITE: Final = """
WITH passed AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::integer[], $6::integer[], $7::text[],
                         $8::text[], $9::timestamptz[], $10::timestamptz[])
        AS p (complaint_id, store_id, kind, round, term, percent, target_role, vacant_roles, due_time, clock_due_time)
), moved AS (
    UPDATE complaint_clock c SET percent = p.percent, due_time = p.clock_due_time
    FROM passed p WHERE c.complaint_id = p.complaint_id AND c.kind = p.kind AND c.round = p.round
)
INSERT INTO complaint_escalation
    (complaint_id, store_id, clock, round, term, percent, target_role, vacant_roles, due_time, fire_time)
SELECT complaint_id, store_id, kind, round, term, percent, target_role, string_to_array(vacant_roles, ','), due_time,
       $11::timestamptz
FROM passed
"""


class ClockKey(NamedTuple):
    """Which clock a timer is for; the text of it is the timer's key."""

    complaint_id: UUID
    kind: ClockKind
    round: int

    @classmethod
    def parse(cls, key: str) -> ClockKey:
        """Read a timer's key."""
        complaint, kind, number = key.split(":")
        return cls(UUID(complaint), ClockKind(kind), int(number))

    def __str__(self) -> str:
        """`<complaint>:<clock>:<round>`."""
        return f"{self.complaint_id}:{self.kind}:{self.round}"


class _Standing(NamedTuple):
    """Where a complaint stands, as the rules of entitlement ask; read without its texts."""

    id: UUID
    store_id: str
    step: Step
    department: Department | None
    checker_id: str


class _Place(NamedTuple):
    """What counts of the store: its hours, and the roles that somebody holds for it."""

    hours: Hours
    held: frozenset[str]


class _Passed(NamedTuple):
    """One threshold that was passed, in the order of the statement."""

    complaint_id: UUID
    store_id: str
    kind: str
    round: int
    term: int
    percent: int
    target_role: str
    # An array of arrays must be a rectangle, so the roles travel as one text.
    vacant_roles: str
    due_time: datetime
    clock_due_time: datetime


async def follow(
    session: AsyncSession, complaint_id: UUID, before: Sequence[Clock], after: Form, *, policy: Policy, hours: Hours
) -> None:
    """Set, move and remove the timers of the clocks that differ."""
    known = set(before)
    due: list[tuple[str, datetime]] = []
    ended: list[str] = []
    for clock in after.clocks:
        if clock in known:
            continue
        key = str(ClockKey(complaint_id, clock.kind, clock.round))
        firing = clocks.next_firing(clock, policy=policy, hours=hours)
        if firing is None:
            ended.append(key)
        else:
            due.append((key, firing.at))
    if ended:
        await timers.cancel(session, CLOCK, *ended)
    await timers.schedule_many(session, CLOCK, due)


class ClockTimers:
    """Fires the thresholds of clocks."""

    def __init__(self, stores: StoreCache, policy: Policy) -> None:
        self._stores = stores
        self._policy = policy

    async def fire(self, firing: Firing) -> None:
        """Look at each clock again, write down and tell what it has passed, and set its next timer.

        A fixed number of statements. A complaint that somebody is changing is looked at again a moment later: its
        timer is held here already, and whoever changes a complaint may come for its timers.
        """
        keys = [ClockKey.parse(item.key) for item in firing.items]
        complaints = await _locked(firing.session, {key.complaint_id for key in keys})
        stores = await self._stores.get_many(firing.session, {one.store_id for one in complaints.values()})
        held = await staff.roles_held(firing.session, stores.values())
        running = await _running(firing.session, [key for key in keys if key.complaint_id in complaints])
        passed: list[_Passed] = []
        later: list[tuple[str, datetime]] = []
        for key in keys:
            complaint, clock = complaints.get(key.complaint_id), running.get(key)
            if complaint is None:
                later.append((str(key), firing.now + _BUSY))
                continue
            if clock is None:
                continue
            place = _Place(_hours(stores[complaint.store_id]), held[complaint.store_id])
            one, next_time = self._look(complaint, clock, firing.now, place)
            if one is not None:
                passed.append(one)
            if next_time is not None:
                later.append((str(key), next_time))
        await _write(firing.session, passed, firing.now)
        await timers.schedule_many(firing.session, CLOCK, later)

    def _look(
        self, complaint: _Standing, clock: Clock, now: datetime, place: _Place
    ) -> tuple[_Passed | None, datetime | None]:
        """Return what the clock has passed, one threshold at a time, and when it is to be looked at next."""
        hours = place.hours
        due = clocks.next_firing(clock, policy=self._policy, hours=hours)
        if due is None or due.at > now:
            return None, due.at if due is not None else None
        meant = entitlement.told(complaint, clock.kind, due.percent, self._policy)
        target_role, vacant_roles = entitlement.reached(meant, place.held)
        passed = _Passed(
            complaint.id,
            complaint.store_id,
            clock.kind.value,
            clock.round,
            clock.term,
            due.percent,
            target_role,
            ",".join(vacant_roles),
            due.at,
            clocks.moment(clock, BREACH, hours),
        )
        next_due = clocks.next_firing(clocks.passed(clock, due.percent), policy=self._policy, hours=hours)
        return passed, next_due.at if next_due is not None else None


def _hours(store: Store) -> Hours:
    return Hours(store.calendar, store.time_zone)


async def _locked(session: AsyncSession, complaint_ids: Iterable[UUID]) -> dict[UUID, _Standing]:
    columns = (Complaint.id, Complaint.store_id, Complaint.step, Complaint.department, Complaint.checker_id)
    query = select(*columns).where(Complaint.id.in_(sorted(complaint_ids))).order_by(Complaint.id)
    rows = await session.execute(query.with_for_update(skip_locked=True))
    return {row.id: _Standing(*row) for row in rows}


async def _running(session: AsyncSession, keys: Sequence[ClockKey]) -> dict[ClockKey, Clock]:
    query = select(ComplaintClock.complaint_id, *CLOCK_COLUMNS).where(
        ComplaintClock.complaint_id.in_({key.complaint_id for key in keys}),
        ComplaintClock.kind.in_({key.kind for key in keys}),
        ComplaintClock.done_time.is_(None),
        ComplaintClock.stop_time.is_(None),
    )
    clocks_by_complaint = ((row[0], Clock(*row[1:])) for row in await session.execute(query))
    return {ClockKey(complaint_id, clock.kind, clock.round): clock for complaint_id, clock in clocks_by_complaint}


async def _write(session: AsyncSession, passed: Sequence[_Passed], now: datetime) -> None:
    if not passed:
        return
    connection = await raw_connection(session)
    await connection.execute(_WRITE, *zip(*passed, strict=True), now)
    await outbox.add_many(session, [(_fired(one, now), str(one.complaint_id)) for one in passed], now=now)


def _fired(one: _Passed, now: datetime) -> events_pb2.ComplaintClockFired:
    event = events_pb2.ComplaintClockFired(
        complaint_id=str(one.complaint_id),
        store_id=one.store_id,
        clock=f"COMPLAINT_CLOCK_KIND_{one.kind}",
        round=one.round,
        percent=one.percent,
        target_role=one.target_role,
    )
    event.due_time.FromDatetime(one.due_time)
    event.fire_time.FromDatetime(now)
    return event
