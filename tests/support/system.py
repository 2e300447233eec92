"""Any of the five services in one process: real databases, real JetStream, real gRPC, and time in the test's hand.

Nothing works by itself: relays, consumers and timers run when the test drains them, so that a test says when an event
arrives and what time it is then.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from kit.clock import ManualClock
from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.keys import create_key_directory, load_signing_key
from kit.local.process import free_port
from kit.rpc.client import Peer
from kit.rpc.principal import Assignment
from kit.rpc.tokens import TokenSigner
from kit.service import KitContext, Running, Service
from tests.support.postgres import Cloner

ALL = ("gateway", "sales", "customer_care", "aftersales", "scoring")
START = datetime(2026, 3, 6, 1, 0, tzinfo=UTC)
ADMIN_PASSWORD = "correct-horse-battery"
_MOST_ROUNDS = 100
_TOKEN_LIFE = timedelta(days=3650)  # a test that lets months pass need not sign in again


@dataclass(frozen=True)
class Part:
    """One service of the system."""

    service: Service
    context: KitContext
    running: Running

    @property
    def database(self) -> Database:
        """The service's own database, under its own role."""
        return self.context.database

    async def drain(self) -> int:
        """Publishes, handles, fires and works on what is there now; returns how much that was."""
        done = await self.running.relay.publish_once() if self.running.relay else 0
        for consumer in self.running.consumers:
            done += await consumer.drain_once()
        timers = self.running.timer_worker
        done += await timers.fire_due() if timers else 0
        for job in self.running.jobs:
            done += await job.work_once()
        return done


class System:
    """The services that were asked for, each with a fresh database."""

    def __init__(self, clock: ManualClock, keys: Path) -> None:
        self.clock = clock
        self.parts: dict[str, Part] = {}
        self._gateway = TokenSigner("gateway", load_signing_key(keys, "gateway"), clock)
        self._exits = AsyncExitStack()

    async def drain(self) -> None:
        """Pumps until a whole round finds nothing to do."""
        for _ in range(_MOST_ROUNDS):
            if not sum([await part.drain() for part in self.parts.values()]):
                return
        raise AssertionError(f"the system is not quiet after {_MOST_ROUNDS} rounds")

    async def pass_time(self, by: timedelta) -> None:
        """Lets time pass and everything happen that becomes due then."""
        self.clock.advance(by)
        await self.drain()

    def token(self, role: str, *stores: str, staff: str = "tester") -> str:
        """A signed token of somebody with that role in these stores, or in the whole group."""
        assignment = Assignment(role, frozenset(stores) if stores else None)
        return self._gateway.user_token(staff, [assignment], _TOKEN_LIFE)

    def client(self, role: str, *stores: str, staff: str = "tester") -> httpx.AsyncClient:
        """The public API as that person; closed with the system."""
        gateway = self.parts["gateway"]
        assert gateway.service.web is not None
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(gateway.service.web(gateway.context)),
            base_url="http://gateway.test",
            headers={"Authorization": f"Bearer {self.token(role, *stores, staff=staff)}"},
        )
        self._exits.push_async_callback(client.aclose)
        return client

    def peer(self, name: str, caller: str = "gateway") -> Peer:
        """A service over gRPC, called by another service, or with a token given to each call."""
        return self.parts[caller].context.peer(name)

    async def rows(self, name: str, query: str, *arguments: object) -> list[dict[str, Any]]:
        """Queries a service's database, seeing every store."""
        async with self.parts[name].database.transaction(Scope.system("test")) as session:
            found = await (await raw_connection(session)).fetch(query, *arguments)
        return [dict(row) for row in found]

    async def add(self, name: str, settings: dict[str, Any]) -> None:
        """Starts one service; it stops with the system."""
        own = {"admin_password": ADMIN_PASSWORD} if name == "gateway" else {}
        settings_type = importlib.import_module(f"{name}.settings").Settings
        context = await KitContext.open(settings_type(**settings, **own), name, clock=self.clock)
        self._exits.push_async_callback(context.close)
        service: Service = importlib.import_module(f"{name}.app").build(context)
        running = Running(service, context)
        await running.start(pump=False)
        self._exits.push_async_callback(running.stop, 0)
        self.parts[name] = Part(service, context, running)

    async def close(self) -> None:
        """Stops everything, the last started first."""
        await self._exits.aclose()


@asynccontextmanager
async def system(
    clone: Cloner, nats_url: str, folder: Path, services: Iterable[str] = ALL, *, start: datetime = START
) -> AsyncIterator[System]:
    """A running system over clones of migrated databases."""
    keys = folder / "keys"
    create_key_directory(keys, ALL)
    ports = {name: free_port() for name in ALL}
    targets = {f"{name}_target": f"127.0.0.1:{port}" for name, port in ports.items()}
    made = System(ManualClock(start), keys)
    try:
        for name in services:
            settings = {
                "database_url": clone(name).database_url,
                "nats_url": nats_url,
                "keys_dir": keys,
                "rpc_listen": f"127.0.0.1:{ports[name]}",
                "pool_size": 4,
                **targets,
            }
            await made.add(name, settings)
        yield made
    finally:
        await made.close()
