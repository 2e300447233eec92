"""A running server of things and its own database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from kit.clock import ManualClock
from kit.db.engine import Database
from kit.db.migrate import upgrade
from kit.rpc.server import RpcService
from tests.integration.rpc.things import PACKAGE
from tests.integration.rpc.things.edge import ThingEdge
from tests.integration.rpc.things.running import START, Things, server_of
from tests.support.postgres import DatabaseUrls, PostgresServer
from tests.support.things import service


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Expected failures are not printed: a rich traceback costs seconds."""
    with capture_logs():
        yield


@pytest.fixture(scope="session")
def things_urls(postgres_server: PostgresServer) -> Iterator[DatabaseUrls]:
    urls = postgres_server.empty("things")
    upgrade(urls.migration_url, package=PACKAGE)
    yield urls
    postgres_server.drop(urls.name)


@pytest.fixture
async def things(things_urls: DatabaseUrls) -> AsyncIterator[Things]:
    clock = ManualClock(START)
    edge = ThingEdge()
    database = Database(things_urls.database_url, pool_size=4)
    server = server_of(RpcService(service("ThingService"), edge), database=database, clock=clock)
    await server.start()
    things = Things(edge, database, clock, server, {})
    yield things
    for peer in things.peers.values():
        await peer.close()
    await server.stop(1)
    # The database is shared by the tests of this folder: emptying it is much cheaper than making it.
    await things.rows("WITH a AS (DELETE FROM thing), b AS (DELETE FROM outbox) DELETE FROM idempotency RETURNING 1")
    await database.close()
