"""Mappings that are kept under a name, for the next file from the same source."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.imports.v1 import imports_pb2 as pb
from kit.db.etag import check_etag
from kit.db.paging import decode_token, encode_token, keyset, page_size, query_hash, split
from kit.errors import NotFound
from kit.imports.model import MappingProfileRow

_LARGEST_PAGE: Final = 200


class MappingProfileNotFound(NotFound):
    """No mapping is kept under that name."""

    reason = "MAPPING_PROFILE_NOT_FOUND"


class Profiles:
    """The kept mappings of one kind; `store_id` is empty for those of the group."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    async def get(self, session: AsyncSession, store_id: str, profile: str) -> MappingProfileRow:
        """Return one. Raises MappingProfileNotFound."""
        found = await session.scalar(self._one(store_id, profile))
        if found is None:
            raise MappingProfileNotFound("no mapping is kept under this name")
        return found

    async def page(
        self, session: AsyncSession, store_id: str, size: int, token: str
    ) -> tuple[Sequence[MappingProfileRow], str]:
        """Return a page by name, and the token of the next one."""
        digest = query_hash(self._kind, store_id)
        limit = page_size(size, largest=_LARGEST_PAGE)
        query = select(MappingProfileRow).where(
            MappingProfileRow.kind == self._kind, MappingProfileRow.store_id == store_id
        )
        query = keyset(query, [MappingProfileRow.id], decode_token(token, digest), limit)
        rows, last = split(list(await session.scalars(query)), limit)
        return rows, encode_token([last.id], digest) if last else ""

    async def save(
        self, session: AsyncSession, store_id: str, profile: str, given: pb.MappingProfile, now: datetime
    ) -> MappingProfileRow:
        """Keep a mapping, in the place of the one that is there. Raises StaleEtag, MappingProfileNotFound."""
        fields = {
            "display_name": given.display_name or profile,
            "mapping": given.mapping.SerializeToString(deterministic=True),
            "update_time": now,
        }
        # An etag is of a mapping that is there: without one nothing is made.
        if not given.etag.strip():
            new = insert(MappingProfileRow).values(kind=self._kind, store_id=store_id, id=profile, version=1, **fields)
            made: MappingProfileRow | None = await session.scalar(
                new.on_conflict_do_nothing().returning(MappingProfileRow)
            )
            if made is not None:
                return made
        row = await session.scalar(self._one(store_id, profile).with_for_update())
        if row is None:
            raise MappingProfileNotFound("no mapping is kept under this name")
        check_etag(given.etag, row.version)
        for name, value in fields.items():
            setattr(row, name, value)
        row.version += 1
        await session.flush()
        return row

    async def delete(self, session: AsyncSession, store_id: str, profile: str) -> MappingProfileRow:
        """Forget one and return it. Raises MappingProfileNotFound."""
        row = await session.scalar(self._one(store_id, profile).with_for_update())
        if row is None:
            raise MappingProfileNotFound("no mapping is kept under this name")
        await session.delete(row)
        await session.flush()
        return row

    def _one(self, store_id: str, profile: str) -> Select[MappingProfileRow]:
        return select(MappingProfileRow).where(
            MappingProfileRow.kind == self._kind,
            MappingProfileRow.store_id == store_id,
            MappingProfileRow.id == profile,
        )
