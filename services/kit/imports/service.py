"""What people do with an import: open it, send the file, look at it, confirm it or not (GRP-05)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, LargeBinary, Text, Uuid, column, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.imports.v1 import imports_pb2 as pb
from kit import wake
from kit.db.etag import check_etag
from kit.db.paging import decode_token, encode_token, keyset, page_size, query_hash, split
from kit.errors import Conflict, InvalidArgument, NotFound, invalid
from kit.ids import new_id
from kit.imports import storage
from kit.imports.contract import column_mapping
from kit.imports.importer import Importer
from kit.imports.mapping import violations
from kit.imports.model import ImportJob
from kit.imports.profiles import MappingProfileNotFound, Profiles
from kit.imports.values import ENDED, Limits, Severity, State
from kit.rpc import names
from kit.vault import Vault

_LARGEST_PAGE: Final = 200
_LARGEST_ROWS_PAGE: Final = 1_000
_FIRST_ROWS: Final = 20
_CONFIRMED: Final = frozenset({State.TAKING_OVER, State.DONE})
_REMARK = table(
    "import_remark",
    column("import_id", Uuid),
    column("row_number", BigInteger),
    column("place", BigInteger),
    column("severity", Text),
    column("header", Text),
    column("field", Text),
    column("reason", Text),
    column("message", Text),
    column("cell_sealed", LargeBinary),
)


class ImportNotFound(NotFound):
    """There is no such import here."""

    reason = "IMPORT_NOT_FOUND"


class ImportWrongState(Conflict):
    """The import does not stand where this can be done; `state` says where it stands."""

    reason = "IMPORT_WRONG_STATE"


class RowsRejected(Conflict):
    """All or nothing was asked for, and a row cannot be taken."""

    reason = "ROWS_REJECTED"


class MappingInvalid(InvalidArgument):
    """The mapping says what cannot be, whatever the file is."""

    reason = "MAPPING_INVALID"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file: where it begins, and whether the file ends with it."""

    offset: int
    data: bytes
    last: bool


