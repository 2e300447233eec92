"""Decisions about daily hand-overs (SAL-11)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kit.errors import FieldViolation, InvalidArgument, NotFound
from sales.handovers.values import Counts, Passed, State

DATE: Final = "daily_handover.date"
REPORTED: Final = "daily_handover.reported_deliveries"
# A year that is closed is not reported any more; a month more for those who close it late.
EARLIEST_REPORT: Final = timedelta(days=400)
# Who was away for longer than a month needs no alert for each day of it.
LONGEST_CATCH_UP: Final = 31
_DAY: Final = timedelta(days=1)


class InvalidHandover(InvalidArgument):
    """The report breaks rules of its fields; the violations name each of them."""

    reason = "DAILY_HANDOVER_INVALID"


class HandoverNotFound(NotFound):
    """There is no hand-over of that day: it is none of the calendar, still to come, or too long ago."""

    reason = "DAILY_HANDOVER_NOT_FOUND"


def cut_off_time(day: date, cut_off: time, zone: ZoneInfo) -> datetime:
    """Return when the report of a store-local day is due, in UTC.

    A time that the clocks skip that day is moved by as much as they skip; of one that comes twice the first counts.
    """
    return datetime.combine(day, cut_off, tzinfo=zone).astimezone(UTC)


def is_expected(recorded: int, *, closed: bool) -> bool:
    """Say whether a report is due: always, except for a day on which the store was closed and delivered nothing."""
    return recorded > 0 or not closed


def state_of(counts: Counts, *, closed: bool, cut_off: datetime, now: datetime) -> State:
    """Return where a day stands with these counts, at that instant."""
    if counts.reported is not None:
        return State.MATCHED if counts.reported == counts.recorded else State.MISMATCHED
    if not is_expected(counts.recorded, closed=closed):
        return State.NOT_EXPECTED
    return State.EXPECTED if now < cut_off else State.MISSING


def is_news(counts: Counts, told: Counts | None) -> bool:
    """Say whether a disagreement has to be told: there is one, and it is not the one that was told last."""
    return counts.reported is not None and counts.reported != counts.recorded and counts != told


def report(date_text: str, reported: int | None, *, today: date) -> tuple[date, int]:
    """Return the checked day and count of a report; `today` is the store's.

    Zero has to be said. Raises InvalidHandover with all violations: DATE_INVALID, DATE_IN_FUTURE, DATE_TOO_EARLY on
    `daily_handover.date`, COUNT_MISSING on `daily_handover.reported_deliveries`.
    """
    found: list[FieldViolation] = []
    day = _day(date_text)
    if day is None:
        found.append(FieldViolation(DATE, "DATE_INVALID", "not a day of the calendar, or not written as YYYY-MM-DD"))
    elif day > today:
        found.append(FieldViolation(DATE, "DATE_IN_FUTURE", "must not be after today in the store"))
    elif day < today - EARLIEST_REPORT:
        found.append(FieldViolation(DATE, "DATE_TOO_EARLY", f"must not be before {today - EARLIEST_REPORT}"))
    if reported is None:
        found.append(FieldViolation(REPORTED, "COUNT_MISSING", "must be given, also when it is 0"))
    if found or day is None or reported is None:
        raise InvalidHandover(found[0].description, violations=found)
    return day, reported


def named_day(text: str, *, today: date) -> date:
    """Return the day of a resource name; raises HandoverNotFound for one that has no hand-over yet or ever."""
    day = _day(text)
    if day is None or day > today:
        raise HandoverNotFound("there is no hand-over of this day")
    return day


def require_reportable(day: date, *, today: date) -> None:
    """Refuse a day of which nothing is kept and which nobody can report any more; raises HandoverNotFound."""
    if day < today - EARLIEST_REPORT:
        raise HandoverNotFound("there is no hand-over of this day")


def first_date(now: datetime, cut_off: time, zone: ZoneInfo) -> date:
    """Return the first store-local day whose cut-off is still to come: today, or tomorrow."""
    today = now.astimezone(zone).date()
    return today if cut_off_time(today, cut_off, zone) > now else today + _DAY


def passed(since: date, now: datetime, cut_off: time, zone: ZoneInfo) -> Passed:
    """Return the cut-offs from the one of `since` up to now, of the last 31 days at the most.

    `since` is the first day that was not looked at. It may be ahead: then nothing has passed.
    """
    following = max(since, first_date(now, cut_off, zone))
    count = (following - since).days
    looked_at = min(count, LONGEST_CATCH_UP)
    days = tuple(following - _DAY * back for back in range(looked_at, 0, -1))
    return Passed(days, count - looked_at, following, cut_off_time(following, cut_off, zone))


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # ISO 8601 has other spellings (20260131, 2026-W05-6), which the contract has not.
    return day if day.isoformat() == text else None
