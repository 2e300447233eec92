"""The tiny service: a timer tells an event, the event becomes a note, a call lists the notes."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from dealerloop.gateway.v1 import audit_pb2
from dealerloop.gateway.v1.audit_pb2 import AuditRecord, ListAuditRecordsRequest, ListAuditRecordsResponse
from kit.db.engine import raw_connection
from kit.ids import new_id
from kit.messaging import outbox
from kit.messaging.streams import StreamSpec
from kit.messaging.subscription import Batch, Subscription
from kit.rpc.server import Call, RpcService
from kit.service import KitContext, Service
from kit.timers import Firing
from tests.integration.kit.sample import PACKAGE

NAME = "sample"
STREAM = "SAMPLE"
GRANTS = {"ROLE_READER": frozenset({"organisation.audit.read"})}


class AuditEdge:
    async def list_audit_records(self, call: Call, request: ListAuditRecordsRequest) -> ListAuditRecordsResponse:  # noqa: ARG002 - the contract's shape
        rows = await call.session.execute(text("SELECT store_id, body FROM note ORDER BY body"))
        records = [AuditRecord(name=row.body, store=row.store_id) for row in rows]
        return ListAuditRecordsResponse(audit_records=records)


async def ring(firing: Firing) -> None:
    for item in firing.items:
        event = ActionRecorded(action_id=item.key, store_id=item.payload["store_id"])
        await outbox.add(firing.session, event, key=item.key, now=firing.now)


async def write_down(batch: Batch) -> None:
    raw = await raw_connection(batch.session)
    for event in batch.events:
        assert isinstance(event.message, ActionRecorded)
        await raw.execute(
            "INSERT INTO note (id, store_id, body, create_time) VALUES ($1, $2, $3, $4)",
            new_id(batch.now),
            event.message.store_id,
            event.message.action_id,
            batch.now,
        )


def web(context: KitContext) -> Callable[..., Awaitable[None]]:
    async def application(scope: dict[str, Any], _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"hello from {context.name}".encode()})

    return application


def build(context: KitContext) -> Service:
    return Service(
        name=NAME,
        settings=context.settings,
        rpcs=[RpcService(audit_pb2.DESCRIPTOR.services_by_name["AuditService"], AuditEdge())],
        streams=[StreamSpec(STREAM, NAME)],
        subscriptions=[Subscription("notes", STREAM, (ActionRecorded,), write_down, source_service=NAME)],
        timers={"ring": ring},
        grants=GRANTS,
        web=web,
        migrations=PACKAGE,
    )
