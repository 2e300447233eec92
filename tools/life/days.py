"""The moments at which people act, by the clock of each store, put in order for the whole group."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Moment(Enum):
    """A part of a store's day, by its local time."""

    MORNING = time(9, 10)
    NOON = time(11, 40)
    AFTERNOON = time(14, 30)
    HAND_OVER = time(18, 5)
    EVENING = time(19, 30)


class Hour(NamedTuple):
    """An instant at which the stores of some time zones have something to do."""

    at: datetime
    moments: dict[str, Moment]


def hours(zones: set[str], first: date, end: datetime) -> Iterator[Hour]:
    """Every instant from the first day up to `end`, in order; `moments` is by time zone."""
    days = range((end.date() - first).days + 2)
    found: dict[datetime, dict[str, Moment]] = {}
    for zone in sorted(zones):
        for day in (first + timedelta(days=number) for number in days):
            for moment in Moment:
                at = datetime.combine(day, moment.value, ZoneInfo(zone)).astimezone(UTC)
                if at <= end:
                    found.setdefault(at, {})[zone] = moment
    return (Hour(at, found[at]) for at in sorted(found))
