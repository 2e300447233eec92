"""A pond with real servers: throws pebbles into an outbox and catches them from the stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from nats.js import JetStreamContext

from kit.clock import Clock, ManualClock
from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.messaging import outbox
from kit.messaging.consumer import Batch, Consumer, Subscription
from kit.messaging.relay import Relay
from kit.messaging.streams import StreamSpec
from kit.messaging.subscription import OnRewind
from tests.support.pebbles import PebbleSunk, PebbleThrown

POND = StreamSpec("POND", "pond")
TEST = Scope.system("test")
START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


@dataclass
class Catcher:
    """A handler that writes down every pebble in its transaction; may be told to fail."""

    name: str = "catcher"
    batches: list[list[str]] = field(default_factory=list)
    error_for: dict[str, Exception] = field(default_factory=dict)
    gate: asyncio.Event | None = None

    async def handle(self, batch: Batch) -> None:
        pebbles = [message_of(event.message) for event in batch.events]
        self.batches.append([pebble.pebble_id for pebble in pebbles])
        connection = await raw_connection(batch.session)
        await connection.executemany(
            "INSERT INTO caught (catcher, pebble_id, version) VALUES ($1, $2, $3)",
            [(self.name, pebble.pebble_id, getattr(pebble, "version", 0)) for pebble in pebbles],
        )
        if self.gate is not None:
            await self.gate.wait()
        for pebble in pebbles:
            if pebble.pebble_id in self.error_for:
                raise self.error_for[pebble.pebble_id]

    def subscription(self, *events: type[Any], batch_size: int = 500) -> Subscription:
        return Subscription(
            self.name, POND.name, events or (PebbleThrown,), self.handle, batch_size=batch_size, source_service="pond"
        )


def message_of(message: Any) -> PebbleThrown:
    assert isinstance(message, (PebbleThrown, PebbleSunk))
    return message  # type: ignore[return-value]


@dataclass
class Pond:
    """One database with a JetStream."""

    database: Database
    jetstream: JetStreamContext
    clock: Clock = field(default_factory=lambda: ManualClock(START))

    async def throw(self, *pebbles: str, key: str | None = None, version: int = 1, text: str = "") -> list[UUID]:
        """One transaction that writes each pebble and its event, under its own key unless one is given."""
        async with self.database.transaction(TEST) as session:
            connection = await raw_connection(session)
            await connection.executemany(
                "INSERT INTO thrown (pebble_id) VALUES ($1) ON CONFLICT DO NOTHING", [(pebble,) for pebble in pebbles]
            )
            return await outbox.add_many(
                session,
                [(PebbleThrown(pebble_id=it, version=version, text=text), key or it) for it in pebbles],
                now=self.clock.now(),
            )

    def relay(self, **options: Any) -> Relay:
        return Relay(self.database, self.jetstream, POND, "pond", self.clock, **options)

    def consumer(
        self, catcher: Catcher, *events: type[Any], on_rewind: OnRewind | None = None, batch_size: int = 500
    ) -> Consumer:
        return Consumer(
            replace(catcher.subscription(*events, batch_size=batch_size), on_rewind=on_rewind),
            self.database,
            self.jetstream,
            self.clock,
            service="pond",
            retry_seconds=(0.05,),
        )

    async def publish_all(self, relay: Relay | None = None) -> None:
        relay = relay or self.relay()
        while await relay.publish_once():
            pass

    async def in_stream(self) -> list[str]:
        """The ids of the pebbles in the stream, in its order."""
        info = await self.jetstream.stream_info(POND.name)
        return [
            PebbleThrown.FromString((await self.jetstream.get_msg(POND.name, seq=sequence)).data or b"").pebble_id
            for sequence in range(max(1, info.state.first_seq), info.state.last_seq + 1)
        ]

    async def caught(self, catcher: str = "catcher") -> list[str]:
        rows = await self.fetch("SELECT pebble_id FROM caught WHERE catcher = $1 ORDER BY pebble_id", catcher)
        return [row[0] for row in rows]

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Any]:
        async with self.database.transaction(TEST) as session:
            rows: Sequence[Any] = await (await raw_connection(session)).fetch(statement, *arguments)
            return rows

    async def value(self, statement: str, *arguments: Any) -> Any:
        return (await self.fetch(statement, *arguments))[0][0]


async def drain(consumer: Consumer) -> int:
    """Handles until nothing is there; returns how many messages that were."""
    total = 0
    while count := await consumer.drain_once():
        total += count
    return total


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 15.0) -> None:
    """Waits for what other tasks or processes bring about."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
