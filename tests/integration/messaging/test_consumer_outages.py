"""A running consumer lives through whatever broker, database and operator do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from kit.db.engine import Database
from kit.db.migrate import upgrade
from kit.local.nats import LocalNats
from kit.local.postgres import LocalPostgres
from kit.local.provision import provision_async
from kit.messaging import consumer as consumer_module
from kit.messaging import dlq
from kit.messaging.connection import connect
from kit.messaging.streams import ensure_stream
from tests.integration.messaging.pond import PACKAGE
from tests.support.pond import POND, Catcher, Pond, drain, until


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
