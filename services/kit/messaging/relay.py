"""The relay: publishes the outbox, in order inside a key, until the stream has everything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

import asyncpg
from nats.js.client import JetStreamContext
from nats.js.errors import APIError

from kit import failpoints, telemetry, wake
from kit.backoff import pause_after
from kit.clock import Clock
from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.log import log
from kit.messaging import healing
from kit.messaging.connection import AWAY, BrokerAway, client_of
from kit.messaging.event import headers_for
from kit.messaging.streams import StreamSpec, ensure_stream
from kit.messaging.wire import Outgoing, Refused, Sent, send

POLL_SECONDS: Final = 1.0
COMPARE_SECONDS: Final = 15.0
FIRST_BACKOFF: Final = timedelta(seconds=1)
LONGEST_BACKOFF: Final = timedelta(minutes=5)
_LAST_SECONDS: Final = 2.0
_ALERT_AT_ATTEMPT: Final = 5
# "outbox" as two numbers: one relay per database, whatever else uses advisory locks there.
_LOCK: Final = (0x6F757462, 0x6F78)

_SELECT: Final = """
SELECT id, key, subject, type, payload, trace_context, create_time
FROM outbox
WHERE publish_time IS NULL
  AND key <> ALL (ARRAY(SELECT key FROM outbox WHERE publish_time IS NULL AND attempts > 0 AND next_attempt_time > $1))
ORDER BY position
LIMIT $2
"""
_MARK: Final = """
UPDATE outbox SET publish_time = $3, stream_sequence = sequence, last_error = NULL
FROM unnest($1::uuid[], $2::bigint[]) AS sent (event_id, sequence)
WHERE id = event_id
"""
_BACK_OFF: Final = """
UPDATE outbox SET attempts = attempts + 1, last_error = $2,
                  next_attempt_time = $3::timestamptz + least($4::interval * power(2, least(attempts, 20)), $5)
