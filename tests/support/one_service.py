"""One service alone: its own database, its real server on a free port, and callers with real tokens."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import Message
from sqlalchemy import event

from dealerloop.gateway.v1 import organisation_pb2
from dealership import staff, stores
from kit.clock import ManualClock
from kit.db.engine import raw_connection
from kit.db.scope import Scope
from kit.ids import new_id
from kit.keys import create_key_directory, load_signing_key
from kit.messaging.event import Event, service_of, subject_for
from kit.messaging.subscription import Batch
from kit.rpc.client import Peer
from kit.rpc.principal import Assignment
from kit.rpc.server import RpcServer
from kit.rpc.tokens import TokenSigner
from kit.service.context import KitContext
from tests.support.people import everybody
from tests.support.postgres import DatabaseUrls

SERVICES = ("sales", "customer_care", "aftersales", "scoring", "gateway")
R = TypeVar("R", bound=Message)


class Nobody:
    """Signs no call: the directory is complete, so that nobody has to be asked."""

    def service_token(self) -> str:
        return ""


class OneService:
    """A service without its neighbours: what it knows of the stores was put there."""

    def __init__(self, name: str, urls: DatabaseUrls, keys: Path, start: datetime) -> None:
        create_key_directory(keys, SERVICES)
        self.name = name
        self.clock = ManualClock(start)
        settings_type = importlib.import_module(f"{name}.settings").Settings
        targets = {f"{peer}_target": "127.0.0.1:1" for peer in SERVICES}
        self.settings = settings_type(database_url=urls.database_url, keys_dir=keys, pool_size=8, **targets)
        self.keys = keys
        self._gateway = TokenSigner("gateway", load_signing_key(keys, "gateway"), self.clock)

    async def start(self, *store_ids: str) -> OneService:
        """Serve, knowing these stores (all in Shanghai's time zone) and, where it keeps them, their people."""
        self.context = await KitContext.open(self.settings, self.name, clock=self.clock)
        self.database = self.context.database
        self.service = importlib.import_module(f"{self.name}.app").build(self.context)
        async with self.database.transaction(Scope.system("test")) as session:
            facts = [
                organisation_pb2.StoreFacts(store_id=one, version=1, display_name=one, time_zone="Asia/Shanghai")
                for one in store_ids
            ]
            await stores.save(session, facts)
        await self.know_people(*everybody(*store_ids))
        self.server = RpcServer(
            self.service.rpcs,
            database=self.database,
            verifier=self.context.verifier,
            grants=self.service.grants,
            clock=self.clock,
            vault=self.context.vault,
        )
        port = await self.server.start()
        self.peer = Peer(f"127.0.0.1:{port}", self._gateway, service=self.name)
        return self

    async def know_people(self, *facts: organisation_pb2.StaffFacts) -> None:
        """Put people into the directory, if this service keeps one."""
        if any(one.name == staff.PROJECTION.name for one in self.service.subscriptions):
            async with self.database.transaction(Scope.system("test")) as session:
                await staff.save(session, facts)

    async def stop(self) -> None:
        """Close everything."""
        await self.peer.close()
        await self.server.stop(0)
        await self.context.close()

    def token(self, role: str, *store_ids: str) -> str:
        """A person with one role in these stores, or in the group when none is named."""
        places = frozenset(store_ids) if store_ids else None
        return self._gateway.user_token("tester", [Assignment(role, places)], timedelta(minutes=5))

    async def call(self, method: str, request: Message, response: type[R], *, token: str | None = None) -> R:
        """Call `<proto service>/<Method>` of this service, as this person or as a service."""
        full = f"dealerloop.{self.name}.v1.{method}"
        return await self.peer.call(full, request, response, timeout=10, token=token)

    async def stream(self, method: str, request: Message, response: type[R]) -> list[R]:
        """Read a stream for services to its end."""
        full = f"dealerloop.{self.name}.v1.{method}"
        return [one async for one in self.peer.stream(full, request, response, timeout=10)]

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        """Query the service's database, seeing every store."""
        async with self.database.transaction(Scope.system("test")) as session:
            found = await (await raw_connection(session)).fetch(query, *arguments)
        return [dict(row) for row in found]

    @contextmanager
    def counting(self) -> Iterator[list[str]]:
        """Collect the statements that the service sends through SQLAlchemy meanwhile."""
        statements: list[str] = []

        def heard(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            statements.append(statement)

        engine = self.database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", heard)
        try:
            yield statements
        finally:
            event.remove(engine, "before_cursor_execute", heard)

    async def told(self, *kinds: type[R]) -> list[R]:
        """The events of these classes in the outbox, in the order in which they were told."""
        by_name = {kind.DESCRIPTOR.full_name: kind for kind in kinds}
        query = "select type, payload from outbox where type = any ($1) order by position"
        rows = await self.rows(query, list(by_name))
        return [by_name[row["type"]].FromString(row["payload"]) for row in rows]

    async def hear(self, handle: Callable[[Batch], Awaitable[None]], messages: Sequence[Message]) -> None:
        """Handle these events as one batch, past the inbox."""
        now = self.clock.now()
        async with self.database.transaction(Scope.system("test")) as session:
            await handle(Batch(session, [_event(message, now) for message in messages], now))

    async def rewound(self, subscription: str) -> None:
        """Reconcile as when the source of this subscription was restored from a backup."""
        one = next(it for it in self.service.subscriptions if it.name == subscription)
        assert one.on_rewind is not None
        await one.on_rewind(one.source_service, 1, 2)


def _event(message: Message, now: datetime) -> Event:
    name = message.DESCRIPTOR.full_name
    return Event(new_id(now), name, service_of(message) or "", now, 1, subject_for(message), message, "", {})
