"""A repeated call does nothing twice and gets the same answer."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import pytest

from kit.errors import Conflict
from kit.rpc.server import Call
from kit.rpc.status import PeerFailed
from kit.service.sweep import sweep
from tests.integration.rpc.things.edge import WornOut
from tests.integration.rpc.things.running import SERVICE, Things
from tests.support.things import CreateThingRequest, OpenThingRequest, RevealThingRequest, Thing

HERE = frozenset({"bj-01"})


async def test_a_repeated_call_gets_the_first_response(things: Things) -> None:
    first = await things.create("chair", "key-1")
    again = await things.create("chair", "key-1")

    assert again == first
    assert (len(things.edge.calls), await things.titles(), len(await things.audit())) == (1, ["chair"], 1)


async def test_calls_without_a_key_are_all_done(things: Things) -> None:
    assert await things.create("chair") != await things.create("chair")
    assert await things.titles() == ["chair", "chair"]


async def test_the_same_key_with_another_body_is_refused(things: Things) -> None:
    await things.create("chair", "key-1")

    with pytest.raises(Conflict) as refused:
        await things.create("table", "key-1")

    assert refused.value.reason == "IDEMPOTENCY_KEY_REUSED"
    assert await things.titles() == ["chair"]


async def test_a_key_belongs_to_its_caller_and_its_method(things: Things) -> None:
    await things.create("chair", "key-1")
    await things.create("table", "key-1", token=things.staff(("keeper", HERE), staff_id="wang.fang"))
    await things.call("OpenThing", OpenThingRequest(token="x", request_id="key-1"), Thing, token=things.keeper)

    assert await things.titles() == ["chair", "table"]
    assert len(await things.rows("SELECT 1 FROM idempotency")) == 3


async def test_a_caller_who_lost_his_permission_gets_no_kept_response(things: Things) -> None:
    await things.create("chair", "key-1")

    with pytest.raises(Exception, match="needs the permission"):
        await things.create("chair", "key-1", token=things.staff(("looker", HERE)))


async def test_of_two_calls_at_once_one_is_done_and_both_get_its_response(things: Things) -> None:
    first_is_in, go_on = asyncio.Event(), asyncio.Event()

    async def during(_call: Call) -> None:
        first_is_in.set()
        await go_on.wait()

    things.edge.during = during
    first = asyncio.create_task(things.create("chair", "key-1"))
    await first_is_in.wait()
    second = asyncio.create_task(things.create("chair", "key-1"))
    await _until_somebody_waits(things)
    go_on.set()

    assert await first == await second
    assert (len(things.edge.calls), await things.titles()) == (1, ["chair"])


async def test_of_two_calls_at_once_the_second_is_done_when_the_first_fails(things: Things) -> None:
    first_is_in, go_on = asyncio.Event(), asyncio.Event()

    async def during(_call: Call) -> None:
        if len(things.edge.calls) == 1:
            first_is_in.set()
            await go_on.wait()
            raise WornOut

    things.edge.during = during
    first = asyncio.create_task(things.create("chair", "key-1"))
    await first_is_in.wait()
    second = asyncio.create_task(things.create("chair", "key-1"))
    await _until_somebody_waits(things)
    go_on.set()

    with pytest.raises(Conflict):
        await first
    assert (await second).title == "chair"
    assert (len(things.edge.calls), await things.titles()) == (2, ["chair"])


async def test_many_calls_at_once_with_one_key_are_one_call(things: Things) -> None:
    answers = await asyncio.gather(*(things.create("chair", "key-1") for _ in range(12)))

    assert all(answer == answers[0] for answer in answers)
    assert (len(things.edge.calls), await things.titles(), len(await things.audit())) == (1, ["chair"], 1)


async def test_a_failed_call_leaves_its_key_free(things: Things) -> None:
    async def during(_call: Call) -> None:
        if len(things.edge.calls) == 1:
            raise WornOut

    things.edge.during = during
    with pytest.raises(Conflict):
        await things.create("chair", "key-1")

    assert (await things.create("chair", "key-1")).title == "chair"


async def test_an_audited_read_keeps_no_response_since_it_may_be_personal(things: Things) -> None:
    chair = await things.create("chair", "key-1")
    token = things.staff(("revealer", HERE))

    for _ in range(2):
        await things.call("RevealThing", RevealThingRequest(name=chair.name, request_id="key-2"), Thing, token=token)

    kept = await things.rows("SELECT method FROM idempotency")
    assert [row.method for row in kept] == [f"{SERVICE}/CreateThing"]
    assert len(await things.audit()) == 3


async def test_the_kept_hash_does_not_let_anybody_try_out_what_was_sent(things: Things) -> None:
    await things.create("13800138000", "key-1")

    request = CreateThingRequest(parent="stores/bj-01", thing=Thing(title="13800138000"), request_id="key-1")
    plain = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
    (kept,) = await things.rows("SELECT request_hash FROM idempotency")
    assert kept.request_hash not in {plain, plain[:16]}


async def test_a_kept_response_shows_nothing_and_answers_its_own_repetition_only(things: Things) -> None:
    await things.create("13800138000", "key-1")
    await things.create("another", "key-2")

    kept = await things.rows("SELECT response FROM idempotency")
    assert len(kept) == 2
    assert not [row for row in kept if b"13800138000" in row.response or b"another" in row.response]
    # Whoever can write into the table cannot hand one caller's answer to another call.
    await things.rows(
        "UPDATE idempotency SET response = (SELECT response FROM idempotency WHERE key = 'key-1')"
        " WHERE key = 'key-2' RETURNING 1"
    )
    with pytest.raises(PeerFailed):
        await things.create("another", "key-2")


async def test_keys_are_kept_for_48_hours(things: Things) -> None:
    await things.create("chair", "old")
    things.clock.advance(timedelta(hours=48))
    await things.create("table", "new")
    things.clock.advance(timedelta(seconds=1))

    swept = await sweep(things.database, things.clock.now())

    assert swept["idempotency"] == 1
    assert [row.key for row in await things.rows("SELECT key FROM idempotency")] == ["new"]


async def _until_somebody_waits(things: Things) -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(5):
        # Nothing tells us but the database.
        while not await things.rows(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
