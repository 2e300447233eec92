"""The dry run: every row of the file is read and checked, and the confirmed set is put aside (GRP-05).

It reads in a thread, batch by batch, and each batch is one transaction, so that a large file neither fills the memory
nor holds up the event loop. It begins again from the start when its process ends; a check that was overtaken by
another one notices by the number of its run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
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
from kit.imports.importer import Checker, Importer
from kit.imports.mapping import Columns, RowReader, find_columns
from kit.imports.model import ImportJob
from kit.imports.normalising import text_of
from kit.imports.reading.open import open_table
from kit.imports.reading.source import SourceRow, Table
from kit.imports.storage import Found, Said
from kit.imports.values import UNCHANGED, FileRefusedError, Limits, Remark, Severity, State
from kit.vault import Vault

_SHOWN: Final = 80
_LONGEST_HEADER: Final = 200
_MOST_RUNS: Final = 10
_SYSTEM: Final = Scope.system("imports: checking a file")


class OvertakenError(Exception):
    """The import was cancelled, or another process checks it."""


@dataclass(slots=True)
class Batch:
    """What was found out about some rows of a file, before anybody looks into the database."""

    rows: int = 0
    found: list[Found] = field(default_factory=list)
    said: dict[int, list[Said]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is being read."""

    table: Table
    columns: Columns
    reader: RowReader


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
            content = _Stored(self._database, self._vault, job, positions, asyncio.get_running_loop())
            opened = await asyncio.to_thread(self._open, job, content)
            await self._note_columns(opened)
            # Reading the next batch meanwhile would be slower: the thread and the loop would fight for the interpreter.
            while not stopping():
                batch = await asyncio.to_thread(self._next, opened, checker, job)
                if not batch.rows:
                    await self._finish(opened)
                    return
                await self._keep(batch, opened)
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

    def _open(self, job: ImportJob, content: _Stored) -> Opened:
        mapping = column_mapping(pb.Mapping.FromString(job.mapping))
        table = open_table(content, mapping.hints, self._limits)
        columns = find_columns(table, self._importer.fields, mapping, job.store_id)
        reader = RowReader(table, columns, self._importer.fields, mapping, job.store_id, self._limits)
        return Opened(table, columns, reader)

    async def _note_columns(self, opened: Opened) -> None:
        async with self._database.transaction(_SYSTEM) as session:
            job = await self._locked(session)
            mapping = pb.Mapping.FromString(job.mapping)
            for name, header in opened.columns.named().items():
                if name not in mapping.columns:
                    mapping.columns[name] = header
            job.mapping = mapping.SerializeToString(deterministic=True)
            job.recognised = {**opened.table.recognised, "headerRow": str(opened.columns.header_row)}
            job.headers = [header[:_LONGEST_HEADER] for header in opened.columns.headers]

    def _next(self, opened: Opened, checker: Checker, job: ImportJob) -> Batch:
        """Read and check the next rows; in a thread."""
        batch = Batch()
        for source in islice(opened.columns.rows, self._limits.batch_rows):
            batch.rows += 1
            row, remarks = opened.reader.read(source)
            if not _keeps_out(remarks):
                draft, more = checker.check(row)
                remarks += more
                if not _keeps_out(more):
                    if draft is None:
                        raise TypeError(f"{type(checker).__name__} gave neither a draft nor a reason")
                    if job.store_id and draft.store_id != job.store_id:
                        raise ValueError("a store's file has rows of this store only")
                    digest = storage.digest_of(self._vault, self._importer.imports, draft.store_id, row.values)
                    batch.found.append(Found(draft, digest, sorted({one.reason for one in remarks})))
            if remarks:
                batch.said[row.number] = [self._said(opened, source, one) for one in remarks]
        return batch

    def _said(self, opened: Opened, source: SourceRow, remark: Remark) -> Said:
        cell = text_of(opened.reader.cell_of(source, remark.field))[:_SHOWN]
        return Said(source.number, remark, opened.reader.header_of(remark.field), cell)

    async def _keep(self, batch: Batch, opened: Opened) -> None:
        async with self._database.transaction(_SYSTEM) as session:
            job = await self._locked(session)
            if job.row_count + batch.rows > self._limits.rows:
                raise FileRefusedError("ROWS_TOO_MANY", f"The file has more than {self._limits.rows} rows.")
            found = await self._new(session, job, batch, opened)
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
            job.progress_percent = min(99, int(opened.table.progress() * 100))
            job.version += 1
            await storage.add_remarks(session, self._vault, job, self._within_limits(said))
            if found:
                self._number += 1
                sealed = await asyncio.to_thread(storage.pack, self._vault, job.id, self._number, found)
                await storage.add_batch(session, job, self._number, found, sealed)

    async def _new(self, session: AsyncSession, job: ImportJob, batch: Batch, opened: Opened) -> list[Found]:
        """Those drafts that would be taken; of the others the batch says why not, and nothing of unchanged ones."""
        if not batch.found:
            return []
        known = await storage.known(session, [one.digest for one in batch.found])
        fresh = []
        for one in batch.found:
            if one.digest in known:
                batch.said.pop(one.draft.row, None)
            else:
                fresh.append(one)
        refused = await self._importer.refused(session, [one.draft for one in fresh]) if fresh else {}
        for row, remark in refused.items():
            if remark is UNCHANGED:
                batch.said.pop(row, None)
                continue
            said = Said(row, remark, opened.reader.header_of(remark.field), "")
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

    async def _finish(self, opened: Opened) -> None:
        now = self._clock.now()
        async with self._database.transaction(_SYSTEM) as session:
            job = await self._locked(session)
            duplicate = self._importer.duplicate
            lost, warnings = await storage.decide_keys(
                session, job, duplicate, opened.reader.header_of(duplicate.field), self._left[Severity.REJECTED]
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


class _Stored:
    """A stored file, read in a thread while the event loop fetches its pieces."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        job: ImportJob,
        positions: Sequence[int],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._database = database
        self._vault = vault
        self._id = job.id
        self._positions = positions
        self._loop = loop
        self.size = job.file_bytes

    def pieces(self) -> Iterator[bytes]:
        for position in self._positions:
            yield asyncio.run_coroutine_threadsafe(self._piece(position), self._loop).result()

    async def _piece(self, position: int) -> bytes:
        async with self._database.transaction(_SYSTEM, read_only=True) as session:
            piece = await storage.read_piece(session, self._vault, self._id, position)
        if piece is None:
            raise OvertakenError
        return piece


def _keeps_out(remarks: Sequence[Remark]) -> bool:
    for one in remarks:  # noqa: SIM110 - nearly always empty: a generator would cost more than the question
        if one.severity is Severity.REJECTED:
            return True
    return False


def _counted(before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(before) + Counter(more))
