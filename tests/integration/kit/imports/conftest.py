"""A migrated database of parcels, and a desk over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kit.clock import ManualClock
from kit.db.migrate import upgrade
from kit.keys import create_key_directory
from kit.service import KitContext
from kit.settings import KitSettings
from tests.integration.kit.imports.parcels import PACKAGE
from tests.support.import_desk import Desk
from tests.support.postgres import DatabaseUrls, PostgresServer


@pytest.fixture(scope="session")
def parcels_template(postgres_server: PostgresServer) -> DatabaseUrls:
    urls = postgres_server.empty("parcels")
    upgrade(urls.migration_url, package=PACKAGE)
    return urls


@pytest.fixture
def parcels_urls(postgres_server: PostgresServer, parcels_template: DatabaseUrls) -> Iterator[DatabaseUrls]:
    urls = postgres_server._create("parcels", parcels_template.name, "STRATEGY FILE_COPY")
    yield urls
    postgres_server.drop(urls.name)


@pytest.fixture
async def desk(parcels_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Desk]:
    create_key_directory(tmp_path / "keys", ["gateway", "parcels"])
    settings = KitSettings(database_url=parcels_urls.database_url, keys_dir=tmp_path / "keys", pool_size=4)
    clock = ManualClock(datetime(2026, 3, 6, 1, 0, tzinfo=UTC))
    context = await KitContext.open(settings, "parcels", clock=clock)
    yield Desk(context, clock)
    await context.close()


@pytest.fixture
def group_desk(desk: Desk) -> Desk:
    return Desk(desk.context, desk.clock, store_id="")
