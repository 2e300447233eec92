"""What is in the outbox reaches the stream: all of it, in order, once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from nats.js import JetStreamContext
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from kit import telemetry
from kit.clock import ManualClock
from kit.db.engine import raw_connection
from kit.messaging import outbox, relay
from kit.messaging.connection import BrokerAway
from kit.messaging.streams import ensure_stream
from kit.messaging.wire import Outgoing, send
from kit.wake import Listener, Notifier
from tests.support.pebbles import PebbleSunk, PebbleThrown, Silence
from tests.support.pond import POND, START, TEST, Pond, until


async def test_an_event_travels_with_cloudevents_headers_and_its_trace(pond: Pond) -> None:
    with telemetry.tracer().start_as_current_span("throwing"):
        trace = telemetry.inject().get("traceparent")
        [event_id] = await pond.throw("p 1", key="lake/north shore")

    await pond.publish_all()

    message = await pond.jetstream.get_msg(POND.name, seq=1)
    assert message.subject == "pond.v1.pebble.p=201.thrown"
    assert PebbleThrown.FromString(message.data or b"").pebble_id == "p 1"
    assert message.headers == {
        "Nats-Msg-Id": str(event_id),
        "ce-specversion": "1.0",
        "ce-id": str(event_id),
        "ce-type": "dealerloop.pond.events.v1.PebbleThrown",
        "ce-source": "pond",
        "ce-time": START.isoformat(),
        "ce-subject": "pebble/p=201",
        "ce-epoch": "1",
        "ce-partitionkey": "lake/north%20shore",
        "content-type": "application/protobuf",
        **({"traceparent": trace} if trace else {}),
    }


async def test_a_published_row_is_marked_and_kept(pond: Pond) -> None:
    await pond.throw("a", "b")

    await pond.publish_all()

    rows = await pond.fetch("SELECT publish_time, stream_sequence FROM outbox ORDER BY position")
    assert [tuple(row) for row in rows] == [(START, 1), (START, 2)]


async def test_what_was_rolled_back_was_never_told(pond: Pond) -> None:
    with suppress(ZeroDivisionError):
        async with pond.database.transaction(TEST) as session:
            await outbox.add(session, PebbleThrown(pebble_id="a"), key="a", now=START)
            _ = 1 // 0

    assert await pond.relay().publish_once() == 0


async def test_only_events_can_be_told(pond: Pond) -> None:
    async with pond.database.transaction(TEST) as session:
        with pytest.raises(TypeError, match="is no event"):
            await outbox.add(session, Silence(), key="a", now=START)


async def test_a_batch_keeps_the_order_in_which_it_was_told(pond: Pond) -> None:
    pebbles = [f"p{number:04}" for number in range(1200)]
    for start in range(0, 1200, 300):
        await pond.throw(*pebbles[start : start + 300], key="one")

    await pond.publish_all()

    assert await pond.in_stream() == pebbles


async def test_one_event_that_is_there_already_does_not_hold_up_its_batch(pond: Pond) -> None:
    ids = await pond.throw("a", "b", "c", key="one")
    await ensure_stream(pond.jetstream, POND)
    early = PebbleThrown(pebble_id="b", version=1).SerializeToString()
    await pond.jetstream.publish("pond.v1.pebble.b.thrown", early, headers={"Nats-Msg-Id": str(ids[1])})

    await pond.publish_all()

    assert sorted(await pond.in_stream()) == ["a", "b", "c"]
    assert await pond.value("SELECT count(*) FROM outbox WHERE publish_time IS NULL") == 0


async def test_key_by_key_the_order_inside_each_key_stays(pond: Pond) -> None:
    await ensure_stream(pond.jetstream, POND)
    names = [f"{key}{number:03}" for number in range(60) for key in "abc"]
    ids = await pond.throw(*names)
    outgoing = [
        Outgoing(event_id, name[0], f"pond.v1.pebble.{name}.thrown", {"Nats-Msg-Id": str(event_id)}, name.encode())
        for event_id, name in zip(ids, names, strict=True)
    ]
    await send(pond.jetstream, outgoing[:1])

    # The first one is a duplicate, so the batch as a whole is refused.
    outcome = await send(pond.jetstream, outgoing)

    by_id = {sent.id: sent for sent in outcome.sent}
    assert by_id[ids[0]].duplicate
    for key in "abc":
        sequences = [by_id[event.id].sequence for event in outgoing if event.key == key]
        assert sequences == sorted(sequences)
    assert len(by_id) == len(names)


async def test_of_two_relays_one_is_active(pond: Pond) -> None:
    await pond.throw("a")
    async with pond.database.transaction(TEST) as session:
        connection = await raw_connection(session)
        await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", *relay._LOCK)
        assert await pond.relay().publish_once() == 0

    assert await pond.relay().publish_once() == 1


async def test_two_relays_at_once_publish_everything_once(pond: Pond) -> None:
    await asyncio.gather(*(pond.throw(*(f"{batch}-{n}" for n in range(50))) for batch in range(8)))

    await asyncio.gather(*(pond.publish_all(pond.relay(batch_size=40)) for _ in range(3)))
    await pond.publish_all()

    found = await pond.in_stream()
    assert len(found) == len(set(found)) == 400


async def test_a_refused_event_holds_up_its_key_and_nobody_else(pond: Pond, clock: ManualClock) -> None:
    relay_ = pond.relay()
    await pond.throw("huge", key="bad", text="x" * 2_000_000)
    await pond.throw("behind", key="bad")
    await pond.throw("other")

    await pond.publish_all(relay_)

    assert await pond.in_stream() == ["other"]
    [row] = await pond.fetch("SELECT attempts, next_attempt_time, last_error FROM outbox WHERE attempts > 0")
    assert row[0] == 1
    assert row[1] == START + timedelta(seconds=1)
    assert "more than NATS takes" in row[2]

    clock.advance(timedelta(seconds=1))
    await pond.publish_all(relay_)
    [row] = await pond.fetch("SELECT attempts, next_attempt_time FROM outbox WHERE attempts > 0")
    assert tuple(row) == (2, clock.now() + timedelta(seconds=2))

    small = PebbleThrown(pebble_id="huge").SerializeToString()
    await pond.fetch("UPDATE outbox SET payload = $1 WHERE attempts > 0 RETURNING id", small)
    clock.advance(timedelta(seconds=2))
    await pond.publish_all(relay_)
    assert await pond.in_stream() == ["other", "huge", "behind"]


async def test_a_key_that_stays_blocked_raises_an_alert_and_is_never_dropped(pond: Pond, clock: ManualClock) -> None:
    relay_ = pond.relay()
    await pond.throw("huge", key="bad", text="x" * 2_000_000)

    with capture_logs() as logs:
        for _ in range(12):
            await pond.publish_all(relay_)
            clock.advance(relay.LONGEST_BACKOFF)

    told = [entry["log_level"] for entry in logs if entry["event"] == "outbox.key_blocked"]
    assert told == ["warning"] * 4 + ["error"] * 8
    [row] = await pond.fetch("SELECT attempts, publish_time, next_attempt_time FROM outbox")
    assert tuple(row) == (12, None, clock.now())


async def test_an_event_of_another_service_never_leaves(pond: Pond) -> None:
    from dealerloop.sales.events.v1.events_pb2 import CustomerErased

    async with pond.database.transaction(TEST) as session:
        await outbox.add(session, CustomerErased(customer_id="c"), key="c", now=START)

    await pond.publish_all()

    assert "another service" in await pond.value("SELECT last_error FROM outbox")


async def test_an_event_that_every_service_tells_carries_the_name_of_the_teller(pond: Pond) -> None:
    from dealerloop.audit.v1.audit_pb2 import ActionRecorded

    async with pond.database.transaction(TEST) as session:
        await outbox.add(session, ActionRecorded(action_id="x"), key="x", now=START)

    await pond.publish_all()

    message = await pond.jetstream.get_msg(POND.name, seq=1)
    assert message.subject == "pond.v1.audit.x.recorded"
    assert (message.headers or {})["ce-source"] == "pond"


async def test_a_commit_wakes_the_relay_at_once(pond: Pond) -> None:
    relay_ = pond.relay()
    async with asyncio.TaskGroup() as group:
        group.create_task(relay_.run())
        await asyncio.sleep(0.3)
        begun = asyncio.get_running_loop().time()
        await pond.throw("a")
        await until(lambda: _published(pond), seconds=5)
        assert asyncio.get_running_loop().time() - begun < 0.5
        relay_.stop()


async def test_a_commit_in_another_process_wakes_the_relay_too(pond: Pond) -> None:
    from kit.db.engine import Database

    writer = Pond(
        Database(pond.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)),
        pond.jetstream,
    )
    relay_ = pond.relay()
    async with asyncio.TaskGroup() as group:
        jobs = [
            group.create_task(relay_.run()),
            group.create_task(Listener(pond.database).run()),
            group.create_task(Notifier(writer.database).run()),
        ]
        await asyncio.sleep(0.4)
        begun = asyncio.get_running_loop().time()
        await writer.throw("a")
        await until(lambda: _published(pond), seconds=5)
        assert asyncio.get_running_loop().time() - begun < 0.5
        for job in jobs:
            job.cancel()
    await writer.database.close()


async def test_without_a_connection_nothing_is_tried_and_nothing_counted(
    pond: Pond, jetstream: JetStreamContext
) -> None:
    await pond.throw("a")
    relay_ = pond.relay()
    await jetstream._nc.close()

    with pytest.raises(BrokerAway):
        await relay_.publish_once()

    assert await pond.value("SELECT attempts FROM outbox") == 0


async def test_a_stopping_relay_publishes_what_the_last_transactions_told(pond: Pond) -> None:
    relay_ = pond.relay()
    relay_.stop()
    await pond.throw("last")

    await relay_.run()

    assert await pond.in_stream() == ["last"]


async def test_events_can_be_told_again_in_their_order_under_new_ids(pond: Pond) -> None:
    ids = await pond.throw("a", "b")
    await pond.publish_all()
    await pond.throw("waiting")

    async with pond.database.transaction(TEST) as session:
        assert await outbox.republish(session, [PebbleThrown], since=START) == 2
        assert await outbox.republish(session, [PebbleSunk], since=START) == 0
        assert await outbox.republish(session, [PebbleThrown], since=START + timedelta(seconds=1)) == 0
    await pond.publish_all()

    assert await pond.in_stream() == ["a", "b", "waiting", "a", "b"]
    again = (await pond.jetstream.get_msg(POND.name, seq=4)).headers or {}
    assert again["ce-id"] != str(ids[0])
    assert again["ce-time"] == START.isoformat()


async def test_what_waits_and_what_is_blocked_can_be_watched(pond: Pond, clock: ManualClock) -> None:
    relay_ = pond.relay()
    await pond.throw("huge", text="x" * 2_000_000)
    await pond.publish_all(relay_)
    clock.advance(timedelta(seconds=90))

    await relay_.compare()

    def value(name: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"stream": POND.name})

    assert value("dealerloop_outbox_waiting") == 1
    assert value("dealerloop_outbox_blocked_keys") == 1
    assert value("dealerloop_outbox_oldest_seconds") == 90


async def _published(pond: Pond) -> bool:
    return bool(await pond.value("SELECT count(*) FROM outbox WHERE publish_time IS NOT NULL"))
