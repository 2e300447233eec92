"""The outbox: an event is written in the transaction of the fact that it tells, and published by the relay later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession

from kit import failpoints, telemetry, wake
from kit.db.engine import after_commit, raw_connection
from kit.ids import new_id
from kit.messaging.event import TRACE_PARENT, subject_for

_INSERT: Final = """
INSERT INTO outbox (id, key, subject, type, payload, trace_context, create_time)
SELECT id, key, subject, type, payload, $6, $7
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[])
     WITH ORDINALITY AS new (id, key, subject, type, payload, place)
ORDER BY place
"""

# New ids, because every inbox knows the old ones; the time of the fact stays.
_REPEAT: Final = """
INSERT INTO outbox (id, key, subject, type, payload, trace_context, create_time)
SELECT uuidv7(), key, subject, type, payload, trace_context, create_time
FROM outbox
WHERE type = ANY ($1) AND create_time >= $2 AND publish_time IS NOT NULL
ORDER BY position
"""


async def add(session: AsyncSession, message: Message, *, key: str, now: datetime) -> UUID:
    """Tells an event in this transaction; events of one key are published in this order. Returns its id.

    Raises:
        TypeError: the message has no `(dealerloop.event)` option.
    """
    return (await add_many(session, [(message, key)], now=now))[0]


async def add_many(session: AsyncSession, messages: Sequence[tuple[Message, str]], *, now: datetime) -> list[UUID]:
    """Tells many events, each with its key, in one statement. Returns their ids in the same order.

    Raises:
        TypeError: a message has no `(dealerloop.event)` option.
    """
    if not messages:
        return []
    ids = [new_id(now) for _ in messages]
    keys = [key for _, key in messages]
    # An event that every service publishes under its own name gets that name from the relay.
    subjects = [subject_for(message) for message, _ in messages]
    types = [message.DESCRIPTOR.full_name for message, _ in messages]
    payloads = [message.SerializeToString() for message, _ in messages]
    trace = telemetry.inject().get(TRACE_PARENT)
    connection = await raw_connection(session)
    await connection.execute(_INSERT, ids, keys, subjects, types, payloads, trace, now)
    if failpoints.armed("after_commit") and "kit.failpoint" not in session.info:
        session.info["kit.failpoint"] = True
        after_commit(session, lambda: failpoints.hit("after_commit"))
    wake.ring_after_commit(session, wake.OUTBOX)
    return ids


async def republish(session: AsyncSession, types: Sequence[type[Message]], *, since: datetime) -> int:
    """Tells published events once more, under new ids and in their old order; returns how many.

    For a consumer that lost what it had made of them. Every subscription of these types gets them, and takes only what
    its versions let it take. No further back than the outbox keeps events: 30 days.
    """
    connection = await raw_connection(session)
    done = await connection.execute(_REPEAT, [it.DESCRIPTOR.full_name for it in types], since)
    wake.ring_after_commit(session, wake.OUTBOX)
    return int(done.split()[-1])
