"""Every event is handled once, in batches, in the order of the stream."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from nats.js.api import ConsumerConfig, RawStreamMsg, StreamConfig

from kit.clock import ManualClock
from kit.messaging import consumer as consumer_module
from kit.messaging.streams import ensure_dlq, ensure_stream
from tests.support.pebbles import PebbleSunk, PebbleThrown
from tests.support.pond import POND, START, Catcher, Pond, drain


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


async def test_a_stream_that_an_older_version_made_gets_todays_settings(pond: Pond) -> None:
    old = StreamConfig(name=POND.name, subjects=POND.subjects, max_age=3_600, duplicate_window=60)
    await pond.jetstream.add_stream(old)

    await ensure_stream(pond.jetstream, POND)

    config = (await pond.jetstream.stream_info(POND.name)).config
    assert (config.max_age, config.duplicate_window, config.deny_delete) == (30 * 86_400, 3_600, True)


async def _publish_again(pond: Pond, message: RawStreamMsg) -> None:
    headers = {name: value for name, value in (message.headers or {}).items() if not name.startswith("Nats-")}
    await pond.jetstream.publish(str(message.subject), message.data or b"", headers=headers)
