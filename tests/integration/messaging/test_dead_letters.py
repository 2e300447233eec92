"""An event that cannot be handled is tried again or set aside, and never lost."""

from __future__ import annotations

import pytest
from nats.js.api import ConsumerConfig

from kit.errors import Conflict, Unavailable
from kit.messaging import consumer as consumer_module
from kit.messaging import dlq
from kit.messaging.settle import MAX_ATTEMPTS
from kit.messaging.streams import ensure_dlq, ensure_stream
from tests.support.pond import POND, Catcher, Pond, drain, until


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


async def _caught(pond: Pond, consumer: consumer_module.Consumer, *pebbles: str) -> bool:
    await drain(consumer)
    return await pond.caught() == list(pebbles)


async def _letters(pond: Pond, count: int) -> bool:
    return len(await dlq.entries(pond.jetstream, "pond")) == count


async def _has_letter(pond: Pond, consumer: consumer_module.Consumer) -> bool:
    await drain(consumer)
    return await _letters(pond, 1)
