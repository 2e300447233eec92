"""Compares the outbox with the stream, and mends what the broker or the database has lost.

Three things can have happened while nobody looked. The stream is younger than the relay remembers, or ends earlier: the
broker lost its disk or got an old copy of it back, and the outbox fills it again. The stream goes on further than the
outbox knows: usually a relay ended between publishing and writing that down, and the outbox only notes it. But when the
stream has events that the outbox never wrote, this database came back from a backup: a new epoch begins, and whoever
reads the stream reconciles by snapshot.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from nats.js.api import StreamInfo
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from kit import telemetry
from kit.log import log
from kit.messaging.event import MESSAGE_ID

_CHUNK: Final = 64


@dataclass(frozen=True, slots=True)
class Seen:
    """What the relay wrote down of its stream: when it was made, and the last sequence it published."""

    created: datetime | None
    last_sequence: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found: rows to be published again, rows noted as published, whether a new epoch began."""

    again: int = 0
    noted: int = 0
    new_epoch: bool = False


async def seen(connection: asyncpg.Connection, stream: str) -> Seen:
    """What this database remembers of the stream."""
    row = await connection.fetchrow("SELECT stream_created, last_sequence FROM relay_state WHERE stream = $1", stream)
    return Seen(row[0], row[1]) if row else Seen(None, 0)


async def remember(
    connection: asyncpg.Connection, stream: str, created: datetime | None, last_sequence: int, now: datetime
) -> None:
    """Writes down what is true of the stream now."""
    await connection.execute(
        """
        INSERT INTO relay_state (stream, stream_created, last_sequence, update_time) VALUES ($1, $2, $3, $4)
        ON CONFLICT (stream) DO UPDATE SET stream_created = $2, last_sequence = $3, update_time = $4
        """,
        stream,
        created,
        last_sequence,
        now,
    )


async def current_epoch(connection: asyncpg.Connection) -> int:
    """The epoch that goes into the headers of what this database publishes."""
    return int(await connection.fetchval("SELECT epoch FROM epoch"))


async def start_epoch(connection: asyncpg.Connection, reason: str, now: datetime) -> int:
    """Begins a new epoch; also for the operator who restored this database and the broker together.

    Counted in seconds since 1970 from the second epoch on: a backup that is restored twice must not give the same
    number twice.
    """
    epoch = int(
        await connection.fetchval(
            "UPDATE epoch SET epoch = greatest(epoch + 1, $1), start_time = $2, reason = $3 RETURNING epoch",
            int(now.timestamp()),
            now,
            reason,
        )
    )
    telemetry.counter("dealerloop_epochs_started_total", "New epochs: this database came back from a backup.").inc()
    log.error("outbox.new_epoch", epoch=epoch, reason=reason)
    return epoch


async def compare(
    connection: asyncpg.Connection,
    jetstream: JetStreamContext,
    info: StreamInfo,
    *,
    now: datetime,
    lost_from: int | None = None,
) -> Comparison:
    """Compares and mends within the caller's transaction; the caller is the only relay of this database.

    `lost_from` is a sequence that the stream has just given a second time: it and all above are not what they were.
    """
    stream = str(info.config.name)
    before = await seen(connection, stream)
    last = info.state.last_seq
    known = before.last_sequence
    again = 0
    if before.created is not None and before.created != info.created:
        again, known = await _publish_again(connection, 0), 0
    elif not await _agree_on(connection, jetstream, stream, known, info):
        again = await _publish_again(connection, 0)
    elif lost_from is not None and lost_from <= known:
        again, known = await _publish_again(connection, lost_from), lost_from - 1
    elif last < known:
        again, known = await _publish_again(connection, last + 1), last
    noted, strangers = 0, 0
    if last > known:
        first = max(known + 1, info.state.first_seq)
        noted, strangers = await _catch_up(connection, jetstream, stream, range(first, last + 1), now)
    if strangers:
        await start_epoch(connection, f"stream {stream} has events that this database never wrote", now)
    await remember(connection, stream, info.created, last, now)
    if again or noted:
        log.warning("outbox.stream_compared", stream=stream, again=again, noted=noted, last_sequence=last)
    return Comparison(again, noted, strangers > 0)


async def _publish_again(connection: asyncpg.Connection, from_sequence: int) -> int:
    """Everything from there on counts as unpublished; what the stream still has, it recognises by its id."""
    # A month of events takes longer than a statement normally may.
    await connection.execute("SET LOCAL statement_timeout = 0")
    done = await connection.execute(
        "UPDATE outbox SET publish_time = NULL, stream_sequence = NULL"
        " WHERE publish_time IS NOT NULL AND stream_sequence >= $1",
        from_sequence,
    )
    again = int(done.split()[-1])
    telemetry.counter("dealerloop_outbox_republished_total", "Events published again after the broker lost them.").inc(
        again
    )
    return again


async def _agree_on(
    connection: asyncpg.Connection, jetstream: JetStreamContext, stream: str, sequence: int, info: StreamInfo
) -> bool:
    """Whether the last event that both know is the same; a stream that lost its end may have grown past it since."""
    if not max(info.state.first_seq, 1) <= sequence < info.state.last_seq:
        return True
    event_id = await _id_at(jetstream, stream, sequence)
    if event_id is None:
        return True
    recorded = await connection.fetchval("SELECT id FROM outbox WHERE stream_sequence = $1", sequence)
    return recorded is None or recorded == event_id


async def _catch_up(
    connection: asyncpg.Connection, jetstream: JetStreamContext, stream: str, sequences: range, now: datetime
) -> tuple[int, int]:
    """Notes what was published without being written down; ends at the first chunk with an event nobody knows."""
    noted = 0
    for start in range(sequences.start, sequences.stop, _CHUNK):
        chunk = range(start, min(start + _CHUNK, sequences.stop))
        ids = await asyncio.gather(*(_id_at(jetstream, stream, sequence) for sequence in chunk))
        found = {event_id: sequence for event_id, sequence in zip(ids, chunk, strict=True) if event_id is not None}
        rows = await connection.fetch(
            """
            UPDATE outbox SET publish_time = coalesce(publish_time, $3), stream_sequence = sequence,
                              next_attempt_time = '-infinity', last_error = NULL
            FROM unnest($1::uuid[], $2::bigint[]) AS there (event_id, sequence)
            WHERE id = event_id
            RETURNING id
            """,
            list(found),
            list(found.values()),
            now,
        )
        noted += len(rows)
        if strangers := len(found) - len(rows):
            return noted, strangers
    return noted, 0


async def _id_at(jetstream: JetStreamContext, stream: str, sequence: int) -> UUID | None:
    """The id of the event at that place; None when the stream no longer has it."""
    try:
        message = await jetstream.get_msg(stream, seq=sequence, direct=False)
    except NotFoundError:
        return None
    try:
        return UUID((message.headers or {}).get(MESSAGE_ID, ""))
    except ValueError:
        # Whatever a person put there by hand is not from this outbox, and not from a lost one either.
        return None
