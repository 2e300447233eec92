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
    """The statements of this block, those past SQLAlchemy included."""
    seen: list[str] = []
    listening: list[Any] = []

    def take(statement: str) -> None:
        if not statement.lstrip().upper().startswith(_CEREMONY):
            seen.append(statement)

    # SQLAlchemy's come as prepared statements, of which the driver's own log knows nothing.
    def note_prepared(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        take(statement)

    def note(record: Any) -> None:
        take(record.query)

    def listen(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
        connection = dbapi_connection.driver_connection
        if connection not in listening:
            connection.add_query_logger(note)
            listening.append(connection)

    engine = database.engine.sync_engine
    event.listen(engine, "checkout", listen)
    event.listen(engine, "before_cursor_execute", note_prepared)
    try:
        yield seen
    finally:
        event.remove(engine, "checkout", listen)
        event.remove(engine, "before_cursor_execute", note_prepared)
        for connection in listening:
            connection.remove_query_logger(note)
