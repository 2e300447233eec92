"""When the system has done everything that follows from what happened: only then may its clock be moved.

This looks where no client can: into the queues. It asks and changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import NamedTuple, Self

import asyncpg
import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.client import JetStreamContext

from kit.messaging.streams import DLQ
from tools.plan import Plan

PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.01
# By id, which grows with the time: whether anything was told since the last look.
_LOOK = """
SELECT (SELECT count(*) FROM outbox WHERE publish_time IS NULL) AS unpublished,
       (SELECT id::text FROM outbox ORDER BY id DESC LIMIT 1) AS newest,
       (SELECT min(wake_time) FROM timer) AS next_timer
"""


class StillBusyError(Exception):
    """It did not become quiet; the message says who still had what to do."""


class Look(NamedTuple):
    """What was seen: who has how much to do, what the outboxes end with, and when the next timer is due."""

    waiting: Mapping[str, int]
    newest: tuple[str | None, ...]
    next_timer: datetime | None


class Queues:
    """Outboxes, timers and consumers of the running services."""

    def __init__(self, plan: Plan) -> None:
        self._databases = {job.name: job.environment["DEALERLOOP_DATABASE_URL"] for job in plan.services}
        self._nats_url = plan.services[0].environment["DEALERLOOP_NATS_URL"]
        self._runner = asyncio.Runner()
        self._connections: dict[str, asyncpg.Connection] = {}
        self._client: Client | None = None
        self._streams: list[str] = []

    def __enter__(self) -> Self:
        """Connects."""
        self._runner.run(self._open())
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Closes the connections."""
        self._runner.run(self._close())
        self._runner.close()

    def wait_quiet(self, now: datetime) -> datetime | None:
        """Returns when nothing is under way or due at `now`: the time of the next timer, None without any.

        Raises:
            StillBusyError: not within PATIENCE_SECONDS.
        """
        return self._runner.run(self._wait(now))

    def dead_letters(self) -> int:
        """How many messages nobody could handle."""
        return self._runner.run(self._count_dead())

    async def _wait(self, now: datetime) -> datetime | None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        before: Look | None = None
        while True:
            look = await self._look(now)
            # Twice the same: between the two nothing was told, and no consumer was in the middle of something.
            if not look.waiting and before is not None and not before.waiting and look.newest == before.newest:
                return look.next_timer
            if time.monotonic() > deadline:
                busy = ", ".join(f"{name}: {count}" for name, count in look.waiting.items())
                raise StillBusyError(f"not quiet after {PATIENCE_SECONDS:.0f} s: {busy or 'it never stands still'}")
            before = look
            if look.waiting:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _look(self, now: datetime) -> Look:
        waiting: dict[str, int] = {}
        newest: list[str | None] = []
        timers: list[datetime] = []
        for name, connection in self._connections.items():
            row = await connection.fetchrow(_LOOK)
            newest.append(row["newest"])
            if row["unpublished"]:
                waiting[f"outbox of {name}"] = row["unpublished"]
            if row["next_timer"] is not None:
                timers.append(row["next_timer"])
                if row["next_timer"] <= now:
                    waiting[f"timers of {name}"] = 1
        # What is not told yet will be to do for somebody: only then it is worth asking the broker.
        for stream in [] if waiting else self._streams:
            for consumer in await self._jetstream.consumers_info(stream):
                left = (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)
                if left:
                    waiting[consumer.name] = left
        return Look(waiting, tuple(newest), min(timers, default=None))

    async def _open(self) -> None:
        self._client = await nats.connect(self._nats_url.split(","), name="simulation")
        for name, url in self._databases.items():
            settings = {"application_name": "dealerloop-simulation"}
            self._connections[name] = await asyncpg.connect(url, server_settings=settings)
        found = await self._jetstream.streams_info()
        self._streams = [str(stream.config.name) for stream in found if stream.config.name != DLQ]

    async def _close(self) -> None:
        for connection in self._connections.values():
            await connection.close(timeout=2)
        if self._client is not None:
            await self._client.close()

    async def _count_dead(self) -> int:
        try:
            found = await self._jetstream.stream_info(DLQ)
        except NatsError:
            return 0
        return int(found.state.messages)

    @property
    def _jetstream(self) -> JetStreamContext:
        assert self._client is not None
        return self._client.jetstream()
