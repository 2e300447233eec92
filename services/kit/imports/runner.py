"""The work on imports in the background: checks, takes over, and forgets what nobody confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from kit import telemetry, wake
from kit.backoff import pause_after
from kit.db.scope import Scope
from kit.imports import storage
from kit.imports.checking import Check, OvertakenError
from kit.imports.importer import Importer
from kit.imports.model import ImportJob
from kit.imports.taking import Takeover
from kit.imports.values import Limits, State
from kit.log import log
from kit.messaging.verdict import Verdict, judge, without_values
from kit.service.context import KitContext

_POLL_SECONDS: Final = 5.0
_FIRST_BACKOFF: Final = timedelta(seconds=2)
_LONGEST_BACKOFF: Final = timedelta(minutes=30)
_MOST_CHECKS: Final = 5
_ALERT_AT_ATTEMPT: Final = 3
_AT_ONCE: Final = 50
_LANES: Final = 2
_SYSTEM: Final = Scope.system("imports")
_WAITING: Final = (State.UPLOADING, State.CHECKED)


class _Waiting(NamedTuple):
    """An import with work to do."""

    id: UUID
    kind: str
    store_id: str
    state: State


class ImportRunner:
    """A background job of a service; several processes share the work.

    A check belongs to one process at a time: it holds an advisory lock on a connection of its own, which the server
    lets go when the process ends, however it ends.
    """

    name = "imports"

    def __init__(self, context: KitContext, importers: Sequence[Importer], limits: Limits | None = None) -> None:
        self._database = context.database
        self._clock = context.clock
        self._vault = context.vault
        self._limits = limits or Limits()
        self._importers = {importer.imports: importer for importer in importers}
        self._takeovers = {
            kind: Takeover(importer, context.database, context.clock, context.vault, self._limits)
            for kind, importer in self._importers.items()
        }
        self._rung = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """End `run` after the batch that is under way."""
        self._stopping = True
        self._rung.set()

    async def run(self) -> None:
        """Work until stopped, whatever the database goes through."""
        failures = 0
        with wake.subscribed(self._database, wake.IMPORT, self._rung.set):
            while not self._stopping:
                self._rung.clear()
                try:
                    pause = 0.0 if await self.work_once() else _POLL_SECONDS
                    failures = 0
                except Exception as error:  # the runner outlives everything; what it meets is told
                    failures += 1
                    tell = log.warning if judge(error) is Verdict.OUTAGE else log.error
                    tell("imports.waiting", failures=failures, error=without_values(error))
                    pause = pause_after(failures)
                if pause and not self._stopping:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._rung.wait(), pause)

    async def work_once(self) -> int:
        """Forget what has expired, and bring every import that waits one state further; return how many that were."""
        done = await self._expire()
        for waiting in await self._waiting():
            if self._stopping:
                break
            done += await self._work(waiting)
        return done

    async def _waiting(self) -> list[_Waiting]:
        query = (
            select(ImportJob.id, ImportJob.kind, ImportJob.store_id, ImportJob.state)
            .where(
                ImportJob.kind.in_(self._importers),
                ImportJob.state.in_((State.CHECKING, State.TAKING_OVER)),
                ImportJob.wake_time <= self._clock.now(),
            )
            .order_by(ImportJob.wake_time, ImportJob.id)
            .limit(_AT_ONCE)
        )
        async with self._database.transaction(_SYSTEM, read_only=True) as session:
            return [_Waiting(*row) for row in await session.execute(query)]

    async def _work(self, waiting: _Waiting) -> int:
        started = self._clock.now()
        try:
            with telemetry.work_span(f"import {waiting.state.value.lower()}", attributes={"import.kind": waiting.kind}):
                if waiting.state is State.CHECKING:
                    return await self._check(waiting)
                return await self._take(waiting)
        except Exception as error:  # an importer may raise anything
            if judge(error) is Verdict.OUTAGE:
                raise
            await self._back_off(waiting, started, error)
            return 0

    async def _check(self, waiting: _Waiting) -> int:
        importer = self._importers[waiting.kind]
        check = Check(waiting.id, importer, self._database, self._clock, self._vault, self._limits)
        async with self._alone_with(waiting.id) as alone:
            if not alone:
                return 0
            with suppress(OvertakenError):
                await check.work(lambda: self._stopping)
        return 1

    async def _take(self, waiting: _Waiting) -> int:
        # While the database writes one batch, the next one is opened and sealed.
        lanes = [self._lane(waiting) for _ in range(_LANES)]
        done = await asyncio.gather(*lanes, return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException):
                raise error
        return sum(batches for batches in done if isinstance(batches, int))

    async def _lane(self, waiting: _Waiting) -> int:
        batches = 0
        while await self._takeovers[waiting.kind].take_next(waiting.id, waiting.store_id):
            batches += 1
            if self._stopping:
                break
        return batches

    @asynccontextmanager
    async def _alone_with(self, import_id: UUID) -> AsyncIterator[bool]:
        connection = await wake.connect(self._database)
        try:
            # Two processes would only waste their time: it is the number of the run that keeps them apart.
            yield await connection.fetchval(
                "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", f"import {import_id}"
            )
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await connection.close(timeout=1)

    async def _back_off(self, waiting: _Waiting, now: datetime, error: Exception) -> None:
        async with self._database.transaction(_SYSTEM) as session:
            job = await _locked(session, waiting)
            if job is None:
                return
            job.attempts += 1
            job.wake_time = now + min(_FIRST_BACKOFF * 2 ** min(job.attempts - 1, 16), _LONGEST_BACKOFF)
            job.version += 1
            attempts = job.attempts
            if job.state is State.CHECKING and attempts >= _MOST_CHECKS:
                job.refuse("CHECK_FAILED", "The file could not be checked; the fault is not in the file.", now)
                await session.flush()
                await storage.forget(session, job.id)
        tell = log.error if attempts >= _ALERT_AT_ATTEMPT else log.warning
        tell("imports.failed", kind=waiting.kind, attempts=attempts, **_why(error))

    async def _expire(self) -> int:
        now = self._clock.now()
        due = (
            select(ImportJob)
            .where(ImportJob.kind.in_(self._importers), ImportJob.state.in_(_WAITING), ImportJob.expire_time <= now)
            .limit(_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        async with self._database.transaction(_SYSTEM) as session:
            jobs = list(await session.scalars(due))
            for job in jobs:
                job.taken = 0
                job.end(State.EXPIRED, now)
            await session.flush()
            for job in jobs:
                await storage.forget(session, job.id)
        return len(jobs)


def _why(error: Exception) -> dict[str, object]:
    """What the database refuses it repeats with its values; whatever else there is needs its traceback."""
    of_database = isinstance(error, SQLAlchemyError | asyncpg.PostgresError)
    return {"error": without_values(error)} if of_database else {"exc_info": error}


async def _locked(session: AsyncSession, waiting: _Waiting) -> ImportJob | None:
    query = select(ImportJob).where(ImportJob.id == waiting.id, ImportJob.state == waiting.state)
    return await session.scalar(query.with_for_update())
