"""When a month can be closed and re-opened (SCR-08), and a response excluded (CARE-06)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import InvalidArgument, StaleEtag
from scoring.exclusions import rules as exclusions
from scoring.exclusions.values import Decision
from scoring.months import rules
from scoring.months.values import Month, Revision

NOW = datetime(2026, 11, 5, tzinfo=UTC)
END = datetime(2026, 11, 1, 7, 0, tzinfo=UTC)
FIRST_MODEL = datetime(2020, 1, 1, tzinfo=UTC)
OPEN = Month("2026-10", END)
CLOSED = replace(OPEN, revisions=(Revision(1, NOW, "staff/q", "", 2, 30, 2),))
UNDECIDED = Decision(excluded=False, version=0, reason="", decider="", decide_time=None)

zones = st.sampled_from(["Asia/Shanghai", "Asia/Kolkata", "Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati"])
months = st.builds("{}-{:02d}".format, st.integers(2020, 2099), st.integers(1, 12))


def decide(known: Decision, *, excluded: bool, etag: str = "") -> Decision:
    return exclusions.decide(known, excluded=excluded, by="staff/q", reason="checked", etag=etag, now=NOW)


@pytest.mark.parametrize(
    ("month", "zone_names", "end"),
    [
        ("2026-10", ["Asia/Shanghai"], "2026-10-31T16:00:00+00:00"),
        ("2026-10", ["Asia/Shanghai", "America/Los_Angeles"], "2026-11-01T07:00:00+00:00"),
        ("2026-12", ["Asia/Kolkata"], "2026-12-31T18:30:00+00:00"),
        ("2026-03", ["Europe/Berlin"], "2026-03-31T22:00:00+00:00"),
        ("2026-02", [], "2026-03-01T00:00:00+00:00"),
    ],
)
def test_a_month_ends_when_it_has_ended_in_the_last_store(month: str, zone_names: list[str], end: str) -> None:
    assert rules.end_of(month, map(ZoneInfo, zone_names)).isoformat() == end


@given(months, st.lists(zones, min_size=1))
def test_at_the_end_every_store_is_in_a_later_month_and_a_moment_before_one_is_not(
    month: str, zone_names: list[str]
) -> None:
    end = rules.end_of(month, map(ZoneInfo, zone_names))
    just_before = end - timedelta(microseconds=1)

    assert all(f"{end.astimezone(ZoneInfo(name)):%Y-%m}" > month for name in zone_names)
    assert any(f"{just_before.astimezone(ZoneInfo(name)):%Y-%m}" == month for name in zone_names)


def test_a_month_closes_from_its_end_on_and_once() -> None:
    rules.require_closable(OPEN, now=END, first_model=FIRST_MODEL)

    with pytest.raises(rules.MonthNotOver) as early:
        rules.require_closable(OPEN, now=END - timedelta(microseconds=1), first_model=FIRST_MODEL)
    with pytest.raises(rules.MonthClosed) as twice:
        rules.require_closable(CLOSED, now=NOW, first_model=FIRST_MODEL)

    assert early.value.metadata == {"month": "2026-10", "end_time": END.isoformat()}
    assert twice.value.metadata == {"month": "2026-10", "revision": "1"}


def test_a_month_before_every_model_cannot_be_graded() -> None:
    with pytest.raises(InvalidArgument):
        rules.require_closable(replace(OPEN, end_time=FIRST_MODEL), now=NOW, first_model=FIRST_MODEL)

    rules.require_closable(OPEN, now=NOW, first_model=None)


def test_only_a_closed_month_is_re_opened_by_who_has_seen_it() -> None:
    rules.require_reopenable(CLOSED, etag="")
    rules.require_reopenable(CLOSED, etag='"1"')

    with pytest.raises(rules.MonthNotClosed):
        rules.require_reopenable(OPEN, etag="")
    with pytest.raises(StaleEtag):
        rules.require_reopenable(CLOSED, etag='"2"')


def test_every_decision_has_a_number_of_its_own() -> None:
    out = decide(UNDECIDED, excluded=True)
    back = decide(out, excluded=False)

    assert (out.excluded, out.version, out.decider, out.decide_time) == (True, 1, "staff/q", NOW)
    assert (back.excluded, back.version) == (False, 2)


def test_nobody_decides_what_is_decided_or_what_he_has_not_seen() -> None:
    out = decide(UNDECIDED, excluded=True)

    with pytest.raises(exclusions.ResponseExcluded):
        decide(out, excluded=True)
    with pytest.raises(exclusions.ResponseNotExcluded):
        decide(UNDECIDED, excluded=False)
    with pytest.raises(StaleEtag):
        decide(out, excluded=False, etag='"0"')
