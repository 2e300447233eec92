from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealerloop.gateway.v1.organisation_pb2 import Calendar, OpeningDay, OpeningInterval, SpecialDay
from dealership.calendar import (
    DEFAULT,
    BusinessCalendar,
    Interval,
    InvalidCalendar,
    NeverOpen,
    clock_text,
    from_message,
    minutes,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = BusinessCalendar({day: (Interval(9 * 60, 17 * 60),) for day in range(1, 6)})
LUNCH = BusinessCalendar({day: (Interval(9 * 60, 12 * 60), Interval(13 * 60, 18 * 60)) for day in range(1, 6)})
FRIDAY = date(2026, 3, 6)


def at(hour: int, minute: int = 0, day: date = FRIDAY, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)


def intervals(*pairs: tuple[str, str]) -> list[OpeningInterval]:
    return [OpeningInterval(start=start, end=end) for start, end in pairs]


def rules_of(calendar: Calendar) -> list[tuple[str, str]]:
    with pytest.raises(InvalidCalendar) as refused:
        from_message(calendar, prefix="calendar.")
    return [(violation.field, violation.rule) for violation in refused.value.violations]


def test_by_default_a_store_is_open_every_day_from_half_past_eight_to_eight() -> None:
    for offset in range(7):
        assert DEFAULT.opening_hours(FRIDAY + timedelta(days=offset)) == (Interval(8 * 60 + 30, 20 * 60),)


def test_calls_are_made_when_the_store_is_open_and_it_is_not_quiet() -> None:
    assert DEFAULT.calling_hours(FRIDAY) == (Interval(9 * 60, 20 * 60),)
    assert LUNCH.calling_hours(FRIDAY) == (Interval(9 * 60, 12 * 60), Interval(13 * 60, 18 * 60))
    assert OFFICE.calling_hours(FRIDAY + timedelta(days=1)) == ()


def test_an_hour_from_friday_afternoon_ends_on_monday_morning() -> None:
    assert OFFICE.after_business_time(at(16, 30), timedelta(hours=1), SHANGHAI) == at(9, 30, date(2026, 3, 9))


def test_the_lunch_break_is_no_business_time() -> None:
    assert LUNCH.after_business_time(at(11, 30), timedelta(hours=1), SHANGHAI) == at(13, 30)
    assert not LUNCH.is_open(at(12, 0), SHANGHAI)
    assert LUNCH.is_open(at(13, 0), SHANGHAI)


def test_a_special_day_wins_over_its_weekday() -> None:
    saturday = FRIDAY + timedelta(days=1)
    calendar = BusinessCalendar(OFFICE.days, {FRIDAY: (), saturday: (Interval(600, 720),)}, frozenset({2026}))

    assert calendar.next_opening(at(8), SHANGHAI) == at(10, 0, saturday)
    assert calendar.opening(FRIDAY).intervals == ()


def test_a_year_that_is_not_confirmed_says_so() -> None:
    calendar = BusinessCalendar(OFFICE.days, {date(2027, 1, 1): ()}, frozenset({2026}))

    assert calendar.opening(FRIDAY).confirmed
    assert not calendar.opening(date(2027, 3, 5)).confirmed
    assert calendar.opening(date(2027, 1, 1)).confirmed
    assert not DEFAULT.opening(FRIDAY).confirmed


def test_the_next_opening_after_closing_time_is_the_next_morning() -> None:
    assert DEFAULT.next_opening(at(21), SHANGHAI) == at(8, 30, date(2026, 3, 7))
    assert DEFAULT.next_opening(at(10), SHANGHAI) == at(10)
    assert DEFAULT.next_opening(at(20), SHANGHAI) == at(8, 30, date(2026, 3, 7))


def test_a_store_that_never_opens_is_an_error_and_not_an_endless_search() -> None:
    with pytest.raises(NeverOpen):
        BusinessCalendar({}).next_opening(at(9), SHANGHAI)
    with pytest.raises(NeverOpen):
        OFFICE.after_business_time(at(9), timedelta(days=10_000), SHANGHAI)


def test_the_night_in_which_the_clocks_change_is_an_hour_shorter() -> None:
    around_the_clock = BusinessCalendar({day: (Interval(0, 24 * 60),) for day in range(1, 8)})
    start = at(0, 0, date(2026, 3, 29), BERLIN)

    assert around_the_clock.after_business_time(start, timedelta(hours=23), BERLIN) == at(
        0, 0, date(2026, 3, 30), BERLIN
    )


@given(st.integers(0, 700 * 24 * 60), st.integers(0, 40 * 3600))
def test_business_time_adds_up(minute: int, seconds: int) -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    half = timedelta(seconds=seconds // 2)
    whole = timedelta(seconds=seconds // 2 * 2)

    middle = LUNCH.after_business_time(start, half, SHANGHAI)

    assert LUNCH.after_business_time(middle, half, SHANGHAI) == LUNCH.after_business_time(start, whole, SHANGHAI)


def test_a_message_is_read_as_it_was_meant() -> None:
    message = Calendar(
        days=[OpeningDay(weekday=5, intervals=intervals(("09:00", "12:00"), ("13:00", "24:00")))],
        special_days=[SpecialDay(date="2026-03-07", intervals=intervals(("10:00", "11:00")))],
        confirmed_years=[2026],
    )

    calendar = from_message(message)

    assert calendar.opening_hours(FRIDAY) == (Interval(540, 720), Interval(780, 1440))
    assert calendar.opening_hours(date(2026, 3, 7)) == (Interval(600, 660),)
    assert calendar.is_confirmed(FRIDAY)


def test_every_contradiction_is_told_with_its_place() -> None:
    message = Calendar(
        days=[
            OpeningDay(weekday=1, intervals=intervals(("09:00", "12:00"), ("11:00", "13:00"))),
            OpeningDay(weekday=1, intervals=intervals(("12:00", "12:00"))),
        ],
        special_days=[
            SpecialDay(date="2026-02-30"),
            SpecialDay(date="2026-03-07"),
            SpecialDay(date="2026-03-07", intervals=intervals(("9", "10:00"))),
        ],
    )

    assert rules_of(message) == [
        ("calendar.days[0].intervals[1]", "CALENDAR_INTERVAL_OVERLAP"),
        ("calendar.days[1].weekday", "CALENDAR_WEEKDAY_TWICE"),
        ("calendar.days[1].intervals[0]", "CALENDAR_INTERVAL_EMPTY"),
        ("calendar.special_days[0].date", "CALENDAR_DATE"),
        ("calendar.special_days[2].date", "CALENDAR_DATE_TWICE"),
        ("calendar.special_days[2].intervals[0]", "CALENDAR_TIME"),
    ]


@given(st.integers(0, 1440))
def test_minutes_and_their_text_are_the_same(minute: int) -> None:
    assert minutes(clock_text(minute)) == minute


@pytest.mark.parametrize("text", ["", "9", "24:01", "09:60", "ab:cd", "٠٩:٠٠", "-1:00"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert minutes(text) is None
