"""Counts the statements that a service sends, without those that open and close its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from kit.db.engine import Database

_CEREMONY = ("BEGIN", "COMMIT", "ROLLBACK", "SET")


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements of this block, as they are sent."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(_CEREMONY):
            seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
