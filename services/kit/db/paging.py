"""Keyset paging: the next page starts after the last row of this one, whatever was inserted meanwhile."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, TypeVar, TypeVarTuple
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from kit.errors import InvalidArgument, invalid

DEFAULT_SIZE = 50
LARGEST_SIZE = 1000
_DIGEST_BYTES = 6
_INT64 = 2**63

KeyValue = str | int | bool | datetime | date | UUID
Entities = TypeVarTuple("Entities")
Column = InstrumentedAttribute[Any] | ColumnElement[Any]


def page_size(requested: int, *, default: int = DEFAULT_SIZE, largest: int = LARGEST_SIZE) -> int:
    """Return how many rows to give: 0 means the default, too many means the largest. Raises InvalidArgument."""
    if requested < 0:
        raise invalid("page_size", "PAGE_SIZE", "The page size cannot be negative.")
    return min(requested or default, largest)


def query_hash(*parts: object) -> str:
    """Return a short digest of what defines a list (parent, filters, order), to bind its tokens to it."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def encode_token(values: Sequence[KeyValue], query_hash: str) -> str:
    """Return the token of the page after the row with these key values. Opaque, and good for this query only."""
    content = orjson.dumps([_tagged(value) for value in values])
    return base64.urlsafe_b64encode(_digest(content, query_hash) + content).decode().rstrip("=")


def decode_token(token: str, query_hash: str, *types: type) -> tuple[Any, ...]:
    """Return the key values of a token, checked against `types` when given; none for the empty token.

    Raises InvalidArgument (field page_token) for a token of another list, or one that was made up: it is bound to
    its list, but it is not a secret.
    """
    if not token:
        return ()
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        content = data[_DIGEST_BYTES:]
        if data[:_DIGEST_BYTES] != _digest(content, query_hash):
            raise _refused()
        values = tuple(_untagged(*item) for item in orjson.loads(content))
    except (ValueError, TypeError):
        raise _refused() from None
    if types and [type(value) for value in values] != list(types):
        raise _refused()
    return values


def keyset(
    statement: Select[*Entities],
    columns: Sequence[Column],
    token: tuple[Any, ...],
    size: int,
    *,
    descending: bool = False,
) -> Select[*Entities]:
    """Order by these columns, start after the token's row, and fetch one row more than `size`.

    The columns must be unique together and not null. The row too many says that there is a next page: see `split`.
    """
    statement = statement.order_by(*(column.desc() if descending else column.asc() for column in columns))
    if token:
        # A value of another type would be an error of the database, and so look like a fault of ours.
        if [type(value) for value in token] != [column.type.python_type for column in columns]:
            raise _refused()
        here = tuple_(*columns)
        # Typed by their columns: an asyncpg parameter has no type of its own.
        there = tuple_(*(literal(value, column.type) for value, column in zip(token, columns, strict=True)))
        statement = statement.where(here < there if descending else here > there)
    return statement.limit(size + 1)


Item = TypeVar("Item")


def split(rows: Sequence[Item], size: int) -> tuple[Sequence[Item], Item | None]:
    """Return the page's rows, and its last row when another page follows (the next token is made of it)."""
    if len(rows) <= size:
        return rows, None
    return rows[:size], rows[size - 1]


def _tagged(value: KeyValue) -> list[object]:
    match value:
        case datetime():
            return ["t", value.isoformat()]
        case date():
            return ["d", value.isoformat()]
        case UUID():
            return ["u", str(value)]
        case bool() | int() | str():
            return ["v", value]


def _untagged(tag: str, value: Any) -> KeyValue:
    match tag:
        case "t":
            instant = datetime.fromisoformat(value)
            if instant.tzinfo is None:
                raise _refused()
            return instant
        case "d":
            return date.fromisoformat(value)
        case "u":
            return UUID(value)
        # What PostgreSQL cannot take was not made here.
        case "v" if isinstance(value, str) and "\0" not in value:
            return value
        case "v" if isinstance(value, int) and -_INT64 <= value < _INT64:
            return value
        case _:
            raise _refused()


def _digest(content: bytes, query_hash: str) -> bytes:
    return hashlib.sha256(query_hash.encode() + b"\0" + content).digest()[:_DIGEST_BYTES]


def _refused() -> InvalidArgument:
    return invalid("page_token", "PAGE_TOKEN", "does not belong to this list")
