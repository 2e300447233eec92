"""A pond for each test: its own database and its own JetStream."""

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from nats.js import JetStreamContext

from kit.clock import ManualClock
from kit.db.engine import Database
from kit.messaging.connection import connect
from tests.integration.messaging.pond import PACKAGE
from tests.support.pond import Pond
from tests.support.postgres import DatabaseUrls, PostgresServer


@pytest.fixture(scope="session", autouse=True)
def plain_tracebacks() -> None:
    # structlog's pretty ones take up to a second each.
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(),
        ]
    )


@pytest.fixture
def pond_urls(postgres_server: PostgresServer) -> Iterator[DatabaseUrls]:
    urls = postgres_server.clone("pond", PACKAGE)
    yield urls
    postgres_server.drop(urls.name)


@pytest.fixture
async def pond(pond_urls: DatabaseUrls, nats_url: str) -> AsyncIterator[Pond]:
    database = Database(pond_urls.database_url, pool_size=5)
    client = await connect(nats_url, "test")
    yield Pond(database, client.jetstream())
    await client.close()
    await database.close()


@pytest.fixture
def jetstream(pond: Pond) -> JetStreamContext:
    return pond.jetstream


@pytest.fixture
def clock(pond: Pond) -> ManualClock:
    assert isinstance(pond.clock, ManualClock)
    return pond.clock
