"""Which failures of the database are nobody's fault: those worth another try, and those that will pass."""

from __future__ import annotations

import socket

import asyncpg
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from kit.errors import InvalidArgument, Unavailable

_TRY_AGAIN = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected: the transaction left nothing behind."""
_CONNECTION_CLASS = "08"
_UNSTORABLE = frozenset({"22021", "22P05"})
"""character_not_in_repertoire, untranslatable_character: a NUL in a text or in JSON."""
_WILL_PASS = frozenset({"53300", "55P03", "57014", "57P01", "57P02", "57P03"})
"""too_many_connections, lock_not_available (in the server's lock_timeout), query_canceled (by the statement timeout),
shutdown, crash, starting up."""
_NO_CONNECTION = (ConnectionError, TimeoutError, socket.gaierror)
"""What connecting raises; other OSErrors, such as a missing file, are faults of ours."""


class DatabaseUnavailable(Unavailable):
    """The service's own database does not answer now."""

    reason = "DATABASE_UNAVAILABLE"


class TooMuchContention(Unavailable):
    """Others changed the same rows at the same moment, several times in a row."""

    reason = "CONTENTION"


class NulCharacter(InvalidArgument):
    """A text of the request has the character U+0000, which no database takes; the gateway names the field."""

    reason = "NUL_CHARACTER"


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of an error, whichever library raised it; empty when it is not one."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(origin, "sqlstate", None) or "")


def worth_another_try(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is run again."""
    return sqlstate(error) in _TRY_AGAIN


def is_unstorable(error: BaseException) -> bool:
    """Whether the caller sent a text that cannot be stored."""
    return sqlstate(error) in _UNSTORABLE


def will_pass(error: BaseException) -> bool:
    """Whether the database is away or overloaded, rather than the statement wrong."""
    if isinstance(error, (PoolTimeoutError, DisconnectionError, *_NO_CONNECTION)):
        return True
    if isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error.orig, _NO_CONNECTION)):
        return True
    state = sqlstate(error)
    lost = asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError
    return state.startswith(_CONNECTION_CLASS) or state in _WILL_PASS or isinstance(error, lost)
