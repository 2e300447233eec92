"""A store lives through the turn of a month in the future, on the clock that all services share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from kit.clock import SharedClock
from kit.local.process import free_port
from tools import plan, running
from tools.life import group as groups
from tools.life.api import Api
from tools.life.work import GROUP_ZONE
from tools.machine import Places
from tools.plan import Plan
from tools.simulation.run import Outcome, Script
from tools.simulation.stack import people_password, start_and_live

# Nobody's machine will show this day while the product is young: what is dated by it came from the shared clock.
FIRST, LAST = date(2031, 1, 27), date(2031, 2, 5)


class Lived(NamedTuple):
    """A simulation that still runs, and what it told."""

    script: Script
    outcome: Outcome
    places: Places
    api: Api


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    places = Places(tmp_path_factory.mktemp("simulation"))
    end = datetime(LAST.year, LAST.month, LAST.day, 23, tzinfo=GROUP_ZONE).astimezone(UTC)
    script = Script(groups.plan(5, 1, consultants=2), FIRST, end, until_now=False)
    wishes = plan.Wishes(http_port=free_port())
    try:
        outcome = start_and_live(script, wishes, places)
        api = Api(wishes.url, people_password(places), SharedClock(places.clock).now)
        yield Lived(script, outcome, places, api)
        api.close()
    finally:
        running.stop(places)


def test_people_did_what_there_was_to_do(lived: Lived) -> None:
    counts = lived.outcome.counts

    assert counts["deliveries recorded"] > 5
    assert counts["deliveries from lists"] > 0
    assert counts["rows refused"] == 0
    assert counts["customers reached"] > 10
    assert counts["surveys by telephone"] > 0
    assert counts["surveys by link"] > 0
    assert counts["hand-overs reported"] > 5
    assert counts["months closed"] == 1
    assert lived.outcome.dead_letters == 0


def test_everything_is_dated_by_the_shared_clock(lived: Lived) -> None:
    store = lived.script.group.stores[0]
    found = lived.api.get(store.staff["clerk"].account, f"/v1/{store.resource}/deliveries")["deliveries"]

    recorded = [datetime.fromisoformat(one["createTime"]) for one in found]
    assert recorded
    assert all(lived.script.start < one <= lived.script.end for one in recorded)


def test_the_systems_deliveries_are_those_that_the_people_handed_over(lived: Lived) -> None:
    store, counts = lived.script.group.stores[0], lived.outcome.counts
    found = lived.api.every(store.staff["clerk"].account, f"/v1/{store.resource}/deliveries", "deliveries")

    assert len(list(found)) == counts["deliveries recorded"] + counts["deliveries from lists"]


def test_timers_fired_in_their_time_although_days_took_moments(lived: Lived) -> None:
    store = lived.script.group.stores[0]
    clerk = store.staff["clerk"].account
    days = [day for day in _days() if day < LAST]
    found = list(lived.api.every(clerk, f"/v1/{store.resource}/dailyHandovers", "dailyHandovers"))

    assert {one["date"] for one in found} >= {day.isoformat() for day in days}
    for one in found:
        if "alertTime" in one:
            late = datetime.fromisoformat(one["alertTime"]) - datetime.fromisoformat(one["cutOffTime"])
            assert timedelta() <= late <= timedelta(minutes=15)


def test_the_ended_month_is_closed_and_the_running_one_is_not(lived: Lived) -> None:
    quality = lived.script.group.quality_manager.account

    assert lived.api.get(quality, "/v1/months/2031-01")["state"] == "STATE_CLOSED"
    assert lived.api.get(quality, "/v1/months/2031-02")["state"] == "STATE_OPEN"


def test_a_service_without_the_clock_refuses_data_from_the_future_in_words(lived: Lived) -> None:
    job = next(job for job in Plan.read(lived.places.plan).services if job.name == "sales")
    environment = {name: value for name, value in job.environment.items() if name != "DEALERLOOP_CLOCK_FILE"}

    done = subprocess.run(
        job.program,
        env={**os.environ, **environment, "DEALERLOOP_RPC_LISTEN": "127.0.0.1:0"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "The database of sales belongs to a simulation that has reached 2031-02-0" in done.stderr
    assert "DEALERLOOP_CLOCK_FILE" in done.stderr
    assert "Traceback" not in done.stderr


def _days() -> list[date]:
    return [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
