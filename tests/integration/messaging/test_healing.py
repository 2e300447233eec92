"""The broker or the database has lost something, and the relay finds out and mends it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kit.db.engine import Database, raw_connection
from kit.local.nats import LocalNats
from kit.messaging import healing
from kit.messaging.connection import connect
from tests.support.pond import POND, TEST, Catcher, Pond, drain, until
from tests.support.postgres import DatabaseUrls


@pytest.fixture
async def own_nats(tmp_path: Path) -> AsyncIterator[LocalNats]:
    server = LocalNats(tmp_path / "nats")
    server.start()
    yield server
    server.wipe()


@pytest.fixture
async def own_pond(pond_urls: DatabaseUrls, own_nats: LocalNats) -> AsyncIterator[Pond]:
    """A pond whose broker may be killed."""
    database = Database(pond_urls.database_url, pool_size=5)
    client = await connect(own_nats.url, "test")
    yield Pond(database, client.jetstream())
    await client.close()
    await database.close()


async def test_a_wiped_store_is_filled_again_from_the_outbox(own_pond: Pond, own_nats: LocalNats) -> None:
    relay = own_pond.relay()
    for number in range(5):
        await own_pond.throw(f"p{number}", key="one")
        await own_pond.publish_all(relay)

    own_nats.wipe()
    own_nats.start()
    await until(lambda: _connected(own_pond))
    await own_pond.throw("p5", key="one")
    await own_pond.publish_all(relay)

    assert await own_pond.in_stream() == [f"p{number}" for number in range(6)]
    assert [row[0] for row in await own_pond.fetch("SELECT stream_sequence FROM outbox ORDER BY position")] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]


async def test_a_deleted_stream_is_made_and_filled_again(pond: Pond) -> None:
    relay = pond.relay()
    await pond.throw("a", "b")
    await pond.publish_all(relay)

    await pond.jetstream.delete_stream(POND.name)
    await pond.throw("c")
    await pond.publish_all(relay)

    assert await pond.in_stream() == ["a", "b", "c"]


async def test_whoever_consumed_before_the_loss_handles_nothing_twice(own_pond: Pond, own_nats: LocalNats) -> None:
    relay, catcher = own_pond.relay(), Catcher()
    consumer = own_pond.consumer(catcher)
    await own_pond.throw("a", "b")
    await own_pond.publish_all(relay)
    await drain(consumer)

    own_nats.wipe()
    own_nats.start()
    await until(lambda: _connected(own_pond))
    await own_pond.throw("c")
    await own_pond.publish_all(relay)
    # The first try finds the durable gone.
    await drain(consumer)
    await drain(consumer)

    assert await own_pond.caught() == ["a", "b", "c"]
    await consumer.close()


async def test_a_lost_tail_is_published_again(own_pond: Pond, own_nats: LocalNats, tmp_path: Path) -> None:
    relay = own_pond.relay()
    await own_pond.throw("a", "b")
    await own_pond.publish_all(relay)
    await _lose_what_follows(own_pond, own_nats, tmp_path, "c", "d")

    await own_pond.publish_all(relay)

    assert await own_pond.in_stream() == ["a", "b", "c", "d"]


async def test_a_tail_that_was_lost_and_overgrown_is_published_again(
    own_pond: Pond, own_nats: LocalNats, tmp_path: Path
) -> None:
    relay = own_pond.relay()
    await own_pond.throw("a", "b")
    await own_pond.publish_all(relay)
    await _lose_what_follows(own_pond, own_nats, tmp_path, "c", "d")
    # The relay does not compare before it publishes: the sequence in the answer gives it away.
    relay._reconnects = own_pond.jetstream._nc.stats["reconnects"]
    await own_pond.throw("e", "f", "g")

    await own_pond.publish_all(relay)

    assert sorted(await own_pond.in_stream()) == ["a", "b", "c", "d", "e", "f", "g"]


async def test_a_tail_that_was_overgrown_by_a_relay_that_died_is_published_again(
    own_pond: Pond, own_nats: LocalNats, tmp_path: Path
) -> None:
    await own_pond.throw("a", "b")
    await own_pond.publish_all()
    await _lose_what_follows(own_pond, own_nats, tmp_path, "c", "d")
    ids = await own_pond.throw("e", "f", "g")
    # Published, and never written down.
    for event_id, name in zip(ids, "efg", strict=True):
        await own_pond.jetstream.publish(f"pond.v1.pebble.{name}.thrown", b"", headers={"Nats-Msg-Id": str(event_id)})

    await own_pond.publish_all()

    assert await own_pond.value("SELECT count(*) FROM outbox WHERE publish_time IS NULL") == 0
    info = await own_pond.jetstream.stream_info(POND.name)
    messages = [await own_pond.jetstream.get_msg(POND.name, seq=it) for it in range(1, info.state.last_seq + 1)]
    found = {(message.headers or {})["Nats-Msg-Id"] for message in messages}
    assert found == {str(row[0]) for row in await own_pond.fetch("SELECT id FROM outbox")}


async def test_what_a_dead_relay_published_is_noted_and_not_published_again(pond: Pond) -> None:
    await pond.throw("a")
    await pond.publish_all()
    await pond.throw("b", "c")
    await pond.publish_all()
    async with pond.database.transaction(TEST) as session:
        connection = await raw_connection(session)
        await connection.execute("UPDATE outbox SET publish_time = NULL, stream_sequence = NULL WHERE position > 1")
        await connection.execute("UPDATE relay_state SET last_sequence = 1")

    found = await pond.relay().compare()

    assert found == healing.Comparison(again=0, noted=2, new_epoch=False)
    assert await pond.value("SELECT count(*) FROM outbox WHERE publish_time IS NULL") == 0
    assert await pond.in_stream() == ["a", "b", "c"]


async def test_a_database_that_came_back_from_a_backup_begins_a_new_epoch(pond: Pond) -> None:
    await pond.throw("a")
    await pond.publish_all()
    await pond.throw("lost")
    await pond.publish_all()
    await _back_to_the_first(pond)

    await pond.throw("b")
    await pond.publish_all()

    epoch = await pond.value("SELECT epoch FROM epoch")
    assert epoch == int(pond.clock.now().timestamp())
    last = await pond.jetstream.get_msg(POND.name, seq=3)
    assert (last.headers or {})["ce-epoch"] == str(epoch)


async def test_a_backup_that_is_restored_twice_gives_two_epochs(pond: Pond) -> None:
    async with pond.database.transaction(TEST) as session:
        connection = await raw_connection(session)
        first = await healing.start_epoch(connection, "restored", pond.clock.now())
        again = await healing.start_epoch(connection, "restored", pond.clock.now())

    assert again == first + 1


async def test_a_new_database_beside_an_old_stream_begins_a_new_epoch(pond: Pond) -> None:
    await pond.throw("a")
    await pond.publish_all()
    async with pond.database.transaction(TEST) as session:
        connection = await raw_connection(session)
        await connection.execute("DELETE FROM outbox")
        await connection.execute("DELETE FROM relay_state")

    found = await pond.relay().compare()

    assert found.new_epoch


async def test_readers_reconcile_before_they_handle_the_first_event_of_a_new_epoch(pond: Pond) -> None:
    catcher = Catcher()
    rewinds: list[tuple[str, int, int, list[str]]] = []

    async def on_rewind(source: str, old: int, new: int) -> None:
        rewinds.append((source, old, new, await pond.caught()))

    consumer = pond.consumer(catcher, on_rewind=on_rewind)
    await pond.throw("a")
    await pond.publish_all()
    await drain(consumer)
    await pond.throw("lost")
    await pond.publish_all()
    await _back_to_the_first(pond)
    await pond.throw("b")
    await pond.throw("c")
    await pond.publish_all()
    await drain(consumer)

    # One batch held the last of the old epoch and the first ones of the new.
    assert rewinds == [("pond", 1, int(pond.clock.now().timestamp()), ["a", "lost"])]
    assert catcher.batches == [["a"], ["lost"], ["b", "c"]]
    assert await pond.caught() == ["a", "b", "c", "lost"]
    await consumer.close()


async def test_a_reconciliation_that_fails_is_tried_again_before_anything_is_handled(pond: Pond) -> None:
    catcher = Catcher()
    tries: list[int] = []

    async def on_rewind(_source: str, _old: int, new: int) -> None:
        tries.append(new)
        if len(tries) == 1:
            raise RuntimeError

    consumer = pond.consumer(catcher, on_rewind=on_rewind)
    await pond.throw("a")
    await pond.publish_all()
    await drain(consumer)
    async with pond.database.transaction(TEST) as session:
        await healing.start_epoch(await raw_connection(session), "restored", pond.clock.now())
    await pond.throw("b")
    await pond.publish_all()

    with pytest.raises(RuntimeError):
        await drain(consumer)

    assert await pond.caught() == ["a"]
    await consumer.close()
    again = replace(pond).consumer(catcher, on_rewind=on_rewind)
    again.durable = consumer.durable
    await again._epochs.meet("pond", tries[0])
    assert len(tries) == 2


async def _back_to_the_first(pond: Pond) -> None:
    """The database as a backup after the first event would be."""
    async with pond.database.transaction(TEST) as session:
        connection = await raw_connection(session)
        await connection.execute("DELETE FROM outbox WHERE position > 1")
        await connection.execute("UPDATE relay_state SET last_sequence = 1")


async def _lose_what_follows(pond: Pond, server: LocalNats, folder: Path, *pebbles: str) -> None:
    """Publishes more, and then gives the broker the disk that it had before."""
    server.stop()
    copy = folder / "copy"
    shutil.copytree(server.store_dir / "jetstream", copy)
    server.start()
    await until(lambda: _connected(pond))
    await pond.throw(*pebbles)
    await pond.publish_all()
    server.wipe()
    shutil.copytree(copy, server.store_dir / "jetstream")
    server.start()
    await until(lambda: _connected(pond))


async def _connected(pond: Pond) -> bool:
    return bool(pond.jetstream._nc.is_connected) and await _answers(pond)


async def _answers(pond: Pond) -> bool:
    try:
        await pond.jetstream._nc.flush(timeout=1)
    except Exception:
        return False
    return True