class Imports:
    """The use cases of one kind of list; `store_id` is empty for the files of the group."""

    def __init__(self, importer: Importer, vault: Vault, limits: Limits) -> None:
        self._importer = importer
        self._kind = importer.imports
        self._vault = vault
        self._limits = limits
        self.profiles = Profiles(importer.mappings)

    def check_mapping(self, mapping: pb.Mapping, prefix: str) -> None:
        """Refuse a mapping that fits no file. Raises MappingInvalid with every violation, see `mapping.violations`."""
        found = violations(column_mapping(mapping), self._importer.fields, prefix)
        if found:
            raise MappingInvalid(found[0].description, violations=found)

    async def create(
        self, session: AsyncSession, store_id: str, wanted: pb.Import, *, actor: str, now: datetime
    ) -> ImportJob:
        """Open an import. Raises MappingInvalid, and InvalidArgument for a mapping profile that is not there."""
        mapping = pb.Mapping()
        if wanted.mapping_profile:
            mapping.MergeFromString(await self._kept_mapping(session, store_id, wanted.mapping_profile))
        # What comes with the file comes first.
        mapping.MergeFrom(wanted.mapping)
        self.check_mapping(mapping, "import.mapping")
        job = ImportJob(
            id=new_id(now),
            kind=self._kind,
            store_id=store_id,
            state=State.UPLOADING,
            file_name=wanted.file_name,
            file_bytes=0,
            mapping=mapping.SerializeToString(deterministic=True),
            mapping_profile=wanted.mapping_profile,
            validate_only=wanted.validate_only,
            all_or_nothing=wanted.all_or_nothing,
            creator=actor,
            create_time=now,
            expire_time=now + self._limits.unfinished,
            wake_time=now,
        )
        session.add(job)
        await session.flush()
        return job

    async def append(self, session: AsyncSession, key: tuple[str, UUID], piece: Piece, now: datetime) -> ImportJob:
        """Add a piece; with the last one the check begins. A piece that is there already is not taken twice.

        Raises ImportNotFound, ImportWrongState, and InvalidArgument on `offset` (OFFSET_GAP, PIECE_DIFFERS) or `data`
        (FILE_TOO_LARGE).
        """
        job = await self._locked(session, *key)
        if piece.offset < job.file_bytes or (piece.offset == job.file_bytes and job.state is not State.UPLOADING):
            await self._repeated(session, job, piece)
        else:
            self._require(job, State.UPLOADING)
            if piece.offset > job.file_bytes:
                raise invalid("offset", "OFFSET_GAP", f"the next piece begins at {job.file_bytes}")
            if job.file_bytes + len(piece.data) > self._limits.file_bytes:
                raise invalid("data", "FILE_TOO_LARGE", f"a file has {self._limits.file_bytes} bytes at the most")
            if piece.data:
                await storage.add_piece(session, self._vault, job, piece.offset, piece.data)
                job.file_bytes += len(piece.data)
            job.expire_time = now + self._limits.unfinished
            job.version += 1
        if piece.last and job.state is State.UPLOADING:
            job.state, job.wake_time, job.expire_time = State.CHECKING, now, None
            wake.ring_after_commit(session, wake.IMPORT)
        await session.flush()
        return job

    async def get(self, session: AsyncSession, store_id: str, import_id: UUID) -> tuple[ImportJob, Sequence[Any]]:
        """Return one import and its first remarks, rejected rows before warnings. Raises ImportNotFound."""
        job = await session.scalar(
            select(ImportJob).where(
                ImportJob.id == import_id, ImportJob.kind == self._kind, ImportJob.store_id == store_id
            )
        )
        if job is None:
            raise ImportNotFound("there is no such import here")
        return job, await self.first_remarks(session, job)

    async def first_remarks(self, session: AsyncSession, job: ImportJob) -> Sequence[Any]:
        """The first remarks about an import's rows, rejected rows before warnings."""
        if not job.rejected_by_reason and not job.warnings_by_reason:
            return ()
        query = select(_REMARK).where(_REMARK.c.import_id == job.id)
        query = query.order_by(_REMARK.c.severity, _REMARK.c.row_number, _REMARK.c.place).limit(_FIRST_ROWS)
        return list(await session.execute(query))

    async def page(
        self, session: AsyncSession, store_id: str, size: int, token: str
    ) -> tuple[Sequence[ImportJob], str]:
        """Return a page, the newest first, and the token of the next one."""
        digest = query_hash(self._kind, store_id)
        limit = page_size(size, largest=_LARGEST_PAGE)
        query = select(ImportJob).where(ImportJob.kind == self._kind, ImportJob.store_id == store_id)
        after = decode_token(token, digest)
        query = keyset(query, [ImportJob.create_time, ImportJob.id], after, limit, descending=True)
        rows, last = split(list(await session.scalars(query)), limit)
        return rows, encode_token([last.create_time, last.id], digest) if last else ""

    async def remarks(
        self,
        session: AsyncSession,
        key: tuple[str, UUID],
        severity: Severity | None,
        *,
        size: int,
        token: str,
    ) -> tuple[Sequence[Any], str]:
        """Return a page of the remarks in the order of the rows. Raises ImportNotFound."""
        job, _ = await self.get(session, *key)
        digest = query_hash(job.id, severity)
        limit = page_size(size, largest=_LARGEST_ROWS_PAGE)
        query = select(_REMARK).where(_REMARK.c.import_id == job.id)
        if severity is not None:
            query = query.where(_REMARK.c.severity == severity.value)
        query = keyset(query, [_REMARK.c.row_number, _REMARK.c.place], decode_token(token, digest), limit)
        rows, last = split(list(await session.execute(query)), limit)
        return rows, encode_token([last.row_number, last.place], digest) if last else ""

    async def confirm(
        self, session: AsyncSession, key: tuple[str, UUID], *, etag: str, actor: str, now: datetime
    ) -> ImportJob:
        """Have the confirmed set taken over; one that is confirmed already stays as it is.

        Raises ImportNotFound, ImportWrongState, StaleEtag, RowsRejected.
        """
        job = await self._locked(session, *key)
        if job.state in _CONFIRMED:
            return job
        self._require(job, State.CHECKED)
        check_etag(etag, job.version)
        if job.all_or_nothing and job.rejected:
            raise RowsRejected(
                f"all or nothing was asked for, and {job.rejected} rows cannot be taken",
                metadata={"rejected": str(job.rejected)},
            )
        job.begin_taking_over(actor, now)
        wake.ring_after_commit(session, wake.IMPORT)
        await session.flush()
        return job

    async def cancel(self, session: AsyncSession, key: tuple[str, UUID], now: datetime) -> ImportJob:
        """Decide against an import; what was taken before stays. Raises ImportNotFound, ImportWrongState."""
        job = await self._locked(session, *key)
        if job.state is State.CANCELLED:
            return job
        self._require(job, *(state for state in State if state not in ENDED))
        if job.state is not State.TAKING_OVER:
            job.taken = 0
        job.end(State.CANCELLED, now)
        await session.flush()
        await storage.forget(session, job.id)
        return job

    async def _locked(self, session: AsyncSession, store_id: str, import_id: UUID) -> ImportJob:
        query = select(ImportJob).where(
            ImportJob.id == import_id, ImportJob.kind == self._kind, ImportJob.store_id == store_id
        )
        await storage.lock_alone(session, import_id)
        job = await session.scalar(query.with_for_update())
        if job is None:
            raise ImportNotFound("there is no such import here")
        return job

    def _require(self, job: ImportJob, *allowed: State) -> None:
        if job.state not in allowed:
            words = ", ".join(state.value for state in allowed)
            raise ImportWrongState(
                f"the import is {job.state.value}; this can be done while it is {words}",
                metadata={"state": job.state.value},
            )

    async def _repeated(self, session: AsyncSession, job: ImportJob, piece: Piece) -> None:
        if not piece.data and piece.offset == job.file_bytes and piece.last:
            return
        kept = await storage.read_piece(session, self._vault, job.id, piece.offset)
        if kept is None:
            # The file is gone with the end of the check: what it held can no longer be compared.
            self._require(job, State.UPLOADING)
        if kept != piece.data:
            raise invalid("offset", "PIECE_DIFFERS", "another piece was sent for this place of the file")

    async def _kept_mapping(self, session: AsyncSession, store_id: str, name: str) -> bytes:
        prefix = f"stores/{store_id}/" if store_id else ""
        parsed = names.parse(name, f"{prefix}{self._importer.mappings}/{{mapping}}", field="import.mapping_profile")
        try:
            return (await self.profiles.get(session, store_id, parsed["mapping"])).mapping
        except MappingProfileNotFound:
            raise invalid("import.mapping_profile", "MAPPING_UNKNOWN", "no mapping is kept under this name") from None
