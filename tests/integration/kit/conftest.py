"""The sample's database for the kit's own tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from kit.db.engine import Database
from kit.db.migrate import upgrade
from tests.integration.kit.sample import PACKAGE
from tests.support.postgres import DatabaseUrls, PostgresServer


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[DatabaseUrls]:
    urls = postgres_server.empty("sample")
    yield urls
    postgres_server.drop(urls.name)


@pytest.fixture(scope="session")
def sample_template(postgres_server: PostgresServer) -> DatabaseUrls:
    urls = postgres_server.empty("sample")
    upgrade(urls.migration_url, package=PACKAGE)
    return urls


@pytest.fixture
def sample_urls(postgres_server: PostgresServer, sample_template: DatabaseUrls) -> Iterator[DatabaseUrls]:
    urls = postgres_server._create("sample", sample_template.name, "STRATEGY FILE_COPY")
    yield urls
    postgres_server.drop(urls.name)


@pytest.fixture
async def database(sample_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(sample_urls.database_url, pool_size=4)
    yield database
    await database.close()


@pytest.fixture
async def as_owner(sample_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(sample_urls.migration_url, pool_size=2)
    yield database
    await database.close()
