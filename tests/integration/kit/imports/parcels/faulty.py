"""A checker that breaks at one parcel, or ends its process there."""

from __future__ import annotations

import os
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from kit.imports.values import Draft, Remark, Row
from tests.integration.kit.imports.parcels.importer import ParcelChecker, ParcelImporter

EXIT_CODE = 7


class BrokenError(Exception):
    """Cannot be pickled and made again: it wants two arguments and keeps one."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code} {reason}")


class FaultyChecker(ParcelChecker):
    def __init__(self, store_id: str, *, breaks_at: str, ends_at: str) -> None:
        super().__init__(store_id)
        self._breaks_at = breaks_at
        self._ends_at = ends_at

    def check(self, row: Row) -> tuple[Draft | None, list[Remark]]:
        if row.text("code") == self._breaks_at:
            raise BrokenError(self._breaks_at, "is broken")
        if row.text("code") == self._ends_at:
            os._exit(EXIT_CODE)
        return super().check(row)


class FaultyImporter(ParcelImporter):
    breaks_at = ends_at = ""

    async def prepare(self, session: AsyncSession, store_id: str, now: datetime) -> ParcelChecker:
        await super().prepare(session, store_id, now)
        return FaultyChecker(store_id, breaks_at=self.breaks_at, ends_at=self.ends_at)
