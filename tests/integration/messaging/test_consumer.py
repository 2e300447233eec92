"""Every event is handled, and none is handled twice, whatever the handler, the broker and the database do."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import ConsumerConfig, RawStreamMsg

from kit.clock import ManualClock
from kit.db.engine import Database
from kit.db.migrate import upgrade
from kit.errors import Conflict, Unavailable
from kit.local.nats import LocalNats
from kit.local.postgres import LocalPostgres
from kit.local.provision import provision_async
from kit.messaging import consumer as consumer_module
from kit.messaging import dlq
from kit.messaging.connection import connect
from kit.messaging.settle import MAX_ATTEMPTS
from kit.messaging.streams import ensure_dlq, ensure_stream
from tests.integration.messaging.pond import PACKAGE
from tests.support.pebbles import PebbleSunk, PebbleThrown
from tests.support.pond import POND, START, Catcher, Pond, drain, until


async def test_a_batch_is_handled_in_one_transaction_in_stream_order(pond: Pond) -> None:
    catcher = Catcher()
    await pond.throw(*(f"p{number:03}" for number in range(300)))
    await pond.publish_all()

    consumer = pond.consumer(catcher)

    assert await drain(consumer) == 300
    assert catcher.batches == [[f"p{number:03}" for number in range(300)]]
    assert len(await pond.caught()) == 300
    await consumer.close()


async def test_the_handler_sees_the_event_with_everything_that_was_told(pond: Pond) -> None:
    seen: list[Any] = []

    class Reader(Catcher):
        async def handle(self, batch: consumer_module.Batch) -> None:
            seen.extend([batch.now, *batch.events])

    [event_id] = await pond.throw("a", key="lake/ö", version=7)
    await pond.publish_all()
    assert isinstance(pond.clock, ManualClock)
    pond.clock.advance(timedelta(seconds=3))

    consumer = pond.consumer(Reader())
    await drain(consumer)

    now, event = seen
    assert now == START + timedelta(seconds=3)
    assert (event.id, event.type, event.source, event.time, event.epoch, event.subject, event.key) == (
        event_id,
        "dealerloop.pond.events.v1.PebbleThrown",
        "pond",
        START,
        1,
        "pond.v1.pebble.a.thrown",
        "lake/ö",
    )
    assert event.message == PebbleThrown(pebble_id="a", version=7)
    await consumer.close()


async def test_the_same_event_again_is_not_handled_again(pond: Pond) -> None:
    catcher = Catcher()
    consumer = pond.consumer(catcher)
    await pond.throw("a", "b")
    await pond.publish_all()
    await drain(consumer)

    # The same ids once more, as after a loss that is older than the duplicate window.
    for sequence in (1, 2, 2):
        message = await pond.jetstream.get_msg(POND.name, seq=sequence)
        await _publish_again(pond, message)
    await pond.throw("c")
    await pond.publish_all()

    assert await drain(consumer) == 4
    assert catcher.batches == [["a", "b"], ["c"]]
    await consumer.close()


async def test_an_event_that_is_twice_in_one_batch_is_handled_once(pond: Pond) -> None:
    catcher = Catcher()
    await pond.throw("a")
    await pond.publish_all()
    message = await pond.jetstream.get_msg(POND.name, seq=1)
    await _publish_again(pond, message)

    consumer = pond.consumer(catcher)

    assert await drain(consumer) == 2
    assert catcher.batches == [["a"]]
    await consumer.close()


async def test_a_subscription_takes_only_its_events(pond: Pond) -> None:
    from kit.messaging import outbox
    from tests.support.pond import TEST

    async with pond.database.transaction(TEST) as session:
        await outbox.add(session, PebbleSunk(pebble_id="sunk"), key="x", now=START)
    await pond.throw("thrown")
    await pond.publish_all()
    thrown, both = Catcher("thrown"), Catcher("both")

    for consumer in (pond.consumer(thrown), pond.consumer(both, PebbleThrown, PebbleSunk)):
        await drain(consumer)
        await consumer.close()

    assert thrown.batches == [["thrown"]]
    assert both.batches == [["sunk", "thrown"]]


async def test_two_subscriptions_of_one_service_each_handle_everything(pond: Pond) -> None:
    await pond.throw("a")
    await pond.publish_all()

    for name in ("first", "second"):
        consumer = pond.consumer(Catcher(name))
        await drain(consumer)
        await consumer.close()

    assert await pond.caught("first") == await pond.caught("second") == ["a"]


async def test_two_processes_share_one_subscription(pond: Pond) -> None:
    await pond.throw(*(f"p{number}" for number in range(200)))
    await pond.publish_all()
    first, second = Catcher(), Catcher()
    consumers = [pond.consumer(first, batch_size=10), pond.consumer(second, batch_size=10)]

    await asyncio.gather(*(drain(consumer) for consumer in consumers))

    assert len(await pond.caught()) == len(set(await pond.caught())) == 200
    assert first.batches
    assert second.batches
    for consumer in consumers:
        await consumer.close()


async def test_one_bad_event_hurts_only_itself(pond: Pond) -> None:
    catcher = Catcher(error_for={"bad": Conflict("it cannot be")})
    await pond.throw("a", "bad", "b")
    await pond.publish_all()

    consumer = pond.consumer(catcher)
    await drain(consumer)

    assert await pond.caught() == ["a", "b"]
    [letter] = await dlq.entries(pond.jetstream, "pond")
    assert (letter.subscription, letter.reason, letter.attempts) == ("catcher", "permanent", 1)
    assert letter.error == "Conflict: it cannot be"
    assert letter.headers["ce-type"] == "dealerloop.pond.events.v1.PebbleThrown"
    info = await pond.jetstream.consumer_info(POND.name, consumer.durable)
    assert info.num_ack_pending == 0
    await consumer.close()


async def test_what_may_work_later_is_tried_again_later(pond: Pond) -> None:
    catcher = Catcher(error_for={"a": Unavailable()})
    await pond.throw("a")
    await pond.publish_all()
    consumer = pond.consumer(catcher)
    await drain(consumer)
    assert await pond.caught() == []

    catcher.error_for.clear()
    await until(lambda: _caught(pond, consumer, "a"))

    assert await dlq.entries(pond.jetstream, "pond") == []
    await consumer.close()


async def test_after_eight_tries_an_event_is_set_aside(pond: Pond) -> None:
    catcher = Catcher(error_for={"a": RuntimeError("phone 13800000000\nDETAIL: a whole row")})
    await pond.throw("a")
    await pond.publish_all()
    consumer = pond.consumer(catcher)

    await until(lambda: _has_letter(pond, consumer))

    assert len(catcher.batches) == MAX_ATTEMPTS + 1
    [letter] = await dlq.entries(pond.jetstream, "pond")
    assert letter.reason == "attempts"
    assert "DETAIL" not in letter.error
    await consumer.close()


async def test_when_a_neighbour_is_down_the_batch_is_not_tried_one_by_one_to_its_end(pond: Pond) -> None:
    pebbles = [f"p{number:02}" for number in range(20)]
    catcher = Catcher(error_for={pebble: Unavailable() for pebble in pebbles})
    await pond.throw(*pebbles)
    await pond.publish_all()
    consumer = pond.consumer(catcher)

    await consumer.drain_once()

    assert catcher.batches == [pebbles, ["p00"], ["p01"], ["p02"]]
    catcher.error_for.clear()
    await until(lambda: _caught(pond, consumer, *pebbles))
    await consumer.close()


async def test_a_message_that_is_no_event_is_set_aside_at_once(pond: Pond) -> None:
    catcher = Catcher()
    await ensure_stream(pond.jetstream, POND)
    good = {"ce-id": "x", "ce-type": "dealerloop.pond.events.v1.PebbleThrown"}
    for headers, data in (({}, b""), (good, b"\xff\xff"), ({"ce-type": "unknown"}, b"")):
        await pond.jetstream.publish("pond.v1.pebble.a.thrown", data, headers=headers or {"x": "y"})
    await pond.throw("fine")
    await pond.publish_all()

    consumer = pond.consumer(catcher)
    await drain(consumer)

    assert catcher.batches == [["fine"]]
    assert [letter.reason for letter in await dlq.entries(pond.jetstream, "pond")] == ["permanent"] * 3
    await consumer.close()


async def test_what_cannot_be_set_aside_is_not_thrown_away(pond: Pond) -> None:
    catcher = Catcher(error_for={"a": Conflict("no")})
    await pond.throw("a")
    await pond.publish_all()
    consumer = pond.consumer(catcher)
    await consumer._opened()
    await pond.jetstream.delete_stream("DLQ")

    await consumer.drain_once()
    info = await pond.jetstream.consumer_info(POND.name, consumer.durable)
    assert info.num_ack_pending == 1

    await ensure_dlq(pond.jetstream)
    await until(lambda: _has_letter(pond, consumer))
    await consumer.close()


async def test_the_servers_own_giving_up_is_seen_among_the_dead_letters(pond: Pond) -> None:
    await pond.throw("a")
    await pond.publish_all()
    consumer = pond.consumer(Catcher())
    await consumer._opened()
    config = ConsumerConfig(durable_name=consumer.durable, max_deliver=1, ack_wait=0.2, filter_subjects=["pond.v1.>"])
    await pond.jetstream.add_consumer(POND.name, config)
    # It is delivered, and nobody answers.
    assert consumer._puller is not None
    await consumer._puller.take_now()

    await until(lambda: _letters(pond, 1))

    [letter] = await dlq.entries(pond.jetstream, "pond")
    assert (letter.reason, letter.subscription, letter.sequence) == ("max_deliveries", "catcher", 1)
    assert await dlq.retry(pond.jetstream, "pond", letter.number, consumer)
    assert await pond.caught() == ["a"]
    await consumer.close()


async def test_the_durable_has_the_settings_that_the_architecture_names(pond: Pond) -> None:
    await ensure_stream(pond.jetstream, POND)
    # What an older version had made.
    old = ConsumerConfig(durable_name="pond-catcher", ack_wait=5, max_deliver=3, filter_subjects=["pond.v1.other.*.x"])
    await pond.jetstream.add_consumer(POND.name, old)

    consumer = pond.consumer(Catcher())
    await consumer.drain_once()

    config = (await pond.jetstream.consumer_info(POND.name, "pond-catcher")).config
    assert (config.ack_wait, config.max_deliver, config.backoff) == (30.0, 20, None)
    assert config.filter_subjects == ["pond.v1.pebble.*.thrown"]
    assert config.ack_policy == "explicit"
    await consumer.close()


async def test_the_streams_have_the_settings_that_the_architecture_names(pond: Pond) -> None:
    config = (await ensure_stream(pond.jetstream, POND)).config
    assert (config.storage, config.retention) == ("file", "limits")
    assert (config.max_age, config.duplicate_window) == (30 * 86_400, 3_600)
    assert config.deny_delete
    assert config.subjects == ["pond.v1.>"]

    dead = (await ensure_dlq(pond.jetstream)).config
    assert dead.subjects == ["dlq.>", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"]
    assert not dead.max_age


async def test_a_subscription_to_a_stream_that_is_not_there_yet_waits_for_it(pond: Pond) -> None:
    catcher = Catcher()
    consumer = pond.consumer(catcher)
    assert await consumer.drain_once() == 0

    async with asyncio.TaskGroup() as group:
        group.create_task(consumer.run())
        await pond.throw("a")
        await pond.publish_all()
        await until(lambda: _has_caught(pond, "a"))
        consumer.stop()


async def test_the_next_batch_travels_while_this_one_is_in_the_database(pond: Pond) -> None:
    catcher = Catcher(gate=asyncio.Event())
    assert catcher.gate is not None
    await pond.throw(*(f"p{number:02}" for number in range(20)))
    await pond.publish_all()
    consumer = pond.consumer(catcher, batch_size=10)

    async with asyncio.TaskGroup() as group:
        group.create_task(consumer.run())
        await until(lambda: _true(bool(catcher.batches) and _prefetched(consumer) > 0))
        catcher.gate.set()
        await until(lambda: _count(pond, 20))
        consumer.stop()


async def test_a_stopping_consumer_finishes_its_batch_and_gives_the_rest_back_at_once(pond: Pond) -> None:
    slow = Catcher(gate=asyncio.Event())
    assert slow.gate is not None
    await pond.throw(*(f"p{number:02}" for number in range(20)))
    await pond.publish_all()
    consumer = pond.consumer(slow, batch_size=10)

    async with asyncio.TaskGroup() as group:
        group.create_task(consumer.run())
        await until(lambda: _true(bool(slow.batches) and _prefetched(consumer) > 0))
        consumer.stop()
        slow.gate.set()

    done = len(await pond.caught())
    assert 0 < done < 20
    other = pond.consumer(Catcher())
    # Not after ack_wait: now.
    await until(lambda: _drained(pond, other, 20), seconds=3)
    await other.close()


async def test_a_consumer_lives_through_an_outage_of_the_broker_and_the_loss_of_its_store(
    pond_urls: Any, tmp_path: Path
) -> None:
    server = LocalNats(tmp_path / "nats", sync_always=False)
    client = await connect(server.start(), "test")
    database = Database(pond_urls.database_url, pool_size=5)
    pond = Pond(database, client.jetstream())
    relay, consumer = pond.relay(), pond.consumer(Catcher())
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(relay.run())
            group.create_task(consumer.run())
            await pond.throw("a")
            await until(lambda: _has_caught(pond, "a"))
            server.kill()
            await pond.throw("b")
            await asyncio.sleep(1)
            server.start()
            await until(lambda: _has_caught(pond, "b"), seconds=30)
            server.wipe()
            await pond.throw("c")
            server.start()
            await until(lambda: _has_caught(pond, "c"), seconds=30)
            relay.stop()
            consumer.stop()
        assert await pond.caught() == ["a", "b", "c"]
    finally:
        await client.close()
        await database.close()
        server.wipe()


async def test_an_outage_of_the_database_costs_no_attempt_and_no_event(nats_url: str, tmp_path: Path) -> None:
    # The tests' fast settings may forget the last commits when the server is killed.
    server = LocalPostgres(tmp_path / "postgres", durable=True)
    url = server.start()
    urls = (await provision_async(url, ["pond"], "secret"))["pond"]
    upgrade(urls[1], package=PACKAGE)
    client = await connect(nats_url, "test")
    database = Database(urls[0], pool_size=5)
    pond = Pond(database, client.jetstream())
    catcher = Catcher(gate=asyncio.Event())
    assert catcher.gate is not None
    consumer = pond.consumer(catcher)
    try:
        await pond.throw("a", "b")
        await pond.publish_all()
        async with asyncio.TaskGroup() as group:
            group.create_task(consumer.run())
            await until(lambda: _true(bool(catcher.batches)))
            # In the middle of the handler's transaction.
            server.kill()
            catcher.gate.set()
            await asyncio.sleep(1)
            server.start()
            await until(lambda: _has_caught(pond, "a", "b"), seconds=30)
            consumer.stop()
        info = await pond.jetstream.consumer_info(POND.name, consumer.durable)
        assert (info.num_redelivered, info.num_ack_pending) == (0, 0)
        assert await dlq.entries(pond.jetstream, "pond") == []
    finally:
        await client.close()
        await database.close()
        server.wipe()


async def test_waiting_costs_next_to_nothing(pond: Pond) -> None:
    await ensure_stream(pond.jetstream, POND)
    client = pond.jetstream._nc
    consumer = pond.consumer(Catcher())
    async with asyncio.TaskGroup() as group:
        group.create_task(consumer.run())
        await asyncio.sleep(0.5)
        before = client.stats["out_msgs"]
        await asyncio.sleep(2.5)
        asked = client.stats["out_msgs"] - before
        consumer.stop()
    assert asked == 0


async def test_a_dead_letter_can_be_shown_retried_and_dropped(pond: Pond) -> None:
    catcher = Catcher(error_for={"a": Conflict("no"), "b": Conflict("no")})
    await pond.throw("a", "b")
    await pond.publish_all()
    consumer = pond.consumer(catcher)
    await drain(consumer)
    first, second = await dlq.entries(pond.jetstream, "pond")

    with pytest.raises(Conflict):
        await dlq.retry(pond.jetstream, "pond", first.number, consumer)
    assert len(await dlq.entries(pond.jetstream, "pond")) == 2

    catcher.error_for.clear()
    assert await dlq.retry(pond.jetstream, "pond", first.number, consumer)
    await dlq.drop(pond.jetstream, "pond", second.number)

    assert await pond.caught() == ["a"]
    assert await dlq.entries(pond.jetstream, "pond") == []
    for action in (dlq.show, dlq.drop):
        with pytest.raises(dlq.DeadLetterNotFound):
            await action(pond.jetstream, "pond", first.number)
    await consumer.close()


async def test_a_dead_letter_belongs_to_its_service(pond: Pond) -> None:
    catcher = Catcher(error_for={"a": Conflict("no")})
    await pond.throw("a")
    await pond.publish_all()
    consumer = pond.consumer(catcher)
    await drain(consumer)
    [letter] = await dlq.entries(pond.jetstream, "pond")

    assert await dlq.entries(pond.jetstream, "lake") == []
    with pytest.raises(dlq.DeadLetterNotFound):
        await dlq.show(pond.jetstream, "lake", letter.number)
    heading, line = dlq.lines([letter])
    assert heading.split()[0] == "number"
    assert "PebbleThrown" in line
    assert "reason: permanent" in dlq.details(letter)
    await consumer.close()


async def _publish_again(pond: Pond, message: RawStreamMsg) -> None:
    headers = {name: value for name, value in (message.headers or {}).items() if not name.startswith("Nats-")}
    await pond.jetstream.publish(str(message.subject), message.data or b"", headers=headers)


def _prefetched(consumer: consumer_module.Consumer) -> int:
    return len(consumer._puller.waiting()) if consumer._puller else 0


async def _true(value: bool) -> bool:
    return value


async def _count(pond: Pond, count: int) -> bool:
    return len(await pond.caught()) == count


async def _has_caught(pond: Pond, *pebbles: str) -> bool:
    try:
        return set(pebbles) <= set(await pond.caught())
    except Exception:
        return False


async def _caught(pond: Pond, consumer: consumer_module.Consumer, *pebbles: str) -> bool:
    await drain(consumer)
    return await pond.caught() == list(pebbles)


async def _drained(pond: Pond, consumer: consumer_module.Consumer, count: int) -> bool:
    await drain(consumer)
    return await _count(pond, count)


async def _letters(pond: Pond, count: int) -> bool:
    return len(await dlq.entries(pond.jetstream, "pond")) == count


async def _has_letter(pond: Pond, consumer: consumer_module.Consumer) -> bool:
    await drain(consumer)
    return await _letters(pond, 1)
