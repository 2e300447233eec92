"""A service while it runs: starts its parts in order, and ends them so that nothing is lost or left half done."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from enum import Flag, auto
from typing import Any, Final

from kit.db.schema import require_schema
from kit.db.simulation import require_clock
from kit.log import log
from kit.messaging.consumer import Consumer
from kit.messaging.relay import Relay
from kit.rpc.server import RpcServer
from kit.service.context import KitContext
from kit.service.definition import BackgroundJob, Service
from kit.service.probe import Probe
from kit.service.worker import Worker
from kit.timers import TimerWorker
from kit.wake import Notifier

_START_SECONDS: Final = 30.0


class Parts(Flag):
    """Which halves of a service run in this process."""

    RPC = auto()
    WORKER = auto()
    ALL = RPC | WORKER


class Running:
    """One service in this event loop.

    Start: schema check, hooks, gRPC, web, timers, then NATS with relay and consumers. Calls are answered while NATS
    is still away. Stop: not ready, stop fetching, finish, give the rest back, close.
    """

    def __init__(self, service: Service, context: KitContext, parts: Parts = Parts.ALL) -> None:
        self._service = service
        self._context = context
        self._parts = parts
        self._settings = service.settings
        self._probe = Probe(lambda: self._ready)
        self._rpc: RpcServer | None = None
        self._web: Any = None
        self._worker: Worker | None = None
        self._ready = False
        self._ended = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self.rpc_port = 0
        self.http_port = 0
        self.probe_port = 0

    @property
    def relay(self) -> Relay | None:
        """The relay, once the worker half has reached NATS; none when the service owns no stream."""
        return self._worker.relay if self._worker else None

    @property
    def consumers(self) -> list[Consumer]:
        """The consumers, once the worker half has reached NATS."""
        return self._worker.consumers if self._worker else []

    @property
    def jobs(self) -> Sequence[BackgroundJob]:
        """The background jobs, when this process has the worker half."""
        return self._service.jobs if self._worker else ()

    @property
    def timer_worker(self) -> TimerWorker | None:
        """The timer worker of the worker half."""
        return self._worker.timer_worker if self._worker else None

    async def start(self, *, pump: bool = True) -> None:
        """Start every part; on an error stop what was started and raise it.

        With `pump=False` relay, consumers, timers and jobs are made but do not run by themselves: a test drains them.
        """
        self._supervisor = asyncio.create_task(self._supervise(), name=f"{self._service.name}.supervisor")
        starting = asyncio.create_task(self._start(pump=pump), name=f"{self._service.name}.start")
        try:
            # A part that fails meanwhile ends the start: nobody would ever wait for it otherwise.
            await asyncio.wait([starting, self._supervisor], return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                await asyncio.shield(self._supervisor)
            await starting
        except BaseException:
            starting.cancel()
            await asyncio.wait([starting])
            await self.stop(grace=0)
            raise

    async def wait(self) -> None:
        """Return when the service was stopped; raise what ended one of its parts."""
        assert self._supervisor is not None
        await asyncio.shield(self._supervisor)

    async def stop(self, grace: float | None = None) -> None:
        """End gracefully: work under way gets `grace` seconds (default: the settings'). May be called twice.

        The context stays open; whoever opened it closes it.
        """
        grace = self._settings.stop_grace_seconds if grace is None else grace
        self._ready = False
        if self._rpc is not None:
            await self._rpc.set_ready(ready=False)
        if self._web is not None:
            self._web.stop()
        if self._worker is not None:
            self._worker.stop_taking()
        if self._rpc is not None:
            await self._rpc.stop(grace)
            self._rpc = None
        if self._worker is not None:
            # Last: what the final calls and batches put into the outbox still goes out when it can.
            self._worker.stop_giving()
        await self._end_jobs(grace)
        if self._worker is not None:
            await self._worker.close()
            self._worker = None
        await self._probe.stop()

    async def _start(self, *, pump: bool) -> None:
        service, context = self._service, self._context
        await require_schema(context.database, service.migrations or service.name, service.name)
        await require_clock(context.database, context.clock, service.name)
        for hook in service.on_start:
            await hook(context)
        if self._settings.metrics_listen is not None:
            self.probe_port = await self._probe.start(*_address(self._settings.metrics_listen))
        if Parts.RPC in self._parts:
            await self._start_serving()
        if Parts.WORKER in self._parts:
            self._worker = Worker(service, context)
            await self._worker.start(self._spawn, pump=pump, listen=Parts.RPC not in self._parts)
        elif pump:
            # The workers are other processes: tell them what this one commits.
            self._spawn(_until(self._ended, Notifier(context.database).run()), "notifier")
        self._ready = True
        log.info("service.started", parts=self._parts.name, rpc_port=self.rpc_port, http_port=self.http_port)

    async def _start_serving(self) -> None:
        service, context, settings = self._service, self._context, self._settings
        self._rpc = RpcServer(
            service.rpcs,
            database=context.database,
            verifier=context.verifier,
            grants=service.grants,
            clock=context.clock,
            vault=context.vault,
            listen=settings.rpc_listen,
            with_reflection=settings.rpc_reflection,
        )
        self.rpc_port = await self._rpc.start()
        if service.web is None or settings.http_listen is None:
            return
        # Only the gateway needs it.
        from kit.service.web import WebServer

        self._web = WebServer(service.web(context), grace=settings.stop_grace_seconds)
        self.http_port = self._web.bind(*_address(settings.http_listen))
        self._spawn(self._web.run(), "web")
        async with asyncio.timeout(_START_SECONDS):
            await self._web.wait_started()

    def _spawn(self, job: Coroutine[Any, Any, None], name: str) -> None:
        assert self._group is not None
        self._group.create_task(job, name=f"{self._service.name}.{name}")

    async def _supervise(self) -> None:
        # A task of its own: start and stop may be called from different ones, and a task group belongs to one.
        async with asyncio.TaskGroup() as self._group:
            await self._ended.wait()

    async def _end_jobs(self, grace: float) -> None:
        self._ended.set()
        if self._supervisor is None:
            return
        done, _ = await asyncio.wait([self._supervisor], timeout=grace + 1)
        if not done:
            log.warning("service.stop_forced", seconds=grace)
            self._supervisor.cancel()
        with suppress(asyncio.CancelledError, Exception):
            # A part that failed was told by wait(); here it only must not keep us from closing the rest.
            await self._supervisor


async def _until(ended: asyncio.Event, job: Coroutine[Any, Any, None]) -> None:
    """Run a job that only ends by cancellation, until the event."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(job)
        await ended.wait()
        task.cancel()


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host, int(port)
