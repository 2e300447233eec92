"""Timers that survive every restart: rows with a due time, fired once, in the transaction of their handler.

A timer is known by its kind and its key; scheduling it again moves it. A handler looks at the state first and then
decides: between the due time and the firing anything may have happened. What it did not schedule again is gone when
its transaction commits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from kit import telemetry, wake
from kit.backoff import pause_after
from kit.clock import Clock
from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.log import log
from kit.messaging.verdict import Verdict, judge, without_values

LONGEST_SLEEP_SECONDS: Final = 5.0
"""The timers are looked at this often even when nobody rang: another process may have scheduled one."""
_SHORTEST_SLEEP_SECONDS: Final = 0.2
_GATHER_SECONDS: Final = 0.1
FIRST_BACKOFF: Final = timedelta(seconds=5)
LONGEST_BACKOFF: Final = timedelta(minutes=30)
_ALERT_AT_ATTEMPT: Final = 5
_LABELS: Final = ("kind",)

_SCHEDULE: Final = """
INSERT INTO timer (kind, key, due_at, wake_time, payload)
SELECT $1, key, due_at, due_at, payload::jsonb
FROM unnest($2::text[], $3::timestamptz[], $4::text[]) AS new (key, due_at, payload)
ORDER BY key
ON CONFLICT (kind, key) DO UPDATE
SET due_at = excluded.due_at, wake_time = excluded.due_at, payload = excluded.payload, attempts = 0, last_error = NULL
"""
# Taken and removed in one go; a rollback brings them back. A handler that schedules one again just inserts it.
_CLAIM: Final = """
WITH due AS MATERIALIZED (
    SELECT kind, key FROM timer WHERE kind = $1 AND wake_time <= $2 ORDER BY wake_time LIMIT $3 FOR UPDATE SKIP LOCKED
)
DELETE FROM timer USING due WHERE timer.kind = due.kind AND timer.key = due.key
RETURNING timer.key, timer.due_at, timer.payload::text, timer.attempts
"""
_CLAIM_ONE: Final = """
WITH due AS MATERIALIZED (
    SELECT kind, key FROM timer WHERE kind = $1 AND key = $2 AND wake_time <= $3 FOR UPDATE SKIP LOCKED
)
DELETE FROM timer USING due WHERE timer.kind = due.kind AND timer.key = due.key
RETURNING timer.key, timer.due_at, timer.payload::text, timer.attempts
"""
_NEXT: Final = """
SELECT kind, (SELECT min(wake_time) FROM timer WHERE timer.kind = asked.kind) FROM unnest($1::text[]) AS asked (kind)
"""
_BACK_OFF: Final = """
UPDATE timer SET attempts = attempts + 1, last_error = $4,
                 wake_time = $3::timestamptz + least($5::interval * power(2, least(attempts, 20)), $6)
