"""What an error in a handler means for its message."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

import asyncpg
import sqlalchemy.exc

from kit.errors import DomainError, Kind
from kit.messaging.event import UnreadableEvent


class Verdict(Enum):
    """Three ways on."""

    OUTAGE = auto()
    """The database is away: nothing can be handled, nobody is to blame, the message is kept and tried again."""
    RETRY = auto()
    """It may work later, or it is a bug that a person must see: tried again with growing pauses, then set aside."""
    PERMANENT = auto()
    """It will never work: set aside at once."""


_DATABASE_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    # A former primary that became a replica.
    asyncpg.ReadOnlySQLTransactionError,
    sqlalchemy.exc.TimeoutError,
    sqlalchemy.exc.DisconnectionError,
    ConnectionError,
    socket.gaierror,
)
_TEMPORARY: Final = (Kind.UNAVAILABLE, Kind.TOO_MANY)


def judge(error: BaseException) -> Verdict:
    """The verdict on an error, looking at its causes too."""
    if isinstance(error, UnreadableEvent):
        return Verdict.PERMANENT
    if isinstance(error, DomainError):
        return Verdict.RETRY if error.kind in _TEMPORARY else Verdict.PERMANENT
    if any(_is_outage(cause) for cause in _causes(error)):
        return Verdict.OUTAGE
    return Verdict.RETRY


def is_unavailable(error: BaseException) -> bool:
    """Whether a neighbour does not answer; the next message would meet the same."""
    return isinstance(error, DomainError) and error.kind in _TEMPORARY


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, _DATABASE_AWAY):
        return True
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return bool(error.connection_invalidated)
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error)
    # What asyncio raises when every address of a host refused.
    return type(error) is OSError and "connect call failed" in str(error).lower()


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def without_values(error: BaseException) -> str:
    """What went wrong in one line, without the row values that PostgreSQL repeats: they may be personal data."""
    for cause in _causes(error):
        if isinstance(cause, asyncpg.PostgresError):
            where = getattr(cause, "constraint_name", None) or getattr(cause, "column_name", None) or ""
            return f"{type(cause).__name__} {cause.sqlstate} {where}".strip()
    if isinstance(error, sqlalchemy.exc.SQLAlchemyError):
        return type(error).__name__
    first, *_ = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {first[:300]}"
