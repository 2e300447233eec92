"""The dry run: every row of the file is read and checked, and the confirmed set is put aside (GRP-05).

It reads batch by batch, and each batch is one transaction, so that a large file neither fills the memory
nor holds up the event loop. It begins again from the start when its process ends; a check that was overtaken by
another one notices by the number of its run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.imports.v1 import imports_pb2 as pb
from kit import failpoints
from kit.clock import Clock
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.imports import storage
from kit.imports.contract import column_mapping
from kit.imports.importer import Importer
from kit.imports.model import ImportJob
from kit.imports.readers import File, opened
from kit.imports.rows import Batch, Head, Said, Task
from kit.imports.storage import Found
from kit.imports.values import UNCHANGED, FileRefusedError, Limits, Severity, State
from kit.vault import Vault

_LONGEST_HEADER: Final = 200
_MOST_RUNS: Final = 10
_SYSTEM: Final = Scope.system("imports: checking a file")


class OvertakenError(Exception):
    """The import was cancelled, or another process checks it."""


class Check:
    """One check of one import; `importer` is of its kind."""

    def __init__(
        self, import_id: UUID, importer: Importer, database: Database, clock: Clock, vault: Vault, limits: Limits
    ) -> None:
        self._id = import_id
        self._importer = importer
        self._database = database
        self._clock = clock
        self._vault = vault
        self._limits = limits
        self._run = 0
        self._number = 0
        self._left = dict.fromkeys(Severity, limits.remarks)

    async def work(self, stopping: Callable[[], bool]) -> None:
        """Check the whole file, or a part of it when the process is to stop: then the next one begins anew.

        Raises OvertakenError, and whatever reading the database or the importer's checks raise.
        """
        try:
            job, positions = await self._begin()
            async with self._database.transaction(_SYSTEM) as session:
                checker = await self._importer.prepare(session, job.store_id, self._clock.now())
            mapping = column_mapping(pb.Mapping.FromString(job.mapping))
            imports, fields = self._importer.imports, self._importer.fields
            task = Task(imports, job.store_id, fields, mapping, checker, self._limits)
            file = File(job.file_bytes, len(positions), lambda number: self._piece(positions[number]))
            async with opened(task, file) as reader:
                await self._note_columns(reader.head)
                while not stopping():
                    batch = await reader.next()
                    if not batch.rows:
                        await self._finish(reader.head)
                        return
                    await self._keep(batch, reader.head)
                    failpoints.hit("import_checked")
        except FileRefusedError as refusal:
            await self._refuse(refusal)

    async def _begin(self) -> tuple[ImportJob, list[int]]:
        async with self._database.transaction(_SYSTEM) as session:
            job = await self._locked(session)
            job.run += 1
            if job.run > _MOST_RUNS:
                # Something in this file ends the process itself, which no handler of errors ever sees.
                raise FileRefusedError("CHECK_FAILED", "The file could not be checked: every attempt broke off.")
            job.row_count = job.taken = job.unchanged = job.rejected = job.progress_percent = 0
            job.rejected_by_reason, job.warnings_by_reason = {}, {}
            job.version += 1
            self._run = job.run
            await session.flush()
            await storage.forget(session, job.id, "import_batch", "import_key", "import_remark")
            return job, await storage.piece_positions(session, job.id)

    async def _piece(self, position: int) -> bytes:
        async with self._database.transaction(_SYSTEM, read_only=True) as session:
            piece = await storage.read_piece(session, self._vault, self._id, position)
        if piece is None:
            raise OvertakenError
        return piece

    async def _note_columns(self, head: Head) -> None:
        async with self._database.transaction(_SYSTEM) as session:
            job = await self._locked(session)
            mapping = pb.Mapping.FromString(job.mapping)
            for name, header in head.named.items():
                if name not in mapping.columns:
                    mapping.columns[name] = header
            job.mapping = mapping.SerializeToString(deterministic=True)
            job.recognised = {**head.recognised, "headerRow": str(head.header_row)}
            job.headers = [header[:_LONGEST_HEADER] for header in head.headers]

    async def _keep(self, batch: Batch, head: Head) -> None:
        async with self._database.transaction(_SYSTEM) as session:
            job = await self._locked(session)
            if job.row_count + batch.rows > self._limits.rows:
                raise FileRefusedError("ROWS_TOO_MANY", f"The file has more than {self._limits.rows} rows.")
            found = await self._new(session, job, batch, head)
            said = [one for remarks in batch.said.values() for one in remarks]
            out = {one.row for one in said if one.remark.severity is Severity.REJECTED}
            job.row_count += batch.rows
            job.taken += len(found)
            job.rejected += len(out)
            job.unchanged += batch.rows - len(found) - len(out)
            rejections = {(one.row, one.remark.reason) for one in said if one.remark.severity is Severity.REJECTED}
            warnings = {(one.row, one.remark.reason) for one in said if one.row not in out}
            job.rejected_by_reason = _counted(job.rejected_by_reason, Counter(reason for _, reason in rejections))
            job.warnings_by_reason = _counted(job.warnings_by_reason, Counter(reason for _, reason in warnings))
            job.progress_percent = min(99, int(batch.progress * 100))
            job.version += 1
            await storage.add_remarks(session, self._vault, job, self._within_limits(said))
            if found:
                self._number += 1
                sealed = await asyncio.to_thread(storage.pack, self._vault, job.id, self._number, found)
                await storage.add_batch(session, job, self._number, found, sealed)

    async def _new(self, session: AsyncSession, job: ImportJob, batch: Batch, head: Head) -> list[Found]:
        """Those drafts that would be taken; of the others the batch says why not, and nothing of unchanged ones."""
        if not batch.judged:
            return []
        found = [
            Found(draft, storage.digest_of(self._vault, content), reasons) for draft, content, reasons in batch.judged
        ]
        known = await storage.known(session, [one.digest for one in found])
        fresh = []
        for one in found:
            if one.digest in known:
                batch.said.pop(one.draft.row, None)
            else:
                fresh.append(one)
        refused = await self._importer.refused(session, [one.draft for one in fresh]) if fresh else {}
        for row, remark in refused.items():
            if remark is UNCHANGED:
                batch.said.pop(row, None)
                continue
            said = Said(row, remark, head.header_of(remark.field), "")
            batch.said.setdefault(row, []).append(said)
        fresh = [one for one in fresh if one.draft.row not in refused]
        first = await storage.add_keys(session, self._vault, job, fresh) if fresh else set()
        for one in fresh:
            if one.draft.row not in first:
                batch.said.pop(one.draft.row, None)
        return [one for one in fresh if one.draft.row in first]

    def _within_limits(self, said: Sequence[Said]) -> list[Said]:
        kept = []
        for one in said:
            if self._left[one.remark.severity] > 0:
                self._left[one.remark.severity] -= 1
                kept.append(one)
        return kept

    async def _finish(self, head: Head) -> None:
        now = self._clock.now()
        async with self._database.transaction(_SYSTEM) as session:
            job = await self._locked(session)
            duplicate = self._importer.duplicate
            lost, warnings = await storage.decide_keys(
                session, job, duplicate, head.header_of(duplicate.field), self._left[Severity.REJECTED]
            )
            if lost:
                job.taken -= lost
                job.rejected += lost
                job.rejected_by_reason = _counted(job.rejected_by_reason, {duplicate.reason: lost})
                left = Counter(job.warnings_by_reason)
                left.subtract(warnings)
                job.warnings_by_reason = dict(+left)
            job.progress_percent = 100
            job.attempts = 0
            job.version += 1
            if job.validate_only:
                job.state, job.expire_time = State.CHECKED, now + self._limits.unconfirmed
            elif job.all_or_nothing and job.rejected:
                job.refuse("ROWS_REJECTED", f"All or nothing was asked for, and {job.rejected} rows are bad.", now)
            else:
                # Not asking for a dry run only was the confirmation.
                job.begin_taking_over(job.creator, now)
            await session.flush()
            gone = () if job.state is State.REFUSED else ("import_piece", "import_key")
            await storage.forget(session, job.id, *gone)

    async def _refuse(self, refusal: FileRefusedError) -> None:
        async with self._database.transaction(_SYSTEM) as session:
            job = await self._locked(session)
            job.refuse(refusal.reason, refusal.message, self._clock.now())
            await session.flush()
            await storage.forget(session, job.id)

    async def _locked(self, session: AsyncSession) -> ImportJob:
        job = await session.scalar(select(ImportJob).where(ImportJob.id == self._id).with_for_update())
        if job is None or job.state is not State.CHECKING or (self._run and job.run != self._run):
            raise OvertakenError
        return job


def _counted(before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(before) + Counter(more))
