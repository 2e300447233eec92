"""The audit trail: from the outbox of a service over its stream into one table, and out again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from nats.js import JetStreamContext

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from dealerloop.gateway.v1 import audit_pb2
from dealerloop.gateway.v1 import organisation_pb2 as pb
from gateway.streams import AUDITED
from kit.errors import PermissionDenied
from kit.ids import new_id
from kit.messaging.event import headers_for, subject_for
from tests.support.organisation import AUDIT, NOW, Gateway, gateway
from tests.support.postgres import Cloner


@pytest.fixture
async def it(database_urls: Cloner, nats_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(database_urls("gateway"), tmp_path / "keys", nats_url=nats_url) as running:
        yield running


def action(store_id: str = "bj-01", **fields: str) -> ActionRecorded:
    recorded = ActionRecorded(
        action_id=str(new_id(NOW)),
        actor=fields.get("actor", "staff/li.wei"),
        roles=["ROLE_SALES_CONSULTANT"],
        method="dealerloop.sales.v1.DeliveryService/CreateDelivery",
        resource=fields.get("resource", f"stores/{store_id}/deliveries/1"),
        store_id=store_id,
        fields=["delivery.vin"],
        trace_id="0" * 32,
        reason=fields.get("reason", ""),
    )
    recorded.act_time.FromDatetime(NOW)
    return recorded


async def publish(
    jetstream: JetStreamContext, service: str, recorded: ActionRecorded, *, event_id: UUID | None = None
) -> None:
    """As the service's relay does, but without asking the stream to find repetitions."""
    subject = subject_for(recorded, service)
    headers = headers_for(
        event_id=event_id or new_id(NOW),
        type_name="dealerloop.audit.v1.ActionRecorded",
        source=service,
        subject=subject,
        time=NOW,
        epoch=1,
        key=recorded.action_id,
        trace=None,
    )
    del headers["Nats-Msg-Id"]
    await jetstream.publish(subject, recorded.SerializeToString(), headers=headers)


async def records(it: Gateway, token: str | None = None, **filters: str) -> list[audit_pb2.AuditRecord]:
    request = audit_pb2.ListAuditRecordsRequest(page_size=2, **filters)
    found: list[audit_pb2.AuditRecord] = []
    while True:
        answer = await it.call(f"{AUDIT}/ListAuditRecords", request, audit_pb2.ListAuditRecordsResponse, token=token)
        found += answer.audit_records
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


async def test_a_write_of_the_gateway_itself_reaches_the_trail_once(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_staff("li.wei", "ROLE_SALES_CONSULTANT", store="bj-01")

    await it.drain()
    await it.drain()

    newest, first = await records(it)
    assert newest.method.endswith("/CreateStaffMember")
    assert newest.actor == "staff/admin"
    assert list(newest.roles) == ["ROLE_ADMINISTRATOR"]
    assert newest.store == "stores/bj-01"
    assert newest.resource == "stores/bj-01/staff/li.wei"
    assert "staff_member.password" in newest.fields
    assert newest.act_time.ToDatetime() == NOW.replace(tzinfo=None)
    assert first.resource == "stores/bj-01"


async def test_what_was_refused_leaves_no_trace_in_the_trail(it: Gateway) -> None:
    with pytest.raises(PermissionDenied):
        await it.call(
            "CreateStore",
            pb.CreateStoreRequest(store_id="bj-01", store=pb.Store(display_name="x")),
            pb.Store,
            token=it.token("ROLE_SALES_MANAGER", "bj-01"),
        )

    await it.drain()
    assert await records(it) == []


async def test_every_service_is_heard_and_a_repetition_counts_once(it: Gateway, jetstream: JetStreamContext) -> None:
    told = [(service, action()) for service in AUDITED]
    for service, recorded in told:
        same_event = new_id(NOW)
        await publish(jetstream, service, recorded, event_id=same_event)
        await publish(jetstream, service, recorded, event_id=same_event)
        # Told anew under another event id, as after a restored backup.
        await publish(jetstream, service, recorded)

    await it.drain()

    assert sorted(record.name for record in await records(it)) == sorted(
        f"auditRecords/{recorded.action_id}" for _, recorded in told
    )


async def test_a_broken_record_is_put_aside_and_the_others_are_kept(it: Gateway, jetstream: JetStreamContext) -> None:
    broken, whole = action(), action()
    broken.action_id = "no-uuid"
    await publish(jetstream, "sales", broken)
    await publish(jetstream, "sales", whole)

    await it.drain()

    assert [record.name for record in await records(it)] == [f"auditRecords/{whole.action_id}"]
    assert (await jetstream.stream_info("DLQ")).state.messages == 1


async def test_the_reason_of_an_audited_read_is_kept_and_shown(it: Gateway, jetstream: JetStreamContext) -> None:
    await publish(jetstream, "sales", action(reason="客户来电要求"))
    await publish(jetstream, "sales", action(reason="nul\0inside"))
    await publish(jetstream, "sales", action())

    await it.drain()

    assert [record.reason for record in await records(it)] == ["", "nulinside", "客户来电要求"]


async def test_the_trail_is_shown_newest_first_and_as_far_as_the_caller_reaches(
    it: Gateway, jetstream: JetStreamContext
) -> None:
    actions = [action("bj-01"), action("sh-01"), action(""), action("bj-01", actor="staff/han.mei")]
    for recorded in actions:
        await publish(jetstream, "sales", recorded)
    await it.drain()
    manager = it.token("ROLE_GENERAL_MANAGER", "bj-01")

    everything = [record.name.removeprefix("auditRecords/") for record in await records(it)]
    mine = [record.name.removeprefix("auditRecords/") for record in await records(it, manager)]
    by_actor = await records(it, actor="staff/han.mei")
    by_resource = await records(it, manager, resource="stores/sh-01/deliveries/1")

    assert everything == [recorded.action_id for recorded in reversed(actions)]
    assert mine == [actions[3].action_id, actions[0].action_id]
    assert [record.actor for record in by_actor] == ["staff/han.mei"]
    assert await records(it, actor="han.mei") == await records(it, actor="stores/bj-01/staff/han.mei") == by_actor
    assert by_resource == []
    with pytest.raises(PermissionDenied):
        await records(it, it.token("ROLE_SALES_CONSULTANT", "bj-01"))


async def test_nobody_edits_the_trail(it: Gateway) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import ProgrammingError

    from kit.db.scope import Scope

    for statement in ("update audit_record set actor = 'x'", "delete from audit_record"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with it.context.database.transaction(Scope.system("test")) as session:
                await session.execute(text(statement))
