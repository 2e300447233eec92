"""Attempts to reach a customer (CARE-03): what one does to its follow-up, and when the next one should be made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Protocol, assert_never
from zoneinfo import ZoneInfo

from customer_care.followups.values import DAY_PARTS, AttemptFact, DayPart, Decision, FollowUpState, Outcome
from kit.errors import Conflict, invalid

_ATTEMPTS: Final = 3
_SPAN_DAYS: Final = 3
# Our own figure: a customer who did not answer is left alone for this long.
_PAUSE: Final = timedelta(hours=1)


class FollowUpFinished(Conflict):
    """The follow-up has ended; nothing more is recorded on it."""

    reason = "FOLLOW_UP_FINISHED"


class FollowUpNotDue(Conflict):
    """The attempt lies before the window."""

    reason = "FOLLOW_UP_NOT_DUE"


class FollowUpWindowClosed(Conflict):
    """The attempt lies after the window."""

    reason = "FOLLOW_UP_WINDOW_CLOSED"


class Interval(Protocol):
    """Calling time within a day, in minutes since local midnight."""

    @property
    def start(self) -> int:
        """The start."""
        ...

    @property
    def end(self) -> int:
        """The end, not included."""
        ...


class Calendar(Protocol):
    """The part of a business calendar that calls need."""

    def calling_hours(self, day: date) -> Sequence[Interval]:
        """Return when calls may be made on a day, in order (CARE-04, GRP-07)."""
        ...


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """A follow-up as the rules see it; both days are included, `since` is when it came to exist."""

    state: FollowUpState
    start: date
    end: date
    since: datetime
    calendar: Calendar
    zone: ZoneInfo

    def days(self, first: date) -> Iterator[date]:
        """Return the days of the window from `first` on."""
        day = max(self.start, first)
        while day <= self.end:
            yield day
            day += timedelta(days=1)


def record_attempt(
    window: OpenWindow, earlier: Sequence[AttemptFact], attempt: AttemptFact, *, now: datetime
) -> Decision:
    """Decide what an attempt does.

    - reached: done.
    - refused: EXHAUSTED at once; nobody is called again who said no.
    - no answer: EXHAUSTED when failed attempts of the last 3 days fill as many different day parts as `required` asks.
    - call later: uses up no day part, because the customer can be reached; EXHAUSTED when the window has no slot left.
    - wrong number: stays open until the window ends, so that a corrected number can still be called.

    Raises FollowUpFinished, FollowUpNotDue, FollowUpWindowClosed; InvalidArgument ATTEMPT_IN_FUTURE.
    """
    _check(window, attempt.at, now)
    attempts = (*earlier, attempt)
    match attempt.outcome:
        case Outcome.REACHED:
            return Decision(FollowUpState.REACHED)
        case Outcome.REFUSED:
            return Decision(FollowUpState.EXHAUSTED)
        case Outcome.WRONG_NUMBER:
            return Decision(FollowUpState.PLANNED, number_is_wrong=True)
        case Outcome.NO_ANSWER:
            if len(_used(attempts, _local(attempt.at, window.zone).date(), window.zone)) >= required(window):
                return Decision(FollowUpState.EXHAUSTED)
            return Decision(FollowUpState.PLANNED, next_slot(window, attempts, now=now))
        case Outcome.CALL_LATER:
            slot = next_slot(window, attempts, now=now)
            if slot is None:
                slot = next_slot(window, attempts, now=now, any_part=True)
            return Decision(FollowUpState.EXHAUSTED if slot is None else FollowUpState.PLANNED, slot)
        case _:
            assert_never(attempt.outcome)


def _check(window: OpenWindow, at: datetime, now: datetime) -> None:
    if window.state is not FollowUpState.PLANNED:
        raise FollowUpFinished("this follow-up has ended", metadata={"state": window.state.value})
    if at > now:
        raise invalid("attempt.attempt_time", "ATTEMPT_IN_FUTURE", "must not be in the future")
    day = _local(at, window.zone).date()
    days = {"window_start_date": window.start.isoformat(), "window_end_date": window.end.isoformat()}
    if day < window.start:
        raise FollowUpNotDue(f"the window begins on {days['window_start_date']}", metadata=days)
    if day > window.end:
        raise FollowUpWindowClosed(f"the window ended on {days['window_end_date']}", metadata=days)


def required(window: OpenWindow) -> int:
    """Return how many failed attempts, each in another day part, end a follow-up: three at the most.

    Fewer when the window is too short: the number of day parts that it offers within the store's calling hours, from
    the moment that the follow-up exists. A call of the day of a delivery at 16:00 has afternoon and evening: two.
    """
    since = _local(window.since, window.zone)
    parts: set[str] = set()
    for day in window.days(since.date()):
        for part, _, end in _slots(window.calendar, day):
            if day > since.date() or end > since.hour * 60 + since.minute:
                parts.add(part.code)
        if len(parts) >= _ATTEMPTS:
            break
    return max(1, min(_ATTEMPTS, len(parts)))


def next_slot(
    window: OpenWindow, attempts: Sequence[AttemptFact], *, now: datetime, any_part: bool = False
) -> datetime | None:
    """Return when to try again, in UTC: the start of the next unused day part within calling hours and window.

    Not within an hour after the last attempt, and not on a day that has had three (GRP-07). None when there is none.
    """
    last = max(attempt.at for attempt in attempts)
    earliest = _local(max(now, last + _PAUSE), window.zone)
    for day in window.days(earliest.date()):
        made = sum(1 for attempt in attempts if _local(attempt.at, window.zone).date() == day)
        if made >= _ATTEMPTS:
            continue
        used = frozenset[str]() if any_part else _used(attempts, day, window.zone)
        for part, start, end in _slots(window.calendar, day):
            begin = max(_instant(day, start, window.zone), earliest)
            if part.code not in used and begin < _instant(day, end, window.zone):
                return begin.astimezone(UTC)
    return None


def day_part(at: datetime, zone: ZoneInfo) -> DayPart | None:
    """Return the day part of an instant on the store's clock; None outside all of them."""
    local = _local(at, zone)
    minute = local.hour * 60 + local.minute
    return next((part for part in DAY_PARTS if part.start <= minute < part.end), None)


def _used(attempts: Sequence[AttemptFact], day: date, zone: ZoneInfo) -> frozenset[str]:
    """Return the day parts of failed attempts in the three days that end with `day`."""
    parts = (
        day_part(attempt.at, zone)
        for attempt in attempts
        if attempt.outcome is Outcome.NO_ANSWER
        and timedelta() <= day - _local(attempt.at, zone).date() < timedelta(days=_SPAN_DAYS)
    )
    return frozenset(part.code for part in parts if part is not None)


def _slots(calendar: Calendar, day: date) -> Iterator[tuple[DayPart, int, int]]:
    hours = calendar.calling_hours(day)
    for part in DAY_PARTS:
        for interval in hours:
            start, end = max(part.start, interval.start), min(part.end, interval.end)
            if start < end:
                yield part, start, end


def _local(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone)


def _instant(day: date, minute: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(minute // 60, minute % 60), zone)
