"""The gateway in this process against real servers, and tokens of every kind to call it with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
from google.protobuf.message import Message
from sqlalchemy import text

from dealerloop.gateway.v1 import organisation_pb2 as pb
from gateway.app import build
from gateway.settings import Settings
from kit.clock import ManualClock
from kit.db.scope import Scope
from kit.keys import create_key_directory
from kit.local.process import free_port
from kit.rpc.client import Peer
from kit.rpc.principal import Assignment
from kit.service import KitContext, Running, Service
from kit.service.running import Parts
from tests.support.postgres import DatabaseUrls

NOW = datetime(2026, 3, 6, 1, 0, tzinfo=UTC)
ADMIN_PASSWORD = "correct-horse-battery"
SERVICES = ["sales", "customer_care", "aftersales", "scoring", "gateway"]
ORGANISATION = "dealerloop.gateway.v1.OrganisationService"
AUDIT = "dealerloop.gateway.v1.AuditService"
R = TypeVar("R", bound=Message)


class Gateway:
    """A running gateway whose relay and consumers are pumped by the test."""

    def __init__(self, context: KitContext, service: Service, running: Running, clock: ManualClock) -> None:
        self.context = context
        self.service = service
        self.running = running
        self.clock = clock
        self.peer = Peer(f"127.0.0.1:{running.rpc_port}", context.signer, service="gateway")
        self.web = httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.http_port}", timeout=20, verify=False)

    def token(self, role: str, *stores: str, staff: str = "zhang.wei") -> str:
        """A token of somebody who holds the role in these stores; without stores for the whole group."""
        assignment = Assignment(role, frozenset(stores) if stores else None)
        return self.context.signer.user_token(staff, [assignment], timedelta(minutes=15))

    async def call(self, rpc: str, request: Message, response: type[R], *, token: str | None = None) -> R:
        """One call over gRPC, as the administrator of the group when no token is given."""
        token = self.token("ROLE_ADMINISTRATOR", staff="admin") if token is None else token
        service, _, method = rpc.rpartition("/")
        return await self.peer.call(f"{service or ORGANISATION}/{method}", request, response, timeout=20, token=token)

    async def create_region(self, region_id: str) -> pb.Region:
        request = pb.CreateRegionRequest(region_id=region_id, region=pb.Region(display_name=region_id.title()))
        return await self.call("CreateRegion", request, pb.Region)

    async def create_store(self, store_id: str, **fields: Any) -> pb.Store:
        store = pb.Store(**{"display_name": store_id.upper(), **fields})
        return await self.call("CreateStore", pb.CreateStoreRequest(store_id=store_id, store=store), pb.Store)

    async def create_staff(
        self, staff_id: str, role: str, *, store: str, token: str | None = None, **fields: Any
    ) -> pb.StaffMember:
        member = pb.StaffMember(
            **{"display_name": "王小明", "roles": [pb.RoleAssignment(role=role)], "password": ADMIN_PASSWORD, **fields}
        )
        request = pb.CreateStaffMemberRequest(parent=f"stores/{store}", staff_id=staff_id, staff_member=member)
        return await self.call("CreateStaffMember", request, pb.StaffMember, token=token)

    async def sign_in(self, username: str, password: str = ADMIN_PASSWORD) -> httpx.Response:
        return await self.web.post("/v1/auth/token", data={"username": username, "password": password})

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a worker of the gateway sees."""
        async with self.context.database.transaction(Scope.system("test"), read_only=True) as session:
            return [tuple(row) for row in await session.execute(text(query))]

    async def drain(self) -> int:
        """Publish and consume until there is nothing left; returns how many events were handled."""
        handled = 0
        while True:
            assert self.running.relay is not None
            published = await self.running.relay.publish_once()
            moved = sum([await consumer.drain_once() for consumer in self.running.consumers])
            handled += moved
            if not published and not moved:
                return handled

    async def close(self) -> None:
        await self.web.aclose()
        await self.peer.close()
        await self.running.stop(grace=1)
        await self.context.close()


@asynccontextmanager
async def gateway(
    urls: DatabaseUrls, keys: Path, *, nats_url: str = "", web: bool = False, **settings: Any
) -> AsyncIterator[Gateway]:
    """A gateway with its first administrator, on a clock that stands still; with web and worker only when asked."""
    create_key_directory(keys, SERVICES)
    port = free_port()
    chosen = {
        "database_url": urls.database_url,
        **({"nats_url": nats_url} if nats_url else {}),
        "keys_dir": keys,
        "rpc_listen": f"127.0.0.1:{port}",
        **({"http_listen": "127.0.0.1:0"} if web else {}),
        "admin_password": ADMIN_PASSWORD,
        **{f"{service}_target": f"127.0.0.1:{port}" for service in SERVICES},
        **settings,
    }
    clock = ManualClock(NOW)
    context = await KitContext.open(Settings(**chosen), "gateway", clock=clock)
    service = build(context)
    running = Running(service, context, Parts.ALL if nats_url else Parts.RPC)
    await running.start(pump=False)
    it = Gateway(context, service, running, clock)
    try:
        yield it
    finally:
        await it.close()
