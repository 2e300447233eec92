"""A service on the shared clock of a simulation: a jump is noticed by everything that waits for business time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from kit.clock import ClockFileError, SharedClock, SystemClock
from kit.db.migrate import upgrade
from kit.db.scope import Scope
from kit.db.simulation import WrongClockError
from kit.keys import create_key_directory
from kit.service import KitContext, Running
from kit.settings import KitSettings
from kit.timers import schedule
from tests.integration.kit.sample import PACKAGE
from tests.integration.kit.sample.app import NAME, build
from tests.support.postgres import DatabaseUrls

START = datetime(2031, 3, 2, 8, 0, tzinfo=UTC)
MONTH = timedelta(days=30)


@pytest.fixture
def settings(empty_database: DatabaseUrls, nats_url: str, tmp_path: Path) -> KitSettings:
    create_key_directory(tmp_path / "keys", ["gateway", NAME])
    SharedClock.create(tmp_path / "clock", START)
    upgrade(empty_database.migration_url, package=PACKAGE, clock_file=tmp_path / "clock")
    return KitSettings(
        database_url=empty_database.database_url,
        nats_url=nats_url,
        keys_dir=tmp_path / "keys",
        clock_file=tmp_path / "clock",
        pool_size=4,
        stop_grace_seconds=5,
    )


@pytest.fixture
async def context(settings: KitSettings) -> AsyncIterator[KitContext]:
    context = await KitContext.open(settings, NAME)
    yield context
    await context.close()


async def notes(context: KitContext) -> list[tuple[str, datetime]]:
    async with context.database.transaction(Scope.group()) as session:
        rows = await session.execute(text("SELECT body, create_time FROM note ORDER BY create_time"))
        return [(row.body, row.create_time) for row in rows]


async def test_timers_fire_as_soon_as_the_clock_has_passed_them(
    context: KitContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.timers.LONGEST_SLEEP_SECONDS", 3600.0)  # nobody may happen to look
    simulator = SharedClock(tmp_path / "clock")
    running = Running(build(context), context)
    await running.start()
    try:
        async with context.database.transaction(Scope.system("test")) as session:
            for month in (1, 2, 3):
                await schedule(session, "ring", f"month {month}", START + month * MONTH, {"store_id": "bj-01"})
        await asyncio.sleep(0.5)  # until the worker sleeps
        assert await notes(context) == []

        for month in (1, 2, 3):
            simulator.set(START + month * MONTH)
            async with asyncio.timeout(20):
                while len(await notes(context)) < month:  # noqa: ASYNC110 - what is waited for happens in the database
                    await asyncio.sleep(0.02)
    finally:
        await running.stop()

    assert await notes(context) == [(f"month {month}", START + month * MONTH) for month in (1, 2, 3)]


async def test_a_service_does_not_serve_on_a_clock_that_is_not_its_databases(
    settings: KitSettings, sample_urls: DatabaseUrls
) -> None:
    context = await KitContext.open(settings.model_copy(update={"database_url": sample_urls.database_url}), NAME)
    running = Running(build(context), context)

    with pytest.raises(WrongClockError, match=f"the database of {NAME} is not a simulation's"):
        await running.start()

    assert running.rpc_port == 0
    await context.close()


async def test_without_a_clock_file_it_lives_by_the_machine(settings: KitSettings) -> None:
    context = await KitContext.open(settings.model_copy(update={"clock_file": None}), NAME)

    assert isinstance(context.clock, SystemClock)
    await context.close()


async def test_a_clock_file_that_is_not_there_is_told_before_anything_is_opened(settings: KitSettings) -> None:
    with pytest.raises(ClockFileError, match=r"elsewhere: No such file"):
        await KitContext.open(settings.model_copy(update={"clock_file": Path("/nowhere/elsewhere")}), NAME)
