"""Lives the days of a group: moves the clock for all services at once, and waits until they are quiet again."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from kit.clock import SharedClock
from tools.life import group as groups
from tools.life.api import Api
from tools.life.days import Hour, hours
from tools.life.opening import ADMIN, open_group
from tools.life.work import GROUP_ZONE, GroupLife
from tools.simulation.quiet import Queues
from tools.terminal import Work

# Timers fire at their time to this exactness, not all of them at the next moment at which somebody acts.
_EXACTNESS = timedelta(minutes=15)
_FIRST_HOUR = 7


@dataclass(frozen=True)
class Script:
    """What is to be lived: `end` is the last instant, `until_now` whether that is the present."""

    group: groups.GroupPlan
    first_day: date
    end: datetime
    until_now: bool

    @property
    def start(self) -> datetime:
        """The instant at which the administrator opens the group."""
        first = self.first_day
        return datetime(first.year, first.month, first.day, _FIRST_HOUR, tzinfo=GROUP_ZONE).astimezone(UTC)

    def hours(self) -> list[Hour]:
        """All moments at which somebody acts."""
        return list(hours({store.zone.key for store in self.group.stores}, self.first_day, self.end))


@dataclass(frozen=True)
class Outcome:
    """What happened, and how long it took in real time."""

    counts: Counter[str]
    remarkable: list[str]
    calls: Counter[str]
    dead_letters: int
    seconds: float


@dataclass(frozen=True)
class Access:
    """Where the system answers, and with which passwords."""

    url: str
    admin_password: str
    people_password: str


def live(script: Script, access: Access, clock: SharedClock, queues: Queues, work: Work) -> Outcome:
    """Opens the group and lives its days; the clock stands at the end then, or follows real time.

    Raises:
        Refused: the system did not accept what an invented person did.
        StillBusyError: it did not become quiet.
    """
    begin = time.monotonic()
    clock.set(script.start)
    opening = Api(access.url, access.people_password, clock.now)
    opening.knows(ADMIN, access.admin_password)
    life = GroupLife(script.group, lambda: Api(access.url, access.people_password, clock.now), script.first_day)
    try:
        open_group(opening, script.group, access.people_password)
        next_timer = queues.wait_quiet(clock.now())
        for number, hour in enumerate(script.hours()):
            next_timer = _move(clock, queues, next_timer, hour.at)
            if life.live(hour):
                next_timer = queues.wait_quiet(hour.at)
            work.reach(number + 1, _words(hour.at, life.told().counts))
        _move(clock, queues, next_timer, script.end)
        if script.until_now:
            clock.follow_real_time()
            queues.wait_quiet(clock.now())
        told, calls = life.told(), life.calls() + opening.calls
    finally:
        life.close()
        opening.close()
    return Outcome(told.counts, told.remarkable, calls, queues.dead_letters(), time.monotonic() - begin)


def _move(clock: SharedClock, queues: Queues, next_timer: datetime | None, to: datetime) -> datetime | None:
    """To an instant, with a stop wherever a timer is due on the way; returns when the next one is due after it."""
    while next_timer is not None and next_timer <= to:
        stop = min(to, _rounded_up(max(next_timer, clock.now())))
        clock.set(stop)
        next_timer = queues.wait_quiet(stop)
    clock.set(to)
    return next_timer


def _rounded_up(at: datetime) -> datetime:
    over = (at - datetime(2000, 1, 1, tzinfo=UTC)) % _EXACTNESS
    return at + (_EXACTNESS - over if over else timedelta())


def _words(at: datetime, counts: Counter[str]) -> str:
    deliveries = counts["deliveries recorded"] + counts["deliveries from lists"]
    answers = counts["surveys by telephone"] + counts["surveys by link"]
    return f"{at.astimezone(GROUP_ZONE):%Y-%m-%d}  {deliveries} deliveries, {answers} answers"


def group_first_day(end: datetime, days: int) -> date:
    """The day that lies so many days before the end."""
    return end.astimezone(GROUP_ZONE).date() - timedelta(days=days)
