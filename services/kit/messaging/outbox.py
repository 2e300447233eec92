"""The outbox: an event is written in the transaction of the fact that it tells, and published by the relay later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession

from kit import failpoints, telemetry, wake
from kit.db.engine import after_commit, before_commit, raw_connection
from kit.ids import new_id, new_ids
from kit.messaging.event import TRACE_PARENT, subject_for

_INSERT: Final = """
INSERT INTO outbox (id, key, subject, type, payload, trace_context, create_time)
SELECT id, key, subject, type, payload, trace_context, create_time
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::timestamptz[])
     WITH ORDINALITY AS new (id, key, subject, type, payload, trace_context, create_time, place)
ORDER BY place
"""

_COLUMNS: Final = ("id", "key", "subject", "type", "payload", "trace_context", "create_time")
_MANY: Final = 100

_WAITING: Final = "kit.outbox.waiting"

# New ids, because every inbox knows the old ones; the time of the fact stays.
_REPEAT: Final = """
INSERT INTO outbox (id, key, subject, type, payload, trace_context, create_time)
SELECT uuidv7(), key, subject, type, payload, trace_context, create_time
FROM outbox
WHERE type = ANY ($1) AND create_time >= $2 AND publish_time IS NOT NULL
ORDER BY position
"""
_COUNT_PUBLISHED: Final = """
SELECT count(*) FROM outbox WHERE type = ANY ($1) AND create_time >= $2 AND publish_time IS NOT NULL
"""


async def add(session: AsyncSession, message: Message, *, key: str, now: datetime) -> UUID:
    """Tells an event in this transaction; events of one key are published in this order. Returns its id.

    Single events are written together at the end of the transaction, in one statement; inside a savepoint at once,
    since it may be rolled back alone.

    Raises:
        TypeError: the message has no `(dealerloop.event)` option.
    """
    if session.in_nested_transaction():
        return (await add_many(session, [(message, key)], now=now))[0]
    told = _Told.of(new_id(now), message, key, _trace(), now)
    waiting: list[_Told] = session.info.setdefault(_WAITING, [])
    if not waiting:
        before_commit(session, lambda: _write_waiting(session))
    waiting.append(told)
    return told.id


async def add_many(session: AsyncSession, messages: Sequence[tuple[Message, str]], *, now: datetime) -> list[UUID]:
    """Tells many events, each with its key, in one statement. Returns their ids in the same order.

    Raises:
        TypeError: a message has no `(dealerloop.event)` option.
    """
    if not messages:
        return []
    # What was told before comes before.
    await _write_waiting(session)
    trace = _trace()
    ids = new_ids(len(messages), now)
    told = [_Told.of(one, message, key, trace, now) for one, (message, key) in zip(ids, messages, strict=True)]
    await _write(session, told)
    return ids


class _Told(NamedTuple):
    """One row of the outbox."""

    id: UUID
    key: str
    subject: str
    type: str
    payload: bytes
    trace: str | None
    time: datetime

    @classmethod
    def of(cls, event_id: UUID, message: Message, key: str, trace: str | None, now: datetime) -> _Told:
        # An event that every service publishes under its own name gets that name from the relay.
        return cls(
            event_id,
            key,
            subject_for(message),
            message.DESCRIPTOR.full_name,
            message.SerializeToString(),
            trace,
            now,
        )


def _trace() -> str | None:
    return telemetry.inject().get(TRACE_PARENT)


async def _write_waiting(session: AsyncSession) -> None:
    waiting: list[_Told] = session.info.get(_WAITING, [])
    told = waiting.copy()
    waiting.clear()
    if told:
        await _write(session, told)


async def _write(session: AsyncSession, told: Sequence[_Told]) -> None:
    connection = await raw_connection(session)
    if len(told) < _MANY:
        await connection.execute(_INSERT, *(list(column) for column in zip(*told, strict=True)))
    else:
        # More round trips, and half the work for each row.
        await connection.copy_records_to_table("outbox", records=told, columns=_COLUMNS)
    if failpoints.armed("after_commit") and "kit.failpoint" not in session.info:
        session.info["kit.failpoint"] = True
        after_commit(session, lambda: failpoints.hit("after_commit"))
    wake.ring_after_commit(session, wake.OUTBOX)


async def republish(session: AsyncSession, types: Sequence[type[Message]], *, since: datetime) -> int:
    """Tells published events once more, under new ids and in their old order; returns how many.

    For a consumer that lost what it had made of them. Every subscription of these types gets them, and takes only what
    its versions let it take. No further back than the outbox keeps events: 30 days.
    """
    connection = await raw_connection(session)
    done = await connection.execute(_REPEAT, [it.DESCRIPTOR.full_name for it in types], since)
    wake.ring_after_commit(session, wake.OUTBOX)
    return int(done.split()[-1])


async def count_published(session: AsyncSession, types: Sequence[type[Message]], *, since: datetime) -> int:
    """Return how many events `republish` would tell once more."""
    connection = await raw_connection(session)
    return int(await connection.fetchval(_COUNT_PUBLISHED, [it.DESCRIPTOR.full_name for it in types], since))