WHERE id = $1
RETURNING attempts
"""
_LAG: Final = (
    "SELECT count(*), min(create_time), count(*) FILTER (WHERE attempts > 0) FROM outbox WHERE publish_time IS NULL"
)
_LABEL: Final = ("stream",)


class StreamRewound(Exception):
    """The stream gave a sequence that it had given before: it lost its end since the last comparison."""

    def __init__(self, sequence: int) -> None:
        super().__init__(f"sequence {sequence} came a second time")
        self.sequence = sequence


class Relay:
    """Publishes one database's outbox to the service's stream; of several processes one is active at a time."""

    def __init__(
        self,
        database: Database,
        jetstream: JetStreamContext,
        stream: StreamSpec,
        source: str,
        clock: Clock,
        *,
        replicas: int = 1,
        batch_size: int = 500,
    ) -> None:
        self._database = database
        self._jetstream = jetstream
        self._stream = stream
        self._source = source
        self._clock = clock
        self._replicas = replicas
        self._batch_size = batch_size
        self._rung = asyncio.Event()
        self._stopping = False
        self._compare_at = 0.0
        self._reconnects = -1
        self._lost_from: int | None = None

    def wake(self) -> None:
        """Something is in the outbox."""
        self._rung.set()

    def stop(self) -> None:
        """Ends `run` after what it is publishing now."""
        self._stopping = True
        self._rung.set()

    async def run(self) -> None:
        """Publishes until it is stopped, whatever the broker and the database go through."""
        failures = 0
        with wake.subscribed(self._database, wake.OUTBOX, self.wake):
            while not self._stopping:
                self._rung.clear()
                try:
                    published = await self.publish_once()
                except Exception as error:  # the relay outlives everything; what it meets is told
                    failures += 1
                    self._tell_failure(error, failures)
                    await self._pause(pause_after(failures))
                    continue
                failures = 0
                # Less than a full batch was all there was; who commits after the look rings.
                if published < self._batch_size:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._rung.wait(), POLL_SECONDS)
                        await self._gather()
        await self._publish_the_rest()

    async def _gather(self) -> None:
        """What is committed in the next moment goes out together with what rang."""
        if self._stream.gather_seconds and not self._stopping:
            await asyncio.sleep(self._stream.gather_seconds)

    async def _publish_the_rest(self) -> None:
        """What the last transactions of this process told goes out now if that is quick, else with the next relay."""
        with suppress(Exception):
            async with asyncio.timeout(_LAST_SECONDS):
                while await self.publish_once():
                    continue

    async def publish_once(self) -> int:
        """Publishes one batch; returns how many events were tried, 0 when there was none or another relay is active.

        Raises:
            BrokerAway: NATS could not be reached before everything was tried; what it took is written down.
        """
        try:
            return await self._attempt()
        except StreamRewound as rewound:
            # Nothing was written down: the comparison finds what is there now.
            self._lost_from, self._compare_at = rewound.sequence, 0.0
            return await self._attempt()
        except BrokerAway:
            if not client_of(self._jetstream).is_connected:
                raise
            # The stream itself may be gone: look, make it again, go on.
            self._compare_at = 0.0
            return await self._attempt()

    async def compare(self) -> healing.Comparison:
        """Compares the stream with the outbox now, and mends; normally done on the way."""
        async with self._database.transaction(Scope.system("relay")) as session:
            connection = await raw_connection(session)
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1, $2)", *_LOCK):
                return healing.Comparison()
            return await self._compare(connection)

    async def _attempt(self) -> int:
        async with self._database.transaction(Scope.system("relay")) as session:
            connection = await raw_connection(session)
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1, $2)", *_LOCK):
                self._compare_at = 0.0
                return 0
            if self._must_compare():
                await self._compare(connection)
            now = self._clock.now()
            rows = await connection.fetch(_SELECT, now, self._batch_size)
            if not rows:
                return 0
            away = await self._publish(connection, rows, now)
        if away is not None:
            raise away
        return len(rows)

    def _must_compare(self) -> bool:
        reconnects = client_of(self._jetstream).stats["reconnects"]
        if reconnects != self._reconnects:
            self._reconnects, self._compare_at = reconnects, 0.0
        return monotonic() >= self._compare_at

    async def _compare(self, connection: asyncpg.Connection) -> healing.Comparison:
        try:
            info = await ensure_stream(self._jetstream, self._stream, self._replicas)
            found = await healing.compare(
                connection, self._jetstream, info, now=self._clock.now(), lost_from=self._lost_from
            )
        except (*AWAY, APIError) as error:
            raise BrokerAway(f"{type(error).__name__}: {error}") from error
        self._lost_from = None
        self._compare_at = monotonic() + COMPARE_SECONDS
        await self._measure(connection)
        return found

    async def _publish(self, connection: asyncpg.Connection, rows: Sequence[Any], now: datetime) -> BrokerAway | None:
        epoch = await healing.current_epoch(connection)
        ready, refused = self._prepare(rows, epoch)
        outcome = await send(self._jetstream, ready)
        failpoints.hit("after_publish")
        await self._check_sequences(connection, outcome.sent)
        await connection.execute(_MARK, [s.id for s in outcome.sent], [s.sequence for s in outcome.sent], now)
        for refusal in (*refused, *outcome.refused):
            await self._back_off(connection, refusal, now)
        telemetry.counter("dealerloop_outbox_published_total", "Events that the stream took.", _LABEL).labels(
            self._stream.name
        ).inc(len(outcome.sent))
        return outcome.away

    def _prepare(self, rows: Sequence[Any], epoch: int) -> tuple[list[Outgoing], list[Refused]]:
        ready: list[Outgoing] = []
        refused: list[Refused] = []
        blocked: set[str] = set()
        for row in rows:
            subject = row["subject"]
            if subject.startswith("."):
                subject = self._source + subject
            if row["key"] in blocked:
                continue
            if not subject.startswith(f"{self._stream.service}.v1."):
                blocked.add(row["key"])
                refused.append(Refused(row["id"], row["key"], f"{subject} is an event of another service"))
                continue
            headers = headers_for(
                event_id=row["id"],
                type_name=row["type"],
                source=self._source,
                subject=subject,
                time=row["create_time"],
                epoch=epoch,
                key=row["key"],
                trace=row["trace_context"],
            )
            ready.append(Outgoing(row["id"], row["key"], subject, headers, row["payload"]))
        return ready, refused

    async def _check_sequences(self, connection: asyncpg.Connection, sent: Sequence[Sent]) -> None:
        new = [event.sequence for event in sent if not event.duplicate]
        if not new:
            return
        last = await connection.fetchval("SELECT last_sequence FROM relay_state WHERE stream = $1", self._stream.name)
        if min(new) <= (last or 0):
            raise StreamRewound(min(new))
        await connection.execute(
            "UPDATE relay_state SET last_sequence = $2, update_time = $3 WHERE stream = $1",
            self._stream.name,
            max(new),
            self._clock.now(),
        )

    async def _back_off(self, connection: asyncpg.Connection, refusal: Refused, now: datetime) -> None:
        attempts = await connection.fetchval(_BACK_OFF, refusal.id, refusal.reason, now, FIRST_BACKOFF, LONGEST_BACKOFF)
        tell = log.error if attempts >= _ALERT_AT_ATTEMPT else log.warning
        tell(
            "outbox.key_blocked",
            stream=self._stream.name,
            event_id=str(refusal.id),
            attempts=attempts,
            why=refusal.reason,
        )
        self._compare_at = 0.0

    async def _measure(self, connection: asyncpg.Connection) -> None:
        waiting, oldest, blocked = await connection.fetchrow(_LAG)
        age = max(0.0, (self._clock.now() - oldest).total_seconds()) if oldest else 0.0
        name = self._stream.name
        telemetry.gauge("dealerloop_outbox_waiting", "Events not published yet.", _LABEL).labels(name).set(waiting)
        telemetry.gauge("dealerloop_outbox_oldest_seconds", "Age of the oldest of them.", _LABEL).labels(name).set(age)
        telemetry.gauge(
            "dealerloop_outbox_blocked_keys", "Ordering keys whose first event the stream refused.", _LABEL
        ).labels(name).set(blocked)

    def _tell_failure(self, error: Exception, failures: int) -> None:
        expected = isinstance(error, (BrokerAway, OSError, *AWAY))
        if expected:
            log.warning("relay.waiting", stream=self._stream.name, failures=failures, error=str(error)[:200])
        else:
            log.error("relay.failed", stream=self._stream.name, failures=failures, exc_info=error)
        self._compare_at = 0.0

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop_requested(), seconds)

    async def _stop_requested(self) -> None:
        while not self._stopping:
            await self._rung.wait()
            if not self._stopping:
                self._rung.clear()
                await asyncio.sleep(0)
