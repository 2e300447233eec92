"""What an import keeps beside its own row: pieces, the confirmed set, remarks, keys, and what was ever taken.

Everything that may hold personal data is sealed, and gone when the import has ended.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import raw_connection
from kit.imports.model import ImportJob
from kit.imports.rows import Said
from kit.imports.values import Draft, Remark, Severity
from kit.vault import BLIND_BYTES, Vault

CELL: Final = "import.cell"
_DIGEST: Final = "import.row"
_KEY: Final = "import.key"
_DUPLICATE_PLACE: Final = 1_000
_FORGOTTEN: Final = ("import_piece", "import_batch", "import_key")

_ADD_REMARKS: Final = """
INSERT INTO import_remark
    (import_id, store_id, row_number, place, severity, header, field, reason, message, cell_sealed)
SELECT $1, $2, * FROM unnest(
    $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[])
"""
_ADD_KEYS: Final = """
INSERT INTO import_key (import_id, store_id, digest, row_number, key_blind, rank, warnings)
SELECT $1, $2, digest, row_number, key_blind, rank, string_to_array(warnings, ' ')
FROM unnest($3::bytea[], $4::bigint[], $5::bytea[], $6::text[], $7::text[])
     AS new (digest, row_number, key_blind, rank, warnings)
ORDER BY row_number
ON CONFLICT DO NOTHING RETURNING row_number
"""
# The rows of a key behind the first one by (rank, row): left out of the confirmed set, counted, and told.
_DECIDE_KEYS: Final = """
WITH losers AS MATERIALIZED (
    SELECT row_number, warnings FROM (
        SELECT row_number, warnings, row_number() OVER (PARTITION BY key_blind ORDER BY rank, row_number) AS place
        FROM import_key WHERE import_id = $1 AND key_blind IS NOT NULL) AS ranked
    WHERE place > 1),
left_out AS (
    UPDATE import_batch SET left_out = lost.row_numbers
    FROM (SELECT number, array_agg(losers.row_number) AS row_numbers
          FROM losers JOIN import_batch ON import_id = $1 AND losers.row_number BETWEEN first_row AND last_row
          GROUP BY number) AS lost
    WHERE import_batch.import_id = $1 AND import_batch.number = lost.number),
told AS (
    INSERT INTO import_remark
        (import_id, store_id, row_number, place, severity, header, field, reason, message, cell_sealed)
    SELECT $1, $2, row_number, $3, 'REJECTED', $4, $5, $6, $7, NULL FROM losers ORDER BY row_number LIMIT $8),
silenced AS (
    DELETE FROM import_remark USING losers
    WHERE import_remark.import_id = $1 AND import_remark.row_number = losers.row_number
          AND import_remark.severity = 'WARNING')
SELECT NULL AS reason, count(*) AS rows FROM losers
UNION ALL SELECT reason, count(*) FROM losers, unnest(warnings) AS reason GROUP BY reason
"""

_TAKE_BATCH: Final = """
WITH next AS MATERIALIZED (
    SELECT number FROM import_batch WHERE import_id = $1 ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED)
