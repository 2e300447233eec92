"""What a service says about one kind of list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from kit.imports.values import Draft, Field, Remark, Row


class Checker(Protocol):
    """Decides about the rows of one file, with everything that it needs in memory."""

    def check(self, row: Row) -> tuple[Draft | None, list[Remark]]:
        """The draft of a row that can be taken, or none; with the remarks, of which a rejecting one keeps it out.

        Runs in a thread of its own: no database, no event loop. Rows whose cells cannot be read, or that lack a
        required field, do not come here.
        """
        ...


class Importer(Protocol):
    """One kind of list: its fields, its checks, and how its rows are taken over."""

    @property
    def imports(self) -> str:
        """The collection in the names of imports, such as `deliveryImports`."""
        ...

    @property
    def mappings(self) -> str:
        """The collection in the names of kept mappings, such as `deliveryMappings`."""
        ...

    @property
    def fields(self) -> Sequence[Field]:
        """Everything that a column may mean."""
        ...

    @property
    def duplicate(self) -> Remark:
        """What is said of the later rows with one key in one file."""
        ...

    async def prepare(self, session: AsyncSession, store_id: str, now: datetime) -> Checker:
        """Load what checking needs; `store_id` is empty for a file of the group.

        The session sees every store. Raises FileRefusedError when such a file cannot be taken at all.
        """
        ...

    async def refused(self, session: AsyncSession, drafts: Sequence[Draft]) -> Mapping[int, Remark]:
        """Look the drafts of a dry run up in what is there already; return by row number why one cannot be taken.

        UNCHANGED says that its content is here already.
        The session sees every store and writes nothing.
        """
        ...

    async def take(
        self, session: AsyncSession, drafts: Sequence[Draft], source: str, now: datetime
    ) -> Mapping[int, Remark]:
        """Take the drafts over and tell the events, with a few statements for all; return by row why one was not.

        UNCHANGED says that its content is here already.
        `source` is the name of the import. The session sees the store of a store's file, or every store. It must not
        commit; what it raises is tried again, so a row that cannot be taken is returned and not raised.
        """
        ...
