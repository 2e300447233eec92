"""The running service of things, and callers of every kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from google.protobuf.message import Message
from joserfc.jwk import KeySet, OKPKey
from sqlalchemy import text

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from kit.clock import ManualClock
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.rpc.client import Peer
from kit.rpc.principal import Assignment
from kit.rpc.server import RpcServer, RpcService
from kit.rpc.tokens import TokenSigner, TokenVerifier
from kit.vault import Vault
from tests.integration.rpc.things.edge import ThingEdge
from tests.support.things import CreateThingRequest, Thing

R = TypeVar("R", bound=Message)
START = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
KEYS = {name: OKPKey.generate_key("Ed25519", {"kid": name}) for name in ("gateway", "sales", "things")}
KEYRING = KeySet([OKPKey.import_key(key.as_dict(private=False)) for key in KEYS.values()])
VAULT = Vault({1: bytes(32)}, active=1, blind_key=bytes(32))
GRANTS = {
    "keeper": frozenset({"things.read", "things.write"}),
    "looker": frozenset({"things.read"}),
    "revealer": frozenset({"things.read", "things.reveal"}),
}
SERVICE = "dealerloop.things.v1.ThingService"


@dataclass
class Things:
    """The running service and everything around it that a test may want to look at."""

    edge: ThingEdge
    database: Database
    clock: ManualClock
    server: RpcServer
    peers: dict[str, Peer]

    def staff(self, *assignments: tuple[str, frozenset[str] | None], staff_id: str = "li.wei") -> str:
        """A person's token."""
        roles = [Assignment(role, stores) for role, stores in assignments]
        return TokenSigner("gateway", KEYS["gateway"], self.clock).user_token(staff_id, roles, timedelta(minutes=15))

    @property
    def keeper(self) -> str:
        """Token of one who may read and write in bj-01."""
        return self.staff(("keeper", frozenset({"bj-01"})))

    def service_token(self, name: str) -> str:
        """A service's own token."""
        return TokenSigner(name, KEYS[name], self.clock).service_token()

    def peer(self, caller: str = "sales") -> Peer:
        """The client of another service."""
        if caller not in self.peers:
            signer = TokenSigner(caller, KEYS[caller], self.clock)
            self.peers[caller] = Peer(f"127.0.0.1:{self.server.port}", signer, service="things")
        return self.peers[caller]

    async def call(
        self, method: str, request: Message, response_type: type[R], *, token: str | None = None, wait: float = 10
    ) -> R:
        return await self.peer().call(f"{SERVICE}/{method}", request, response_type, timeout=wait, token=token)

    async def create(self, title: str, request_id: str = "", *, store: str = "bj-01", token: str = "") -> Thing:
        request = CreateThingRequest(parent=f"stores/{store}", thing=Thing(title=title), request_id=request_id)
        return await self.call("CreateThing", request, Thing, token=token or self.keeper)

    async def rows(self, statement: str) -> list[Any]:
        """What the database holds, seen by the group."""
        async with self.database.transaction(Scope.group()) as session:
            return list((await session.execute(text(statement))).all())

    async def titles(self) -> list[str]:
        return [row.title for row in await self.rows("SELECT title FROM thing ORDER BY id")]

    async def audit(self) -> list[ActionRecorded]:
        """What was told to the audit trail, in order."""
        rows = await self.rows(f"SELECT payload FROM outbox WHERE type = '{ActionRecorded.DESCRIPTOR.full_name}'")
        return [ActionRecorded.FromString(row.payload) for row in rows]


def server_of(*services: RpcService, database: Database, clock: ManualClock, listen: str = "127.0.0.1:0") -> RpcServer:
    """A server with this module's keys and grants, not started."""
    verifier = TokenVerifier(KEYRING, clock)
    return RpcServer(
        services, database=database, verifier=verifier, grants=GRANTS, clock=clock, vault=VAULT, listen=listen
    )
