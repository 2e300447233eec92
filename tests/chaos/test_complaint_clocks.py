"""Many clocks at the same moment and workers that die on them: every threshold is passed and told exactly once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from nats.js.client import JetStreamContext

from tests.support.many_complaints import FIRED, Workers, connect, figures, open_many
from tests.support.postgres import Cloner, DatabaseUrls

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(200)]

COUNT = 2_000
BATCH = 200
_BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"


@pytest.fixture
def urls(database_urls: Cloner) -> DatabaseUrls:
    return database_urls("customer_care")


@pytest.fixture
def workers(urls: DatabaseUrls, nats_url: str, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(urls, nats_url, tmp_path)
    yield workers
    workers.stop()


@pytest.fixture
async def database(urls: DatabaseUrls) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(urls)
    yield connection
    await connection.close()


async def until(what: str, done: Callable[[], Awaitable[bool]], workers: Workers) -> None:
    """Ask again until it is so; say what the workers wrote last when it never is."""
    try:
        async with asyncio.timeout(60):
            while True:
                if await done():
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what}\n{workers.tails()}") from None


async def test_each_threshold_fires_once_whoever_dies_on_it(
    urls: DatabaseUrls, database: asyncpg.Connection, workers: Workers, jetstream: JetStreamContext, tmp_path: Path
) -> None:
    await open_many(urls, tmp_path / "keys", COUNT, datetime.now(UTC) + timedelta(seconds=1))

    # The first dies after its second batch is in the database and before anybody was told.
    doomed = workers.start(failpoint="after_commit:2")
    await until("the first to die", lambda: _ended(doomed.exit_code), workers)
    assert doomed.exit_code() == -signal.SIGKILL
    assert await database.fetchval(FIRED) == 2 * BATCH

    # The second is held in the middle of a batch; a third takes the others, and the second dies where it stands.
    lock = database.transaction()
    await lock.start()
    await database.execute(
        "SELECT FROM complaint_clock WHERE percent = 0 AND kind = 'RETURN' ORDER BY complaint_id LIMIT 1 FOR UPDATE"
    )
    held = workers.start()
    watching = await connect(urls)
    await until("the second to be held", lambda: _count(watching, _BLOCKED, 1), workers)
    workers.start()
    await until("the third to go on", lambda: _count(watching, FIRED, COUNT - BATCH), workers)
    assert await watching.fetchval(FIRED) == COUNT - BATCH
    held.kill()
    await watching.close()
    await lock.rollback()
    workers.start()

    await until("every clock", lambda: _count(database, FIRED, COUNT), workers)
    await until("the events", lambda: _published(database), workers)
    found = await figures(database)
    assert (found["escalations"], found["complaints"]) == (COUNT, COUNT)
    assert (found["events"], found["keys"]) == (COUNT, COUNT)
    # What fires next: the breach of each return, and the warning before each closing.
    assert found["timers"] == 2 * COUNT
    told = await jetstream.stream_info("CARE")
    assert told.state.messages == await database.fetchval("SELECT count(*) FROM outbox")


async def _ended(exit_code: Callable[[], int | None]) -> bool:
    return exit_code() is not None


async def _count(connection: asyncpg.Connection, query: str, least: int) -> bool:
    return bool(await connection.fetchval(query) >= least)


async def _published(connection: asyncpg.Connection) -> bool:
    return not await connection.fetchval("SELECT count(*) FROM outbox WHERE publish_time IS NULL")
