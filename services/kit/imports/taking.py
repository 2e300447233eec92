"""Taking over: exactly the confirmed set, batch by batch, whoever dies in between (GRP-05).

A batch, its counters and its removal from the confirmed set are one transaction. Any number of them may be under way at
once, here and in other processes: they share a lock of the import, which a cancellation wants for itself, and add to
its counters one after the other at their very end. A batch whose process dies is back in the confirmed set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import failpoints
from kit.clock import Clock
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.imports import storage
from kit.imports.importer import Importer
from kit.imports.model import ImportJob
from kit.imports.rows import Said
from kit.imports.values import UNCHANGED, Limits, Remark, Severity, State
from kit.vault import Vault

# Behind what the dry run may have said of the row.
_PLACE: Final = 2_000


class _NothingTakenError(Exception):
    """All or nothing was asked for, and these rows cannot be taken any more."""

    def __init__(self, refused: Mapping[int, Remark]) -> None:
        self.refused = refused
        super().__init__("rows were refused")


@dataclass(slots=True)
class _Tally:
    """What became of the rows of one batch, or of several."""

    handled: int = 0
    taken: int = 0
    unchanged: int = 0
    refused: dict[int, Remark] = field(default_factory=dict)


class Takeover:
    """Takes over the confirmed sets of one kind of list."""

    def __init__(self, importer: Importer, database: Database, clock: Clock, vault: Vault, limits: Limits) -> None:
        self._importer = importer
        self._database = database
        self._clock = clock
        self._vault = vault
        self._limits = limits

    async def take_next(self, import_id: UUID, store_id: str) -> bool:
        """Take the next batch, or all of them when it is all or nothing; say whether there may be more to do.

        Returns False at once when the rest is in other hands, or it is not to be taken over.
        """
        scope = Scope.store(store_id) if store_id else Scope.system("imports: taking over a file of the group")
        try:
            async with self._database.transaction(scope) as session:
                job = await _found(session, import_id)
                if job is None:
                    return False
                tally = _Tally()
                more = await (self._all if job.all_or_nothing else self._batch)(session, job, tally)
                await self._count(session, import_id, tally)
                failpoints.hit("import_taking")
        except _NothingTakenError as refusal:
            await self._refuse(scope, import_id, refusal.refused)
            return False
        failpoints.hit("import_taken")
        return more

    async def _all(self, session: AsyncSession, job: ImportJob, tally: _Tally) -> bool:
        while await self._batch(session, job, tally):
            pass
        return False

    async def _batch(self, session: AsyncSession, job: ImportJob, tally: _Tally) -> bool:
        batch = await storage.take_batch(session, self._vault, job.id)
        if batch is None:
            return False
        if not batch:
            return True
        # Another file may have brought the same rows since the dry run.
        fresh = await storage.make_known(session, batch)
        found = [one for one in batch if one.digest in fresh]
        drafts = [one.draft for one in found]
        said = await self._importer.take(session, drafts, job.name, self._clock.now()) if drafts else {}
        refused = {row: remark for row, remark in said.items() if remark is not UNCHANGED}
        if refused and job.all_or_nothing:
            raise _NothingTakenError(refused)
        await storage.make_unknown(session, [one.digest for one in found if one.draft.row in refused])
        tally.taken += len(found) - len(said)
        tally.unchanged += len(batch) - len(found) + len(said) - len(refused)
        tally.handled += len(batch)
        tally.refused |= refused
        return True

    async def _count(self, session: AsyncSession, import_id: UUID, tally: _Tally) -> None:
        """Add to the counters; whoever finds nothing left in the confirmed set has ended the work."""
        query = select(ImportJob).where(ImportJob.id == import_id).with_for_update(key_share=True)
        job = (await session.scalars(query.execution_options(populate_existing=True))).one()
        if tally.handled:
            job.taken += tally.taken
            job.unchanged += tally.unchanged
            job.handled += tally.handled
            job.progress_percent = min(99, 100 * job.handled // max(job.planned, 1))
            job.attempts = 0
            job.version += 1
            await self._note(session, job, tally.refused)
        if not await storage.is_anything_left(session, import_id):
            job.progress_percent = 100
            job.end(State.DONE, self._clock.now())
        await session.flush()

    async def _note(self, session: AsyncSession, job: ImportJob, refused: Mapping[int, Remark]) -> None:
        if not refused:
            return
        job.rejected += len(refused)
        job.rejected_by_reason = dict(
            Counter(job.rejected_by_reason) + Counter(remark.reason for remark in refused.values())
        )
        left = self._limits.remarks - await storage.count_remarks(session, job.id, Severity.REJECTED)
        said = [Said(row, remark, "", "") for row, remark in sorted(refused.items())]
        await storage.add_remarks(session, self._vault, job, said[: max(left, 0)], first_place=_PLACE)

    async def _refuse(self, scope: Scope, import_id: UUID, refused: Mapping[int, Remark]) -> None:
        async with self._database.transaction(scope) as session:
            job = await _found(session, import_id)
            if job is None:
                return
            await self._note(session, job, refused)
            text = f"All or nothing was asked for, and {len(refused)} rows can no longer be taken."
            job.refuse("ROWS_REJECTED", text, self._clock.now())
            await session.flush()
            await storage.forget(session, job.id)


async def _found(session: AsyncSession, import_id: UUID) -> ImportJob | None:
    """The import while it is being taken over, with the lock that its way of taking needs; else nothing."""
    query = select(ImportJob).where(ImportJob.id == import_id, ImportJob.state == State.TAKING_OVER)
    job = await session.scalar(query)
    if job is None:
        return None
    if job.all_or_nothing:
        if not await storage.try_lock_alone(session, import_id):
            return None
    else:
        await storage.lock_together(session, import_id)
    # Somebody may have cancelled or ended it while the lock was waited for.
    return await session.scalar(query.execution_options(populate_existing=True))
