"""Taking over: exactly the confirmed set, batch by batch, whoever dies in between (GRP-05).

A batch, its counters and its removal from the confirmed set are one transaction under the lock of the import: any
number of processes may work on it, and after a crash the next one goes on behind the last batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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
from kit.imports.storage import Said
from kit.imports.values import UNCHANGED, Limits, Remark, Severity, State
from kit.vault import Vault

# Behind what the dry run may have said of the row.
_PLACE: Final = 2_000


class _NothingTakenError(Exception):
    """All or nothing was asked for, and these rows cannot be taken any more."""

    def __init__(self, refused: Mapping[int, Remark]) -> None:
        self.refused = refused
        super().__init__("rows were refused")


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

        Returns False at once when somebody else is at it, or it is not to be taken over.
        """
        scope = Scope.store(store_id) if store_id else Scope.system("imports: taking over a file of the group")
        try:
            async with self._database.transaction(scope) as session:
                job = await _locked(session, import_id)
                if job is None:
                    return False
                more = await self._all(session, job) if job.all_or_nothing else await self._batch(session, job)
                if not more:
                    job.progress_percent = 100
                    job.end(State.DONE, self._clock.now())
                await session.flush()
                failpoints.hit("import_taking")
        except _NothingTakenError as refusal:
            await self._refuse(scope, import_id, refusal.refused)
            return False
        failpoints.hit("import_taken")
        return more

    async def _all(self, session: AsyncSession, job: ImportJob) -> bool:
        while await self._batch(session, job):
            pass
        return False

    async def _batch(self, session: AsyncSession, job: ImportJob) -> bool:
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
        job.taken += len(found) - len(said)
        job.unchanged += len(batch) - len(found) + len(said) - len(refused)
        job.handled += len(batch)
        job.progress_percent = min(99, 100 * job.handled // max(job.planned, 1))
        job.attempts = 0
        job.version += 1
        await self._note(session, job, refused)
        return True

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
            job = await _locked(session, import_id)
            if job is None:
                return
            await self._note(session, job, refused)
            text = f"All or nothing was asked for, and {len(refused)} rows can no longer be taken."
            job.refuse("ROWS_REJECTED", text, self._clock.now())
            await session.flush()
            await storage.forget(session, job.id)


async def _locked(session: AsyncSession, import_id: UUID) -> ImportJob | None:
    query = select(ImportJob).where(ImportJob.id == import_id, ImportJob.state == State.TAKING_OVER)
    return await session.scalar(query.with_for_update(skip_locked=True))