DELETE FROM import_batch USING next WHERE import_id = $1 AND import_batch.number = next.number
RETURNING import_batch.number, left_out, drafts_sealed
"""
# Waiting for it is in order: who wants an import for himself is not overtaken for ever by those who share it.
_LOCK: Final = "hashtextextended('import takeover ' || $1::uuid::text, 0)"


class Found(NamedTuple):
    """A draft with the digest of its row and the reasons of its warnings."""

    draft: Draft
    digest: bytes
    warnings: Sequence[str]


def digest_of(vault: Vault, content: str) -> bytes:
    """The digest by which the same row is known again in any later file; keyed, since its content is guessable."""
    return vault.blind(_DIGEST, content)


async def read_piece(session: AsyncSession, vault: Vault, import_id: UUID, position: int) -> bytes | None:
    """The piece of a file that begins at this byte."""
    connection = await raw_connection(session)
    sealed = await connection.fetchval(
        "SELECT data_sealed FROM import_piece WHERE import_id = $1 AND position = $2", import_id, position
    )
    return None if sealed is None else vault.open_bytes(_piece(import_id, position), sealed)


async def add_piece(session: AsyncSession, vault: Vault, job: ImportJob, position: int, data: bytes) -> None:
    """Keep one piece of a file."""
    await (await raw_connection(session)).execute(
        "INSERT INTO import_piece (import_id, store_id, position, bytes, data_sealed) VALUES ($1, $2, $3, $4, $5)",
        job.id,
        job.store_id,
        position,
        len(data),
        vault.seal_bytes(_piece(job.id, position), data),
    )


async def piece_positions(session: AsyncSession, import_id: UUID) -> list[int]:
    """Where the pieces of a file begin, in their order."""
    rows = await (await raw_connection(session)).fetch(
        "SELECT position FROM import_piece WHERE import_id = $1 ORDER BY position", import_id
    )
    return [row[0] for row in rows]


async def forget(session: AsyncSession, import_id: UUID, *tables: str) -> None:
    """Remove file, confirmed set and keys, or only the named ones."""
    connection = await raw_connection(session)
    for table in tables or _FORGOTTEN:
        await connection.execute(f"DELETE FROM {table} WHERE import_id = $1", import_id)  # noqa: S608 - constants


async def known(session: AsyncSession, digests: Sequence[bytes]) -> set[bytes]:
    """Those of the digests whose rows were taken once."""
    rows = await (await raw_connection(session)).fetch(
        "SELECT digest FROM import_known WHERE digest = ANY ($1)", digests
    )
    return {bytes(row[0]) for row in rows}


async def make_known(session: AsyncSession, found: Sequence[Found]) -> set[bytes]:
    """Say that these rows are taken; return the digests that were not known before.

    Waits for a transaction that takes the same rows; in the order of the digests, so that two never wait for each
    other.
    """
    ordered = sorted(found, key=lambda one: one.digest)
    rows = await (await raw_connection(session)).fetch(
        "INSERT INTO import_known (digest, store_id) "
        "SELECT * FROM unnest($1::bytea[], $2::text[]) ON CONFLICT DO NOTHING RETURNING digest",
        [one.digest for one in ordered],
        [one.draft.store_id for one in ordered],
    )
    return {bytes(row[0]) for row in rows}


async def make_unknown(session: AsyncSession, digests: Sequence[bytes]) -> None:
    """Take back what was said of rows that could not be taken after all."""
    if digests:
        await (await raw_connection(session)).execute("DELETE FROM import_known WHERE digest = ANY ($1)", digests)


async def add_keys(session: AsyncSession, vault: Vault, job: ImportJob, found: Sequence[Found]) -> set[int]:
    """Remember rows of a dry run; return the numbers of those that this file has not had before, exactly so."""
    rows = await (await raw_connection(session)).fetch(
        _ADD_KEYS,
        job.id,
        job.store_id,
        [one.digest for one in found],
        [one.draft.row for one in found],
        [vault.blind(_KEY, one.draft.key) if one.draft.key else None for one in found],
        [one.draft.rank for one in found],
        [" ".join(one.warnings) for one in found],
    )
    return {row[0] for row in rows}


async def decide_keys(
    session: AsyncSession, job: ImportJob, duplicate: Remark, header: str, most: int
) -> tuple[int, dict[str, int]]:
    """Leave all but the best row of each key out; return how many, and their warnings by reason."""
    rows = await (await raw_connection(session)).fetch(
        _DECIDE_KEYS,
        *(job.id, job.store_id, _DUPLICATE_PLACE),
        *(header, duplicate.field, duplicate.reason, duplicate.message, most),
    )
    counts = {row[0]: row[1] for row in rows}
    return counts.pop(None, 0), counts


async def add_remarks(
    session: AsyncSession, vault: Vault, job: ImportJob, said: Sequence[Said], *, first_place: int = 0
) -> None:
    """Keep remarks, those of one row in their order."""
    if not said:
        return
    places: list[int] = []
    for at, one in enumerate(said):
        places.append(places[-1] + 1 if at and said[at - 1].row == one.row else first_place)
    await (await raw_connection(session)).execute(
        _ADD_REMARKS,
        job.id,
        job.store_id,
        [one.row for one in said],
        places,
        [one.remark.severity.value for one in said],
        [one.header for one in said],
        [one.remark.field for one in said],
        [one.remark.reason for one in said],
        [one.remark.message for one in said],
        [vault.seal(CELL, one.cell) if one.cell else None for one in said],
    )


async def count_remarks(session: AsyncSession, import_id: UUID, severity: Severity) -> int:
    """How many remarks of that severity are kept."""
    return int(
        await (await raw_connection(session)).fetchval(
            "SELECT count(*) FROM import_remark WHERE import_id = $1 AND severity = $2", import_id, severity.value
        )
    )


def pack(vault: Vault, import_id: UUID, number: int, found: Sequence[Found]) -> bytes:
    """A batch of the confirmed set, sealed; bound to its place, so that two cannot be exchanged."""
    heads = [(row, store_id, key, rank, len(payload)) for (row, store_id, key, rank, payload), _, _ in found]
    head = orjson.dumps(heads)
    digests, payloads = b"".join([one.digest for one in found]), b"".join([one.draft.payload for one in found])
    content = len(head).to_bytes(4) + head + digests + payloads
    return vault.seal_bytes(_batch(import_id, number), zlib.compress(content, 1))


def unpack(vault: Vault, import_id: UUID, number: int, sealed: bytes) -> list[Found]:
    """The drafts of a batch, without their warnings."""
    content = zlib.decompress(vault.open_bytes(_batch(import_id, number), sealed))
    end = 4 + int.from_bytes(content[:4])
    heads = orjson.loads(content[4:end])
    found = []
    place = end + BLIND_BYTES * len(heads)
    for digest, (row, store_id, key, rank, length) in zip(range(end, place, BLIND_BYTES), heads, strict=True):
        draft = Draft(row, store_id, key, rank, content[place : place + length])
        found.append(Found(draft, content[digest : digest + BLIND_BYTES], ()))
        place += length
    return found


async def add_batch(session: AsyncSession, job: ImportJob, number: int, found: Sequence[Found], sealed: bytes) -> None:
    """Keep a batch of the confirmed set."""
    await (await raw_connection(session)).execute(
        "INSERT INTO import_batch (import_id, store_id, number, first_row, last_row, left_out, drafts_sealed) "
        "VALUES ($1, $2, $3, $4, $5, '{}', $6)",
        *(job.id, job.store_id, number, found[0].draft.row, found[-1].draft.row, sealed),
    )


async def is_anything_left(session: AsyncSession, import_id: UUID) -> bool:
    """Whether the confirmed set holds a batch, also one that somebody has in hand."""
    query = "SELECT EXISTS (SELECT 1 FROM import_batch WHERE import_id = $1)"
    return bool(await (await raw_connection(session)).fetchval(query, import_id))


async def lock_together(session: AsyncSession, import_id: UUID) -> None:
    """Take over a batch of it together with others, until the transaction ends."""
    await (await raw_connection(session)).execute(f"SELECT pg_advisory_xact_lock_shared({_LOCK})", import_id)


async def lock_alone(session: AsyncSession, import_id: UUID) -> None:
    """Wait for the batches that are under way; no other begins until the transaction ends."""
    await (await raw_connection(session)).execute(f"SELECT pg_advisory_xact_lock({_LOCK})", import_id)


async def try_lock_alone(session: AsyncSession, import_id: UUID) -> bool:
    """The same without waiting; says whether it succeeded."""
    query = f"SELECT pg_try_advisory_xact_lock({_LOCK})"
    return bool(await (await raw_connection(session)).fetchval(query, import_id))


async def take_batch(session: AsyncSession, vault: Vault, import_id: UUID) -> list[Found] | None:
    """Remove the next batch that nobody else has in hand and return what is to be taken of it; else nothing."""
    row = await (await raw_connection(session)).fetchrow(_TAKE_BATCH, import_id)
    if row is None:
        return None
    left_out = set(row[1])
    return [one for one in unpack(vault, import_id, row[0], row[2]) if one.draft.row not in left_out]


def _piece(import_id: UUID, position: int) -> str:
    return f"import.piece {import_id} {position}"


def _batch(import_id: UUID, number: int) -> str:
    return f"import.batch {import_id} {number}"
