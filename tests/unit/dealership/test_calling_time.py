"""Time that is counted in the hours of a store, against somebody who walks it minute by minute (CMP-4, CMP-6)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealership.calendar import DEFAULT, BusinessCalendar, Interval, NeverOpen

SHANGHAI = ZoneInfo("Asia/Shanghai")
# Clocks that change by an hour, by half an hour, and in the southern summer.
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "America/Santiago")
MINUTE = timedelta(minutes=1)
WEDNESDAY = date(2026, 5, 20)


def at(hour: int, minute: int = 0, day: date = WEDNESDAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=SHANGHAI)


def test_two_calling_hours_from_ten_at_night_end_at_eleven_in_the_morning() -> None:
    tomorrow = WEDNESDAY + timedelta(days=1)

    assert DEFAULT.after_calling_time(at(22), timedelta(hours=2), SHANGHAI) == at(11, 0, tomorrow)
    assert DEFAULT.after_calling_time(at(8, 30), timedelta(hours=2), SHANGHAI) == at(11)
    assert DEFAULT.after_calling_time(at(19), timedelta(hours=2), SHANGHAI) == at(10, 0, tomorrow)
    assert DEFAULT.after_calling_time(at(18), timedelta(hours=2), SHANGHAI) == at(20)


def test_calling_time_between_two_instants_leaves_out_the_night() -> None:
    tomorrow = WEDNESDAY + timedelta(days=1)

    assert DEFAULT.calling_time_between(at(19), at(10, 0, tomorrow), SHANGHAI) == timedelta(hours=2)
    assert DEFAULT.business_time_between(at(19), at(10, 0, tomorrow), SHANGHAI) == timedelta(hours=2, minutes=30)
    assert DEFAULT.calling_time_between(at(10, 0, tomorrow), at(19), SHANGHAI) == timedelta()
    assert DEFAULT.calling_time_between(at(20), at(23), SHANGHAI) == timedelta()


def test_a_pause_of_years_is_counted_to_its_end() -> None:
    hours = DEFAULT.calling_time_between(at(9), at(9, 0, date(2029, 5, 20)), SHANGHAI)

    assert hours == timedelta(hours=11) * (date(2029, 5, 20) - WEDNESDAY).days


def test_a_store_without_calling_hours_says_so() -> None:
    with pytest.raises(NeverOpen):
        BusinessCalendar({1: (Interval(60, 120),)}).after_calling_time(at(9), timedelta(hours=1), SHANGHAI)


def test_an_interval_in_the_hour_that_the_clocks_skip_has_no_length() -> None:
    nightly = BusinessCalendar({7: (Interval(2 * 60 + 15, 2 * 60 + 45),)})
    berlin = ZoneInfo("Europe/Berlin")
    before, after = datetime(2026, 3, 29, tzinfo=berlin), datetime(2026, 3, 30, tzinfo=berlin)

    assert nightly.business_time_between(before, after, berlin) >= timedelta()


@st.composite
def calendars(draw: st.DrawFn) -> BusinessCalendar:
    """Weeks with closed days, lunch breaks, and days that differ."""

    def day() -> tuple[Interval, ...]:
        edges = sorted(draw(st.lists(st.integers(0, 96), min_size=0, max_size=4, unique=True)))
        return tuple(Interval(15 * one, 15 * two) for one, two in zip(edges[::2], edges[1::2], strict=False))

    week = {number: day() for number in range(1, 8)}
    # Every store calls on some day.
    week[3] = (Interval(10 * 60, 12 * 60), Interval(13 * 60 + 30, 18 * 60))
    special = {date(2026, 3, 20) + timedelta(days=draw(st.integers(0, 40))): day() for _ in range(3)}
    return BusinessCalendar(week, special)


# Spring and autumn, when the clocks change, and any other time of the year.
MOMENTS = st.one_of(
    st.integers(0, 20 * 24 * 60).map(lambda minute: datetime(2026, 3, 20, tzinfo=UTC) + minute * MINUTE),
    st.integers(0, 20 * 24 * 60).map(lambda minute: datetime(2026, 10, 15, tzinfo=UTC) + minute * MINUTE),
    st.integers(0, 365 * 24 * 60).map(lambda minute: datetime(2026, 1, 1, tzinfo=UTC) + minute * MINUTE),
)


def calls_may_be_made(calendar: BusinessCalendar, moment: datetime, zone: ZoneInfo) -> bool:
    """Whether this minute is calling time, as a clerk reads it off the wall."""
    local = moment.astimezone(zone)
    minute = local.hour * 60 + local.minute
    return any(one.start <= minute < one.end for one in calendar.calling_hours(local.date()))


@given(calendars(), MOMENTS, st.integers(1, 900), st.sampled_from(ZONES))
def test_the_end_of_calling_time_is_where_a_minute_walker_arrives(
    calendar: BusinessCalendar, start: datetime, minutes: int, name: str
) -> None:
    zone = ZoneInfo(name)
    moment, left = start, minutes
    while left:
        left -= calls_may_be_made(calendar, moment, zone)
        moment += MINUTE

    assert calendar.after_calling_time(start, minutes * MINUTE, zone) == moment


@given(calendars(), MOMENTS, st.integers(0, 6000), st.sampled_from(ZONES))
def test_calling_time_between_is_what_a_minute_walker_counts(
    calendar: BusinessCalendar, start: datetime, minutes: int, name: str
) -> None:
    zone = ZoneInfo(name)
    walked = sum(calls_may_be_made(calendar, start + number * MINUTE, zone) for number in range(minutes))

    assert calendar.calling_time_between(start, start + minutes * MINUTE, zone) == walked * MINUTE


@given(calendars(), MOMENTS, st.integers(1, 10**7), st.sampled_from(ZONES))
def test_as_much_calling_time_lies_between_as_was_added(
    calendar: BusinessCalendar, start: datetime, microseconds: int, name: str
) -> None:
    zone, duration = ZoneInfo(name), timedelta(milliseconds=microseconds)

    end = calendar.after_calling_time(start, duration, zone)

    assert calendar.calling_time_between(start, end, zone) == duration
