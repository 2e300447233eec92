"""One process of a tiny system, to be killed: `python -m tests.support.pond_node thrower|catcher DATABASE NATS COUNT`.

The thrower writes COUNT pebbles, a few in each transaction, goes on where it was when it is started again, and runs the
relay. The catcher handles them, and tells each of them on from inside the same transaction.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from kit.clock import SystemClock
from kit.db.engine import Database, raw_connection
from kit.messaging import outbox
from kit.messaging.connection import connect
from kit.messaging.consumer import Batch, Consumer, Subscription
from kit.messaging.relay import Relay
from kit.messaging.streams import StreamSpec
from tests.support.pebbles import PebbleThrown
from tests.support.pond import POND, Pond, message_of

SHORE = StreamSpec("SHORE", "shore")
_EACH = 7


async def thrower(pond: Pond, count: int) -> None:
    relay = pond.relay(batch_size=20)
    async with asyncio.TaskGroup() as group:
        group.create_task(relay.run())
        thrown = int(await pond.value("SELECT count(*) FROM thrown"))
        while thrown < count:
            names = [f"p{number:05}" for number in range(thrown, min(count, thrown + _EACH))]
            await pond.throw(*names, key=f"k{thrown % 5}")
            thrown += len(names)
            await asyncio.sleep(0.05)


async def catcher(pond: Pond, _count: int) -> None:
    relay = Relay(pond.database, pond.jetstream, SHORE, "shore", pond.clock, batch_size=20)
    subscription = Subscription("catcher", POND.name, (PebbleThrown,), catch, batch_size=20, source_service="pond")
    consumer = Consumer(subscription, pond.database, pond.jetstream, pond.clock, service="shore")
    async with asyncio.TaskGroup() as group:
        group.create_task(relay.run())
        group.create_task(consumer.run())


async def catch(batch: Batch) -> None:
    pebbles = [message_of(event.message).pebble_id for event in batch.events]
    connection = await raw_connection(batch.session)
    await connection.executemany("INSERT INTO caught VALUES ('shore', $1, 1)", [(pebble,) for pebble in pebbles])
    # An event that every service tells under its own name.
    await outbox.add_many(batch.session, [(ActionRecorded(action_id=it), it) for it in pebbles], now=batch.now)


async def main(role: str, database_url: str, nats_url: str, count: str) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, sys.exit)
    database = Database(database_url, pool_size=4)
    client = await connect(nats_url, role)
    pond = Pond(database, client.jetstream(), SystemClock())
    await {"thrower": thrower, "catcher": catcher}[role](pond, int(count))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