WHERE kind = $1 AND key = $2 AND wake_time <= $3
RETURNING attempts
"""


class TimerItem(NamedTuple):
    """One timer that is due: its key, when it was to fire (UTC), what was given with it, how often it failed before."""

    key: str
    due_at: datetime
    payload: Mapping[str, Any]
    attempts: int


@dataclass(frozen=True, slots=True)
class Firing:
    """Timers of one kind to be handled in one transaction, in the order in which they were due.

    `session` is that transaction, `now` the time of the clock (UTC). The handler does not commit.
    """

    session: AsyncSession
    kind: str
    items: Sequence[TimerItem]
    now: datetime


class NewTimer(NamedTuple):
    """A timer to be scheduled. `due_at` is aware, `payload` is JSON without personal data."""

    key: str
    due_at: datetime
    payload: Mapping[str, Any] = MappingProxyType({})


TimerHandler = Callable[[Firing], Awaitable[None]]


async def schedule(
    session: AsyncSession, kind: str, key: str, due_at: datetime, payload: Mapping[str, Any] | None = None
) -> None:
    """Has the timer fire at `due_at`; one that is there already is moved and forgets its failures."""
    await schedule_many(session, kind, [NewTimer(key, due_at, payload or {})])


async def schedule_many(session: AsyncSession, kind: str, timers: Iterable[NewTimer | tuple[str, datetime]]) -> None:
    """Schedules many timers of one kind in one statement; of the same key twice the last one counts."""
    by_key = {timer[0]: NewTimer(*timer) for timer in timers}
    if not by_key:
        return
    connection = await raw_connection(session)
    await connection.execute(
        _SCHEDULE,
        kind,
        list(by_key),
        [timer.due_at for timer in by_key.values()],
        [json.dumps(dict(timer.payload)) for timer in by_key.values()],
    )
    wake.ring_after_commit(session, wake.TIMER)


async def cancel(session: AsyncSession, kind: str, *keys: str) -> int:
    """Removes timers; returns how many there were. One that is firing now is waited for, and is gone then."""
    connection = await raw_connection(session)
    done = await connection.execute("DELETE FROM timer WHERE kind = $1 AND key = ANY ($2)", kind, list(keys))
    return int(done.split()[-1])


class TimerWorker:
    """Fires the timers of the kinds that it has handlers for; several processes share the work."""

    def __init__(
        self, database: Database, clock: Clock, handlers: Mapping[str, TimerHandler], *, batch_size: int = 200
    ) -> None:
        self._database = database
        self._clock = clock
        self._handlers = dict(handlers)
        self._batch_size = batch_size
        self._rung = asyncio.Event()
        self._jumped = False
        self._stopping = False

    def wake(self) -> None:
        """A timer was scheduled."""
        self._rung.set()

    def look_now(self) -> None:
        """The clock has jumped: what it has passed is due, and nobody gathers anything."""
        self._jumped = True
        self._rung.set()

    def stop(self) -> None:
        """Ends `run` after the timers that are firing now."""
        self._stopping = True
        self._rung.set()

    async def run(self) -> None:
        """Fires until it is stopped, whatever the database goes through; exact to about a second."""
        failures = 0
        with wake.subscribed(self._database, wake.TIMER, self.wake):
            while not self._stopping and self._handlers:
                self._rung.clear()
                try:
                    sleep = await self._work()
                    failures = 0
                except Exception as error:  # the worker outlives everything; what it meets is told
                    failures += 1
                    expected = judge(error) is Verdict.OUTAGE
                    tell = log.warning if expected else log.error
                    tell("timers.waiting", failures=failures, error=without_values(error))
                    sleep = pause_after(failures)
                if sleep > 0:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._rung.wait(), sleep)
                        # Many transactions in a row ring often, and nearly always for a time that is far away.
                        if not self._jumped:
                            await asyncio.sleep(min(sleep, _GATHER_SECONDS))
                    self._jumped = False

    async def fire_due(self) -> int:
        """Fires what is due now, one batch per kind; returns how many timers were tried."""
        return await self._fire_those(await self._next_times(), self._clock.now())

    async def next_due(self) -> datetime | None:
        """When the next timer of these kinds wakes; None when there is none."""
        times = [due for _, due in await self._next_times() if due is not None]
        return min(times, default=None)

    async def _work(self) -> float:
        """Fires what is due; returns for how many seconds there is nothing to do then."""
        now = self._clock.now()
        times = await self._next_times()
        return 0.0 if await self._fire_those(times, now) else self._until_next(times)

    async def _fire_those(self, times: Sequence[tuple[str, datetime | None]], now: datetime) -> int:
        fired = 0
        for kind, due in times:
            if due is not None and due <= now:
                fired += await self._fire(kind, now)
        return fired

    async def _next_times(self) -> list[tuple[str, datetime | None]]:
        async with self._database.transaction(Scope.system("timers"), read_only=True) as session:
            connection = await raw_connection(session)
            return [(row[0], row[1]) for row in await connection.fetch(_NEXT, list(self._handlers))]

    def _until_next(self, times: Sequence[tuple[str, datetime | None]]) -> float:
        due = min((due for _, due in times if due is not None), default=None)
        if due is None:
            return LONGEST_SLEEP_SECONDS
        # At least a moment: rows that another worker holds are due, but not ours.
        return min(LONGEST_SLEEP_SECONDS, max(_SHORTEST_SLEEP_SECONDS, (due - self._clock.now()).total_seconds()))

    async def _fire(self, kind: str, now: datetime) -> int:
        try:
            return await self._fire_batch(kind, now)
        except Exception as error:  # a handler may raise anything
            if judge(error) is Verdict.OUTAGE:
                raise
            log.warning("timers.batch_failed", kind=kind, error=without_values(error))
        return await self._fire_singly(kind, now)

    async def _fire_batch(self, kind: str, now: datetime) -> int:
        async with self._database.transaction(Scope.system(f"timer {kind}")) as session:
            connection = await raw_connection(session)
            rows = await connection.fetch(_CLAIM, kind, now, self._batch_size)
            await self._handle(session, kind, rows, now)
        return len(rows)

    async def _fire_singly(self, kind: str, now: datetime) -> int:
        """One transaction each, so that one bad timer hurts only itself."""
        async with self._database.transaction(Scope.system("timers"), read_only=True) as session:
            connection = await raw_connection(session)
            keys = await connection.fetch(
                "SELECT key FROM timer WHERE kind = $1 AND wake_time <= $2 ORDER BY wake_time LIMIT $3",
                kind,
                now,
                self._batch_size,
            )
        for (key,) in keys:
            try:
                async with self._database.transaction(Scope.system(f"timer {kind}")) as session:
                    connection = await raw_connection(session)
                    await self._handle(session, kind, await connection.fetch(_CLAIM_ONE, kind, key, now), now)
            except Exception as error:  # a handler may raise anything
                if judge(error) is Verdict.OUTAGE:
                    raise
                await self._back_off(kind, key, now, error)
        return len(keys)

    async def _handle(self, session: AsyncSession, kind: str, rows: Sequence[Any], now: datetime) -> None:
        if not rows:
            return
        items = sorted((TimerItem(row[0], row[1], json.loads(row[2]), row[3]) for row in rows), key=_by_due_time)
        late = (now - items[0].due_at).total_seconds()
        telemetry.gauge("dealerloop_timer_late_seconds", "Lateness of the last timers.", _LABELS).labels(kind).set(late)
        started = monotonic()
        with telemetry.work_span(f"fire {kind}", attributes={"timers.count": len(items)}):
            await self._handlers[kind](Firing(session, kind, items, now))
        telemetry.counter("dealerloop_timers_fired_total", "Timers fired.", _LABELS).labels(kind).inc(len(items))
        log.debug("timers.fired", kind=kind, count=len(items), seconds=round(monotonic() - started, 3))

    async def _back_off(self, kind: str, key: str, now: datetime, error: Exception) -> None:
        async with self._database.transaction(Scope.system("timers")) as session:
            connection = await raw_connection(session)
            attempts = await connection.fetchval(
                _BACK_OFF, kind, key, now, without_values(error), FIRST_BACKOFF, LONGEST_BACKOFF
            )
        if attempts is None:
            # Moved or cancelled while it failed.
            return
        tell = log.error if attempts >= _ALERT_AT_ATTEMPT else log.warning
        tell("timers.failed", kind=kind, attempts=attempts, exc_info=error)


def _by_due_time(item: TimerItem) -> tuple[datetime, str]:
    return item.due_at, item.key
