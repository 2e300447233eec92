"""What the audit trail is told, in the transaction of the deed."""

from __future__ import annotations

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from opentelemetry.sdk.trace import TracerProvider

from kit.errors import Conflict
from kit.rpc.audit import resource_of
from kit.rpc.edge import bind
from kit.rpc.server import Call, RpcService
from tests.integration.rpc.things.edge import ThingEdge, WornOut
from tests.integration.rpc.things.running import SERVICE, START, Things
from tests.support.things import (
    CreateThingRequest,
    GetThingRequest,
    ListThingsResponse,
    OpenThingRequest,
    Part,
    RenameAllRequest,
    RevealThingRequest,
    Thing,
    UpdateThingRequest,
    service,
)

HERE = frozenset({"bj-01"})


async def test_a_write_is_told_with_who_what_and_which_fields_but_no_values(things: Things) -> None:
    thing = Thing(title="secret", part=Part(label="secret", weight=1), tags=["s"], labels={"k": "s"}, etag="1")
    request = CreateThingRequest(parent="stores/bj-01", thing=thing, request_id="key-1")
    token = things.staff(("keeper", HERE), ("looker", None))

    created = await things.call("CreateThing", request, Thing, token=token)

    (action,) = await things.audit()
    assert (action.actor, list(action.roles)) == ("staff/li.wei", ["keeper", "looker"])
    assert (action.method, action.resource, action.store_id) == (f"{SERVICE}/CreateThing", created.name, "bj-01")
    assert list(action.fields) == ["thing.labels", "thing.part.label", "thing.part.weight", "thing.tags", "thing.title"]
    assert action.act_time.ToDatetime(tzinfo=START.tzinfo) == START
    assert b"secret" not in action.SerializeToString()


async def test_an_update_is_told_by_its_mask(things: Things) -> None:
    chair = await things.create("chair")
    mask = FieldMask(paths=["title", "part.label"])

    request = UpdateThingRequest(thing=Thing(name=chair.name, title="x"), update_mask=mask)
    await things.call("UpdateThing", request, Thing, token=things.keeper)

    action = (await things.audit())[-1]
    assert (action.resource, list(action.fields)) == (chair.name, ["thing.part.label", "thing.title"])


async def test_reads_are_not_told_except_those_that_say_so(things: Things) -> None:
    chair = await things.create("chair")
    token = things.staff(("revealer", HERE))

    await things.call("GetThing", GetThingRequest(name=chair.name), Thing, token=token)
    await things.call("RevealThing", RevealThingRequest(name=chair.name), Thing, token=token)

    assert [action.method.rpartition("/")[2] for action in await things.audit()] == ["CreateThing", "RevealThing"]


async def test_why_somebody_looked_is_told_and_no_other_reason(things: Things) -> None:
    chair = await things.create("chair")
    reveal = RevealThingRequest(name=chair.name, reason="the owner asked")
    rename = RenameAllRequest(title="x", reason="the owner is ill")

    await things.call("RevealThing", reveal, Thing, token=things.staff(("revealer", HERE)))
    await things.call("RevealThing", RevealThingRequest(name=chair.name), Thing, token=things.staff(("revealer", HERE)))
    await things.call("RenameAll", rename, ListThingsResponse, token=things.staff(("keeper", None)))

    created, revealed, silent, renamed = await things.audit()
    assert (revealed.reason, list(revealed.fields)) == ("the owner asked", ["reason"])
    assert (created.reason, silent.reason, renamed.reason) == ("", "", "")
    assert list(renamed.fields) == ["reason", "title"]
    assert b"is ill" not in renamed.SerializeToString()


async def test_a_write_of_the_group_or_the_public_is_told_too(things: Things) -> None:
    group = things.staff(("keeper", None))

    await things.call("RenameAll", RenameAllRequest(title="x"), ListThingsResponse, token=group)
    await things.call("OpenThing", OpenThingRequest(token="x"), Thing, token=things.service_token("gateway"))

    assert [(action.actor, action.store_id) for action in await things.audit()] == [
        ("staff/li.wei", ""),
        ("public", ""),
    ]


def test_a_name_put_into_the_body_does_not_lay_a_false_trail() -> None:
    update = bind([RpcService(service("ThingService"), ThingEdge())])[SERVICE][2]
    forged, real = Thing(name="stores/sh-01/things/1"), Thing(name="stores/bj-01/things/2")

    assert resource_of(update, UpdateThingRequest(thing=forged), real) == real.name


async def test_a_deed_that_fails_is_not_told(things: Things) -> None:
    async def during(_call: Call) -> None:
        raise WornOut

    things.edge.during = during
    with pytest.raises(Conflict):
        await things.create("chair", "key-1")

    assert (await things.audit(), await things.titles()) == ([], [])


async def test_the_trace_of_the_caller_is_the_trace_of_the_deed(things: Things) -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("caller") as span:
        await things.create("chair")

    assert (await things.audit())[0].trace_id == f"{span.get_span_context().trace_id:032x}"
