"""Whose clock fits whose database: the marker of a simulation, made with its tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from kit.clock import Clock, ManualClock, SharedClock
from kit.db.engine import Database
from kit.db.migrate import upgrade
from kit.db.simulation import WrongClockError, require_clock
from kit.ids import new_id
from tests.integration.kit.sample import PACKAGE
from tests.integration.kit.sample.app import NAME
from tests.support.postgres import DatabaseUrls

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
START = NOW - timedelta(days=60)


@pytest.fixture
def clock(tmp_path: Path) -> SharedClock:
    return SharedClock.create(tmp_path / "clock", START)


@pytest.fixture
async def simulated(empty_database: DatabaseUrls, clock: SharedClock, tmp_path: Path) -> AsyncIterator[Database]:
    """A database that was empty when it was migrated under a shared clock."""
    upgrade(empty_database.migration_url, package=PACKAGE, clock_file=tmp_path / "clock")
    database = Database(empty_database.database_url, pool_size=2)
    yield database
    await database.close()


async def tell(database: Database, at: datetime) -> None:
    """An event as it stands in the outbox."""
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO outbox (id, key, subject, type, payload, create_time) VALUES ($1, 'k', 's', 't', '', $2)",
            new_id(at),
            at,
        )
    finally:
        await connection.close()


async def start_time(database: Database) -> datetime | None:
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    try:
        found: datetime | None = await connection.fetchval("SELECT start_time FROM simulation")
    finally:
        await connection.close()
    return found


async def test_a_database_made_under_a_shared_clock_is_a_simulations(simulated: Database, clock: SharedClock) -> None:
    assert await start_time(simulated) == START
    await require_clock(simulated, clock, NAME)


async def test_a_second_migration_does_not_move_its_beginning(
    simulated: Database, empty_database: DatabaseUrls, clock: SharedClock, tmp_path: Path
) -> None:
    clock.set(NOW)
    upgrade(empty_database.migration_url, package=PACKAGE, clock_file=tmp_path / "clock")

    assert await start_time(simulated) == START


async def test_a_database_that_was_made_without_never_becomes_one(
    sample_urls: DatabaseUrls, database: Database, clock: SharedClock, tmp_path: Path
) -> None:
    upgrade(sample_urls.migration_url, package=PACKAGE, clock_file=tmp_path / "clock")

    assert await start_time(database) is None
    for _ in range(2):
        with pytest.raises(WrongClockError, match=r"is not a simulation's\. Unset it, or migrate an empty database"):
            await require_clock(database, clock, NAME)
        clock.follow_real_time()  # it could be stopped again at any time


async def test_real_data_need_no_marker(database: Database) -> None:
    await tell(database, NOW + timedelta(days=400))

    await require_clock(database, ManualClock(NOW), NAME)


@pytest.mark.parametrize("at", [NOW, NOW + timedelta(minutes=4)])
async def test_a_simulation_that_has_reached_the_present_goes_on_by_the_machines_clock(
    simulated: Database, at: datetime
) -> None:
    await tell(simulated, at)

    await require_clock(simulated, ManualClock(NOW), NAME)


async def test_data_from_the_future_are_refused_with_the_day_and_the_way_out(simulated: Database) -> None:
    await tell(simulated, START)
    await tell(simulated, NOW + timedelta(days=1))

    with pytest.raises(WrongClockError) as caught:
        await require_clock(simulated, ManualClock(NOW), NAME)

    said = str(caught.value)
    assert "has reached 2026-03-03 08:00 UTC, and the time is 2026-03-02 08:00 UTC" in said
    assert "DEALERLOOP_CLOCK_FILE" in said


async def test_a_simulation_whose_clock_went_back_is_refused(simulated: Database, clock: SharedClock) -> None:
    await tell(simulated, START + timedelta(days=3))
    clock.set(START + timedelta(days=2))

    with pytest.raises(WrongClockError, match=r"its clock stands at 2026-01-03 08:00 UTC"):
        await require_clock(simulated, clock, NAME)


@pytest.mark.parametrize("clock_at", [START, START + timedelta(days=1)])
async def test_an_unused_simulation_can_begin_at_its_start(simulated: Database, clock_at: datetime) -> None:
    clock: Clock = ManualClock(clock_at)

    await require_clock(simulated, clock, NAME)
