"""SAL-11: when a report is due, what a day's counts mean, and what a report must say."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales.handovers import rules
from sales.handovers.rules import HandoverNotFound, InvalidHandover
from sales.handovers.values import Counts, State

CUT_OFF = time(18, 30)
SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
TODAY = date(2026, 5, 20)
DUE = datetime(2026, 5, 20, 10, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)

# Without, with, and with odd daylight saving; far east and far west.
ZONES = st.sampled_from(
    [
        *("Asia/Shanghai", "Asia/Urumqi", "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns"),
        *("Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "Pacific/Kiritimati", "Pacific/Pago_Pago"),
    ]
).map(ZoneInfo)
TIMES = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
INSTANTS = st.integers(0, 13 * 365 * 24 * 3600).map(lambda n: datetime(2024, 1, 1, tzinfo=UTC) + n * SECOND)


def test_the_cut_off_is_half_past_six_by_the_clock_on_the_store_s_wall() -> None:
    assert rules.cut_off_time(TODAY, CUT_OFF, SHANGHAI) == DUE
    assert rules.cut_off_time(date(2026, 3, 28), CUT_OFF, BERLIN) == datetime(2026, 3, 28, 17, 30, tzinfo=UTC)
    assert rules.cut_off_time(date(2026, 3, 29), CUT_OFF, BERLIN) == datetime(2026, 3, 29, 16, 30, tzinfo=UTC)


def test_a_cut_off_that_the_clocks_skip_or_repeat_still_is_one_instant() -> None:
    assert rules.cut_off_time(date(2026, 3, 29), time(2, 30), BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert rules.cut_off_time(date(2026, 10, 25), time(2, 30), BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(now=INSTANTS, cut_off=TIMES, zone=ZONES)
def test_the_next_cut_off_is_ahead_and_no_earlier_one_is(now: datetime, cut_off: time, zone: ZoneInfo) -> None:
    first = rules.first_date(now, cut_off, zone)

    assert rules.cut_off_time(first, cut_off, zone) > now
    assert rules.cut_off_time(first - timedelta(days=1), cut_off, zone) <= now


@given(
    now=INSTANTS,
    cut_off=TIMES,
    zone=ZONES,
    pauses=st.lists(st.timedeltas(timedelta(0), timedelta(days=9)), min_size=1, max_size=20),
)
def test_every_day_is_looked_at_once_however_often_and_late_the_timer_fires(
    now: datetime, cut_off: time, zone: ZoneInfo, pauses: list[timedelta]
) -> None:
    since = rules.first_date(now, cut_off, zone)

    seen: list[date] = []
    following = since
    for pause in pauses:
        now += pause
        one = rules.passed(following, now, cut_off, zone)
        seen.extend(one.days)
        following = one.next_date

        assert one.skipped == 0
        assert all(rules.cut_off_time(day, cut_off, zone) <= now for day in one.days)
        assert one.next_cut_off == rules.cut_off_time(following, cut_off, zone) > now

    assert seen == [since + timedelta(days=n) for n in range(len(seen))]
    assert following == since + timedelta(days=len(seen))


@given(now=INSTANTS, zone=ZONES, away=st.integers(0, 400))
def test_who_was_away_catches_up_on_a_month_at_the_most(now: datetime, zone: ZoneInfo, away: int) -> None:
    following = rules.first_date(now, CUT_OFF, zone)

    one = rules.passed(following - timedelta(days=away), now, CUT_OFF, zone)

    assert len(one.days) == min(away, 31)
    assert len(one.days) + one.skipped == away
    assert one.next_date == following
    assert list(one.days) == [following - timedelta(days=back) for back in range(len(one.days), 0, -1)]


@given(now=INSTANTS, old=ZONES, new=ZONES, cut_off=TIMES)
def test_a_store_that_moves_to_another_zone_is_asked_for_no_day_twice(
    now: datetime, old: ZoneInfo, new: ZoneInfo, cut_off: time
) -> None:
    before = rules.passed(rules.first_date(now, cut_off, old) - timedelta(days=3), now, cut_off, old)

    after = rules.passed(before.next_date, now, cut_off, new)

    assert not set(before.days) & set(after.days)
    assert after.next_date >= before.next_date
    assert after.next_cut_off > now


@pytest.mark.parametrize(
    ("reported", "recorded", "closed", "now", "state"),
    [
        (None, 0, False, DUE - SECOND, State.EXPECTED),
        (None, 0, False, DUE, State.MISSING),
        (None, 2, False, DUE, State.MISSING),
        (None, 0, True, DUE - SECOND, State.NOT_EXPECTED),
        (None, 0, True, DUE, State.NOT_EXPECTED),
        (None, 1, True, DUE - SECOND, State.EXPECTED),
        (None, 1, True, DUE, State.MISSING),
        (0, 0, False, DUE, State.MATCHED),
        (2, 2, False, DUE - SECOND, State.MATCHED),
        (0, 0, True, DUE, State.MATCHED),
        (2, 1, False, DUE, State.MISMATCHED),
        (0, 1, True, DUE - SECOND, State.MISMATCHED),
    ],
)
def test_where_a_day_stands(reported: int | None, recorded: int, closed: bool, now: datetime, state: State) -> None:
    assert rules.state_of(Counts(reported, recorded), closed=closed, cut_off=DUE, now=now) is state


@pytest.mark.parametrize(
    ("counts", "told", "news"),
    [
        (Counts(2, 2), None, False),
        (Counts(None, 2), None, False),
        (Counts(2, 1), None, True),
        (Counts(2, 1), Counts(2, 1), False),
        (Counts(2, 0), Counts(2, 1), True),
        (Counts(3, 1), Counts(2, 1), True),
        (Counts(1, 1), Counts(2, 1), False),
    ],
)
def test_a_disagreement_is_told_once(counts: Counts, told: Counts | None, news: bool) -> None:
    assert rules.is_news(counts, told) is news


@pytest.mark.parametrize("text", ["2026-05-20", "2026-05-19", "2025-04-15"])
def test_a_report_is_of_today_or_of_the_last_four_hundred_days(text: str) -> None:
    assert rules.report(text, 0, today=TODAY) == (date.fromisoformat(text), 0)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("2026-05-21", "DATE_IN_FUTURE"),
        ("9999-12-31", "DATE_IN_FUTURE"),
        ("2025-04-14", "DATE_TOO_EARLY"),
        ("0001-01-01", "DATE_TOO_EARLY"),
        ("2026-02-29", "DATE_INVALID"),
        ("0000-00-00", "DATE_INVALID"),
        ("20260520", "DATE_INVALID"),
        ("2026-W21-3", "DATE_INVALID"),
        ("", "DATE_INVALID"),
    ],
)
def test_another_day_is_refused_and_nothing_is_not_zero(text: str, rule: str) -> None:
    with pytest.raises(InvalidHandover) as refused:
        rules.report(text, None, today=TODAY)

    assert [(violation.field, violation.rule) for violation in refused.value.violations] == [
        ("daily_handover.date", rule),
        ("daily_handover.reported_deliveries", "COUNT_MISSING"),
    ]


@pytest.mark.parametrize("text", ["2026-05-21", "2026-02-30", "0000-01-01", "9999-99-99"])
def test_a_day_that_is_not_or_is_not_yet_has_no_hand_over(text: str) -> None:
    with pytest.raises(HandoverNotFound):
        rules.named_day(text, today=TODAY)


def test_a_day_that_nobody_can_report_any_more_has_none_unless_it_was_kept() -> None:
    rules.require_reportable(date(2025, 4, 15), today=TODAY)
    with pytest.raises(HandoverNotFound):
        rules.require_reportable(date(2025, 4, 14), today=TODAY)
