"""The half of a service that works without being called: timers, sweeper, relay, consumers."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from nats.aio.client import Client
from nats.js.client import JetStreamContext
from nats.js.errors import APIError

from kit import wake
from kit.clock import SharedClock
from kit.log import log
from kit.messaging.connection import AWAY, connect
from kit.messaging.consumer import Consumer
from kit.messaging.relay import Relay
from kit.messaging.streams import StreamSpec, ensure_dlq, ensure_stream
from kit.service.context import KitContext
from kit.service.definition import Service
from kit.service.sweep import Sweeper
from kit.timers import TimerWorker

R = TypeVar("R")
Spawn = Callable[[Coroutine[Any, Any, None], str], None]
_RETRY_SECONDS: Final = 1.0
_ATTEMPT_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 5.0


class Worker:
    """Made by `Running`; its loops are spawned into the runner's task group."""

    def __init__(self, service: Service, context: KitContext) -> None:
        self._service = service
        self._context = context
        self._client: Client | None = None
        self._sweeper = Sweeper(context.database, context.clock)
        self._stopped = asyncio.Event()
        # Whoever moves a shared clock waits for everything that follows from the movement: nothing is gathered then.
        self._shared_clock = context.clock if isinstance(context.clock, SharedClock) else None
        self.timer_worker = TimerWorker(context.database, context.clock, service.timers)
        self.relay: Relay | None = None
        self.consumers: list[Consumer] = []
        self.jetstream: JetStreamContext | None = None

    async def start(self, spawn: Spawn, *, pump: bool, listen: bool) -> None:
        """Start timers and jobs, wait for NATS however long it takes, then start relay and consumers.

        `listen`: the transactions that leave something happen in other processes.
        """
        if pump:
            spawn(self.timer_worker.run(), "timers")
            spawn(self._sweeper.run(), "sweeper")
            for job in self._service.jobs:
                spawn(job.run(), job.name)
            if self._shared_clock is not None:
                # It jumps: nobody may go on sleeping until a time that has passed.
                spawn(self._until_stopped(self._shared_clock.watch(self.timer_worker.look_now)), "clock")
            if listen:
                spawn(self._until_stopped(wake.Listener(self._context.database).run()), "listener")
        await self._reach_nats()
        assert self.jetstream is not None
        self._make_relay(self.jetstream)
        self._make_consumers(self.jetstream)
        if pump:
            if self.relay is not None:
                spawn(self.relay.run(), "relay")
            for consumer in self.consumers:
                spawn(consumer.run(), "consumer")

    def stop_taking(self) -> None:
        """Take no new messages, timers and jobs; what is under way is finished and the rest given back."""
        for consumer in self.consumers:
            consumer.stop()
        self.timer_worker.stop()
        for job in self._service.jobs:
            job.stop()
        self._sweeper.stop()
        self._stopped.set()

    def stop_giving(self) -> None:
        """End the relay after the batch that it is publishing."""
        if self.relay is not None:
            self.relay.stop()

    async def close(self) -> None:
        """Give back what nobody took, send the last acknowledgements and close the connection."""
        if self._client is not None:
            for consumer in self.consumers:
                with suppress(*AWAY):
                    await consumer.close()
            with suppress(*AWAY):
                await asyncio.wait_for(self._client.flush(), _CLOSE_SECONDS)
            await self._client.close()
            self._client = None

    async def _reach_nats(self) -> None:
        settings = self._context.settings
        self._client = await _patiently("connect", lambda: connect(settings.nats_url, self._service.name))
        self.jetstream = jetstream = self._client.jetstream()
        for spec in self._streams():
            await _patiently(spec.name, partial(ensure_stream, jetstream, spec, settings.stream_replicas))
        await _patiently("DLQ", lambda: ensure_dlq(jetstream, settings.stream_replicas))

    def _streams(self) -> list[StreamSpec]:
        """The own streams and those that are read: whoever comes first makes them, all with the same settings."""
        read = (StreamSpec(it.stream, it.source_service) for it in self._service.subscriptions)
        return list(dict.fromkeys((*self._service.streams, *read)))

    def _make_relay(self, jetstream: JetStreamContext) -> None:
        context = self._context
        for spec in self._service.streams:
            if spec.service == self._service.name:
                self.relay = Relay(
                    context.database,
                    jetstream,
                    spec if self._shared_clock is None else replace(spec, gather_seconds=0.0),
                    self._service.name,
                    context.clock,
                    replicas=context.settings.stream_replicas,
                )

    def _make_consumers(self, jetstream: JetStreamContext) -> None:
        context = self._context
        self.consumers = [
            Consumer(
                subscription if self._shared_clock is None else replace(subscription, gather_seconds=0.0),
                context.database,
                jetstream,
                context.clock,
                service=self._service.name,
                replicas=context.settings.stream_replicas,
            )
            for subscription in self._service.subscriptions
        ]

    async def _until_stopped(self, job: Coroutine[Any, Any, None]) -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(job)
            await self._stopped.wait()
            task.cancel()


async def _patiently(what: str, attempt: Callable[[], Awaitable[R]]) -> R:
    """Try until NATS takes it; a configuration that it will never take is raised."""
    while True:
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                return await attempt()
        except (*AWAY, APIError) as error:
            if isinstance(error, APIError) and (error.code or 0) < 500:  # noqa: PLR2004 - the request itself is wrong
                raise
            log.warning("nats.waiting", what=what, error=type(error).__name__)
        await asyncio.sleep(_RETRY_SECONDS)
