"""The store directory of a service, filled by events and by asking the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from dealerloop.gateway.events.v1.events_pb2 import StoreChanged
from dealerloop.gateway.v1 import organisation_pb2 as pb
from dealership import stores
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.errors import Unavailable
from kit.local.process import free_port
from kit.messaging.event import Event
from kit.messaging.subscription import Batch
from kit.rpc.client import Peer
from tests.support import organisation
from tests.support.one_service import OneService
from tests.support.organisation import Gateway, gateway
from tests.support.postgres import Cloner

NOW = datetime(2026, 3, 6, 17, 30, tzinfo=UTC)
SYSTEM = Scope.system("test")


@pytest.fixture
async def database(database_urls: Cloner) -> AsyncIterator[Database]:
    """Of a service that keeps the directory."""
    database = Database(database_urls("scoring").database_url, pool_size=4)
    yield database
    await database.close()


@pytest.fixture
async def owner(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(database_urls("gateway"), tmp_path / "keys") as running:
        yield running


@pytest.fixture
async def nobody(owner: Gateway) -> AsyncIterator[Peer]:
    """A gateway that is away."""
    peer = Peer(f"127.0.0.1:{free_port()}", owner.context.signer, service="gateway")
    yield peer
    await peer.close()


def facts(version: int, name: str, store_id: str = "bj-01") -> pb.StoreFacts:
    return pb.StoreFacts(store_id=store_id, version=version, display_name=name, time_zone="Asia/Shanghai")


async def tell(database: Database, *changes: pb.StoreFacts) -> None:
    events = [
        Event(uuid4(), "", "gateway", NOW, 1, "", StoreChanged(store_id=one.store_id, store=one), one.store_id, {})
        for one in changes
    ]
    async with database.transaction(SYSTEM) as session:
        await stores.handle(Batch(session, events, NOW))


async def names(database: Database) -> list[tuple[str, int]]:
    async with database.transaction(SYSTEM, read_only=True) as session:
        rows = await session.execute(text("select display_name, version from store order by store_id"))
        return [(row[0], row[1]) for row in rows]


async def test_the_newest_version_wins_however_the_events_come(database: Database) -> None:
    await tell(database, facts(2, "second"), facts(1, "first"))
    await tell(database, facts(1, "first"))
    assert await names(database) == [("second", 2)]

    await tell(database, facts(3, "third"), facts(3, "third"), facts(1, "other", "sh-01"))
    await tell(database, facts(2, "second"))
    assert await names(database) == [("third", 3), ("other", 1)]


async def test_a_store_that_is_not_here_yet_is_asked_for_and_kept(
    database: Database, owner: Gateway, nobody: Peer
) -> None:
    await owner.create_store("bj-01", time_zone="Europe/Berlin", display_name="Berlin")

    async with database.transaction(Scope.store("bj-01")) as session:
        asked = await stores.get_store(session, owner.peer, "bj-01")
    async with database.transaction(Scope.store("bj-01"), read_only=True) as session:
        kept = await stores.get_store(session, nobody, "bj-01")

    assert asked == kept
    assert (kept.id, kept.display_name, kept.time_zone.key) == ("bj-01", "Berlin", "Europe/Berlin")
    assert kept.calendar.opening_hours(date(2026, 3, 6))[0].start == 8 * 60 + 30


async def test_a_read_only_call_may_miss_the_directory_too(database: Database, owner: Gateway) -> None:
    await owner.create_store("bj-01")

    async with database.transaction(Scope.store("bj-01"), read_only=True) as session:
        store = await stores.get_store(session, owner.peer, "bj-01")

    assert store.id == "bj-01"
    assert await names(database) == []


async def test_a_store_that_nobody_knows_is_not_found(database: Database, owner: Gateway) -> None:
    async with database.transaction(SYSTEM) as session:
        with pytest.raises(stores.StoreUnknown):
            await stores.get_store(session, owner.peer, "no-such")


async def test_a_missing_store_waits_for_the_gateway(database: Database, nobody: Peer) -> None:
    async with database.transaction(SYSTEM) as session:
        with pytest.raises(Unavailable):
            await stores.get_store(session, nobody, "bj-01")


async def test_the_directory_is_built_from_nothing(database: Database, owner: Gateway) -> None:
    for store_id in ("bj-01", "sh-01"):
        await owner.create_store(store_id)

    async with database.transaction(SYSTEM) as session:
        assert await stores.rebuild(session, owner.peer) == 2

    assert await names(database) == [("BJ-01", 1), ("SH-01", 1)]


async def test_a_gateway_restored_from_a_backup_is_followed_back(database: Database, owner: Gateway) -> None:
    await owner.create_store("bj-01")
    await tell(database, facts(7, "later"), facts(2, "never was", "sh-01"))

    await stores.on_rewind(database, owner.peer)("gateway", 1, 2)

    assert await names(database) == [("BJ-01", 1)]


@pytest.mark.parametrize("name", ["sales", "aftersales", "customer_care", "scoring"])
async def test_every_service_follows_a_gateway_that_was_restored(
    database_urls: Cloner, owner: Gateway, tmp_path: Path, name: str
) -> None:
    await owner.create_store("bj-01")
    service = OneService(name, database_urls(name), tmp_path / "keys", organisation.NOW)
    target = {"gateway_target": f"127.0.0.1:{owner.running.rpc_port}"}
    service.settings = service.settings.model_copy(update=target)
    await service.start("never-was")
    try:
        await tell(service.database, facts(7, "later"))

        await service.rewound("stores")

        assert await names(service.database) == [("BJ-01", 1)]
    finally:
        await service.stop()


async def test_a_day_is_the_stores_own(database: Database, nobody: Peer) -> None:
    await tell(database, facts(1, "Beijing"))
    async with database.transaction(SYSTEM) as session:
        store = await stores.get_store(session, nobody, "bj-01")

    # Half past five in the evening in London is half past one of the next day in Shanghai.
    assert store.local_date(NOW) == date(2026, 3, 7)


async def test_a_year_that_is_not_confirmed_warns(database: Database, nobody: Peer) -> None:
    confirmed = facts(1, "Beijing")
    confirmed.calendar.confirmed_years.append(2026)
    await tell(database, confirmed)
    async with database.transaction(SYSTEM) as session:
        store = await stores.get_store(session, nobody, "bj-01")

    with capture_logs() as logs:
        assert store.opening(date(2026, 3, 6)).confirmed
        assert not store.opening(date(2027, 3, 5)).confirmed

    assert [(line["event"], line["year"]) for line in logs] == [("calendar.year_not_confirmed", 2027)]
