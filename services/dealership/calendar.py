"""The business calendar of a store: opening hours, special days, business time. Pure values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from kit.errors import FieldViolation, InvalidArgument

_MINUTES_PER_DAY: Final = 24 * 60
_LAST_WEEKDAY: Final = 7
# Longer than any closure; a search that finds no opening in it has found a store that never opens.
_HORIZON_DAYS: Final = 400


class InvalidCalendar(InvalidArgument):
    """The opening hours contradict themselves; each violation names its place."""

    reason = "CALENDAR_INVALID"


class NeverOpen(InvalidArgument):
    """No opening was found within a year and a month."""

    reason = "CALENDAR_NEVER_OPEN"


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """Part of a day, in minutes since local midnight; the end is not included."""

    start: int
    end: int

    def overlap(self, other: Interval) -> Interval | None:
        """Return what both have in common, or nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Interval(start, end) if start < end else None

    def instants(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return start and end as UTC instants of that day."""
        return _instant(day, self.start, zone), _instant(day, self.end, zone)


# GRP-07: calls and messages between these hours, store time.
CALLING_HOURS: Final = Interval(9 * 60, 20 * 60)
# Our default (domain section 9 leaves it to us): open every day.
DEFAULT_OPENING: Final = Interval(8 * 60 + 30, 20 * 60)


@dataclass(frozen=True, slots=True)
class Opening:
    """The open intervals of one date; not `confirmed` means computed from the weekday of an unconfirmed year."""

    intervals: tuple[Interval, ...]
    confirmed: bool


@dataclass(frozen=True)
class BusinessCalendar:
    """Opening hours by ISO weekday (1 Monday), days that differ, and the years whose holidays are known."""

    days: Mapping[int, tuple[Interval, ...]]
    special_days: Mapping[date, tuple[Interval, ...]] = field(default_factory=dict)
    confirmed_years: frozenset[int] = frozenset()

    def is_confirmed(self, day: date) -> bool:
        """Say whether the public holidays of that day's year are known; if not, callers warn."""
        return day.year in self.confirmed_years

    def opening(self, day: date) -> Opening:
        """Return the open intervals of a date; a special day wins over its weekday, confirmed year or not."""
        special = self.special_days.get(day)
        if special is not None:
            return Opening(special, confirmed=True)
        return Opening(self.days.get(day.isoweekday(), ()), confirmed=self.is_confirmed(day))

    def opening_hours(self, day: date) -> tuple[Interval, ...]:
        """Return the open intervals of a date, in order; birthday and care calls may use them all (GRP-07)."""
        return self.opening(day).intervals

    def calling_hours(self, day: date, quiet_outside: Interval = CALLING_HOURS) -> tuple[Interval, ...]:
        """Return when calls may be made: the opening hours without the quiet hours (GRP-07, CARE-04)."""
        shared = (interval.overlap(quiet_outside) for interval in self.opening_hours(day))
        return tuple(interval for interval in shared if interval is not None)

    def is_open(self, at: datetime, zone: ZoneInfo) -> bool:
        """Say whether the store is open at that instant."""
        local = at.astimezone(zone)
        minute = local.hour * 60 + local.minute
        return any(interval.start <= minute < interval.end for interval in self.opening_hours(local.date()))

    def next_opening(self, at: datetime, zone: ZoneInfo) -> datetime:
        """Return `at` itself when open, else the next instant at which the store opens, in UTC.

        Raises NeverOpen when there is none within 400 days.
        """
        for start, _ in _open_from(self.opening_hours, at, zone):
            return start
        raise NeverOpen("the store does not open within 400 days")

    def after_business_time(self, at: datetime, duration: timedelta, zone: ZoneInfo) -> datetime:
        """Return when `duration` of opening time has passed since `at`, in UTC (domain section 8, 2).

        Raises NeverOpen when the calendar has not that much opening time within 400 days.
        """
        return _after(self.opening_hours, at, duration, zone)

    def after_calling_time(self, at: datetime, duration: timedelta, zone: ZoneInfo) -> datetime:
        """Return when `duration` of the time in which calls may be made has passed since `at`, in UTC (CMP-4).

        Raises NeverOpen when the calendar has not that much calling time within 400 days.
        """
        return _after(self.calling_hours, at, duration, zone)

    def business_time_between(self, start: datetime, end: datetime, zone: ZoneInfo) -> timedelta:
        """Return how much opening time lies between two instants; nothing when the end comes first."""
        return _between(self.opening_hours, start, end, zone)

    def calling_time_between(self, start: datetime, end: datetime, zone: ZoneInfo) -> timedelta:
        """Return how much calling time lies between two instants; nothing when the end comes first."""
        return _between(self.calling_hours, start, end, zone)


_HoursOf = Callable[[date], tuple[Interval, ...]]


def _after(hours_of: _HoursOf, at: datetime, duration: timedelta, zone: ZoneInfo) -> datetime:
    left = duration
    for start, end in _open_from(hours_of, at, zone):
        if start + left <= end:
            return start + left
        left -= end - start
    raise NeverOpen("not enough opening time within 400 days")


def _between(hours_of: _HoursOf, start: datetime, end: datetime, zone: ZoneInfo) -> timedelta:
    days = max(0, (end.astimezone(zone).date() - start.astimezone(zone).date()).days) + 1
    spans = _open_from(hours_of, start, zone, days=days)
    return sum((max(timedelta(), min(closes, end) - opens) for opens, closes in spans), timedelta())


def _open_from(
    hours_of: _HoursOf, at: datetime, zone: ZoneInfo, *, days: int = _HORIZON_DAYS
) -> Iterator[tuple[datetime, datetime]]:
    moment = at.astimezone(UTC)
    first = at.astimezone(zone).date()
    for offset in range(days):
        day = first + timedelta(days=offset)
        for interval in hours_of(day):
            start, end = interval.instants(day, zone)
            # An interval that lies in the hour which the clocks skip has no length.
            if end > max(start, moment):
                yield max(start, moment), end


DEFAULT: Final = BusinessCalendar(dict.fromkeys(range(1, _LAST_WEEKDAY + 1), (DEFAULT_OPENING,)))


class IntervalMessage(Protocol):
    """The wire form of an interval: `HH:MM` texts."""

    @property
    def start(self) -> str: ...  # noqa: D102
    @property
    def end(self) -> str: ...  # noqa: D102


class DayMessage(Protocol):
    """The wire form of a weekday."""

    @property
    def weekday(self) -> int: ...  # noqa: D102
    @property
    def intervals(self) -> Iterable[IntervalMessage]: ...  # noqa: D102


class SpecialDayMessage(Protocol):
    """The wire form of a day that differs."""

    @property
    def date(self) -> str: ...  # noqa: D102
    @property
    def intervals(self) -> Iterable[IntervalMessage]: ...  # noqa: D102


class CalendarMessage(Protocol):
    """The wire form of a calendar, as `dealerloop.gateway.v1.Calendar` has it."""

    @property
    def days(self) -> Iterable[DayMessage]: ...  # noqa: D102
    @property
    def special_days(self) -> Iterable[SpecialDayMessage]: ...  # noqa: D102
    @property
    def confirmed_years(self) -> Iterable[int]: ...  # noqa: D102


def from_message(message: CalendarMessage, prefix: str = "") -> BusinessCalendar:
    """Read a calendar and check that it makes sense; all violations are told at once.

    Raises InvalidCalendar; rules CALENDAR_WEEKDAY_TWICE, CALENDAR_DATE, CALENDAR_DATE_TWICE, CALENDAR_TIME,
    CALENDAR_INTERVAL_EMPTY, CALENDAR_INTERVAL_OVERLAP on fields below `prefix`.
    """
    found: list[FieldViolation] = []
    days: dict[int, tuple[Interval, ...]] = {}
    for index, entry in enumerate(message.days):
        at = f"{prefix}days[{index}]"
        if entry.weekday in days:
            found.append(FieldViolation(f"{at}.weekday", "CALENDAR_WEEKDAY_TWICE", "this weekday is given twice"))
        days[entry.weekday] = _intervals(list(entry.intervals), at, found)
    special: dict[date, tuple[Interval, ...]] = {}
    for index, entry_day in enumerate(message.special_days):
        at = f"{prefix}special_days[{index}]"
        day = _date(entry_day.date)
        if day is None:
            found.append(FieldViolation(f"{at}.date", "CALENDAR_DATE", "not a date of the calendar"))
            continue
        if day in special:
            found.append(FieldViolation(f"{at}.date", "CALENDAR_DATE_TWICE", "this date is given twice"))
        special[day] = _intervals(list(entry_day.intervals), at, found)
    if found:
        raise InvalidCalendar("the calendar contradicts itself", violations=found)
    return BusinessCalendar(days, special, frozenset(message.confirmed_years))


def _intervals(messages: Sequence[IntervalMessage], at: str, found: list[FieldViolation]) -> tuple[Interval, ...]:
    intervals: list[Interval] = []
    for index, message in enumerate(messages):
        place = f"{at}.intervals[{index}]"
        start, end = minutes(message.start), minutes(message.end)
        if start is None or end is None:
            found.append(FieldViolation(place, "CALENDAR_TIME", "a time is HH:MM"))
        elif start >= end:
            found.append(FieldViolation(place, "CALENDAR_INTERVAL_EMPTY", "an interval ends after its start"))
        elif intervals and start < intervals[-1].end:
            description = "intervals are in order and do not overlap"
            found.append(FieldViolation(place, "CALENDAR_INTERVAL_OVERLAP", description))
        else:
            intervals.append(Interval(start, end))
    return tuple(intervals)


def minutes(text: str) -> int | None:
    """Return `HH:MM` as minutes since midnight (`24:00` is 1440), or nothing when it is no time."""
    hour, colon, minute = text.partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and text.isascii()):
        return None
    total = int(hour) * 60 + int(minute)
    return total if int(minute) < 60 and total <= _MINUTES_PER_DAY else None  # noqa: PLR2004 - minutes of an hour


def clock_text(minute: int) -> str:
    """Return minutes since midnight as `HH:MM`."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _instant(day: date, minute: int, zone: ZoneInfo) -> datetime:
    # 24:00 is the midnight of the next day, also when the clocks change in between.
    days, rest = divmod(minute, _MINUTES_PER_DAY)
    local = datetime.combine(day + timedelta(days=days), time(rest // 60, rest % 60), zone)
    return local.astimezone(UTC)
