"""When a first start loads the sample group, and what happens to half of one."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import sample
from tools.life.work import GROUP_ZONE
from tools.machine import Places, write_private
from tools.plan import Wishes
from tools.terminal import Trouble


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places(tmp_path / "state")
    places.prepare()
    return places


def wanted(places: Places, *, empty: bool = False, wishes: Wishes | None = None, **environment: str) -> bool:
    return sample.is_wanted(wishes or Wishes(), places, environment, empty=empty)


def test_a_first_start_loads_it(places: Places) -> None:
    assert wanted(places)
    assert wanted(places, DEALERLOOP_SAMPLE="yes")


def test_nobody_gets_it_who_said_no_or_brought_servers_of_his_own(places: Places) -> None:
    assert not wanted(places, empty=True)
    assert not wanted(places, DEALERLOOP_SAMPLE="no")
    assert not wanted(places, wishes=Wishes(database_url="postgresql://a@b/c"))
    assert not wanted(places, wishes=Wishes(nats_url="nats://b"))


def test_a_wish_that_is_neither_yes_nor_no_is_refused(places: Places) -> None:
    with pytest.raises(Trouble, match="DEALERLOOP_SAMPLE must be yes or no, not 'maybe'"):
        wanted(places, DEALERLOOP_SAMPLE="maybe")


def test_a_second_start_does_nothing(places: Places) -> None:
    sample.skip(places)
    assert sample.state(places) is sample.State.NONE
    assert not wanted(places)


def test_data_that_were_there_before_get_no_sample(places: Places) -> None:
    places.plan.write_text("{}")

    assert not wanted(places)


def test_half_a_sample_is_never_used_silently(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    write_private(places.sample, sample.State.LOADING.value)
    monkeypatch.setattr(sample, "confirm", lambda _: False)

    with pytest.raises(Trouble, match=r"not loaded to its end last time\.\n.*\./dev reset --yes"):
        sample.refuse_half(places)

    assert places.sample.exists()


def test_half_a_sample_goes_when_somebody_says_so(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    write_private(places.sample, sample.State.LOADING.value)
    asked: list[str] = []

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    monkeypatch.setattr(sample, "confirm", yes)

    sample.refuse_half(places)

    assert str(places.state) in asked[0]
    assert not places.state.exists()


def test_a_loading_that_is_under_way_is_waited_for(places: Places) -> None:
    write_private(places.sample, sample.State.LOADING.value)
    held = os.open(places.sample, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with pytest.raises(Trouble, match=r"Another \./dev up is loading"):
            sample.refuse_half(places)
    finally:
        os.close(held)


@pytest.mark.parametrize("state", [sample.State.NONE, sample.State.LOADED])
def test_a_whole_sample_and_none_are_left_alone(places: Places, state: sample.State) -> None:
    write_private(places.sample, state.value)

    sample.refuse_half(places)

    assert sample.state(places) is state


def test_its_people_are_told_only_where_they_are(places: Places) -> None:
    assert sample.words(places) == ""

    write_private(places.sample, sample.State.LOADED.value)

    said = sample.words(places)
    assert places.people_password.read_text() in said
    assert "gm.bj-01" in said
    assert "quality" in said


@given(st.datetimes(datetime(2024, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - as it wants
def test_a_month_has_ended_in_it_whatever_day_it_is(now: datetime) -> None:
    script = sample.script(now)

    last = now.astimezone(GROUP_ZONE).date()
    assert script.first_day.replace(day=1) < last.replace(day=1)
    assert timedelta(days=35) <= last - script.first_day <= timedelta(days=42)
