"""The clocks of a complaint as values: thresholds, pauses, ends (CMP-11). A pause never moves the start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from customer_care.complaints.policy import BREACH, Policy, TimeKind
from customer_care.complaints.values import ClockKind, ClockState
from dealership.calendar import BusinessCalendar, NeverOpen

_NONE = timedelta()
_DAY = timedelta(days=1)
# Within what a calendar looks through for an opening.
_SEARCHED = timedelta(days=399)


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of a store, as its clocks count them."""

    calendar: BusinessCalendar
    zone: ZoneInfo

    def after(self, time: TimeKind, at: datetime, duration: timedelta) -> datetime:
        """When so much of this time has passed since `at`, in UTC.

        However long it takes; where the store is as good as never open, as one that was given up, all time counts.
        """
        while True:
            try:
                return self._after(time, at, duration)
            except NeverOpen:
                counted = self.between(time, at, at + _SEARCHED)
                if counted < _DAY:
                    return at + duration
                at, duration = at + _SEARCHED, duration - counted

    def between(self, time: TimeKind, start: datetime, end: datetime) -> timedelta:
        """How much of this time lies between two instants."""
        match time:
            case TimeKind.ELAPSED:
                return max(_NONE, end - start)
            case TimeKind.CALLING:
                return self.calendar.calling_time_between(start, end, self.zone)
            case TimeKind.OPENING:
                return self.calendar.business_time_between(start, end, self.zone)
            case _:
                assert_never(time)

    def countable(self, time: TimeKind, at: datetime) -> TimeKind:
        """The same, or elapsed time where the store has no hours that could be counted: a clock must end."""
        try:
            self._after(time, at, _DAY)
        except NeverOpen:
            return TimeKind.ELAPSED
        return time

    def calling_time_left(self, at: datetime) -> timedelta:
        """How much of the store's day of `at` remains for calls."""
        day = self.local_date(at)
        ends = [interval.instants(day, self.zone)[1] for interval in self.calendar.calling_hours(day)]
        return self.between(TimeKind.CALLING, at, max(ends, default=at))

    def local_date(self, at: datetime) -> date:
        """The store's day at that instant."""
        return at.astimezone(self.zone).date()

    def _after(self, time: TimeKind, at: datetime, duration: timedelta) -> datetime:
        """The same as `after`. Raises NeverOpen."""
        match time:
            case TimeKind.ELAPSED:
                return at + duration
            case TimeKind.CALLING:
                return self.calendar.after_calling_time(at, duration, self.zone)
            case TimeKind.OPENING:
                return self.calendar.after_business_time(at, duration, self.zone)
            case _:
                assert_never(time)


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock of one round.

    `length` is what it counts to, in its own time; `due` when that is over, finished pauses included. `paused` is how
    long it stood still in elapsed time, `held` how much of its own time that took away. `term` grows when it is set
    anew, so that its thresholds count again; `percent` is the last threshold that was passed in this term.
    """

    kind: ClockKind
    round: int
    time: TimeKind
    start: datetime
    length: timedelta
    due: datetime
    term: int = 1
    percent: int = 0
    paused: timedelta = _NONE
    held: timedelta = _NONE
    paused_since: datetime | None = None
    done: datetime | None = None
    stopped: datetime | None = None

    @property
    def live(self) -> bool:
        """Whether it still matters: running, standing still, or breached."""
        return self.done is None and self.stopped is None


def begun(kind: ClockKind, number: int, at: datetime, length: timedelta, *, policy: Policy, hours: Hours) -> Clock:
    """A clock of this round that begins at `at`."""
    time = hours.countable(policy.time_of(kind), at)
    return Clock(kind, number, time, at, length, hours.after(time, at, length))


def moment(clock: Clock, percent: int, hours: Hours) -> datetime:
    """When so many percent of its time are over, finished pauses included; in the time that it counts."""
    return hours.after(clock.time, clock.start, clock.length * percent / 100 + clock.held)


def due_now(clock: Clock, now: datetime, hours: Hours) -> datetime:
    """When it is due, the present pause included as if it ended now."""
    if clock.paused_since is None or not clock.live:
        return clock.due
    return resumed(clock, now, hours).due


def paused_for(clock: Clock, now: datetime) -> timedelta:
    """How long it stood still so far, in elapsed time."""
    running = clock.paused_since is None or not clock.live
    return clock.paused if running else clock.paused + (now - _set(clock.paused_since))


def paused(clock: Clock, at: datetime) -> Clock:
    """The clock standing still from `at` on."""
    return replace(clock, paused_since=max(at, clock.start))


def resumed(clock: Clock, at: datetime, hours: Hours) -> Clock:
    """The clock running again from `at` on."""
    since = _set(clock.paused_since)
    held = clock.held + hours.between(clock.time, since, at)
    running = replace(clock, paused=clock.paused + max(_NONE, at - since), held=held, paused_since=None)
    return replace(running, due=moment(running, BREACH, hours))


def met(clock: Clock, at: datetime) -> Clock:
    """What it waited for was done at `at`."""
    return replace(clock, done=at)


def stopped(clock: Clock, at: datetime) -> Clock:
    """It no longer matters."""
    return replace(clock, stopped=at)


def restarted(clock: Clock, at: datetime, now: datetime, hours: Hours) -> Clock:
    """The same clock from `at` on; unchanged when that would take time away, as a contact recorded late would."""
    fresh = Clock(clock.kind, clock.round, clock.time, at, clock.length, at, term=clock.term + 1)
    fresh = replace(fresh, due=moment(fresh, BREACH, hours))
    if clock.live and clock.paused_since is not None:
        fresh = paused(fresh, clock.paused_since)
    return fresh if due_now(fresh, now, hours) > due_now(clock, now, hours) else clock


def extended(clock: Clock, until: datetime, now: datetime, *, policy: Policy, hours: Hours) -> Clock:
    """The clock with more time, due at `until`; thresholds of the new length that lie behind are not made up for."""
    running = clock if clock.paused_since is None else resumed(clock, now, hours)
    length = hours.between(clock.time, clock.start, until) - running.held
    longer = replace(running, length=length, term=clock.term + 1, percent=0)
    longer = replace(longer, due=moment(longer, BREACH, hours))
    while (percent := policy.next_percent(longer.percent)) is not None and moment(longer, percent, hours) <= now:
        longer = passed(longer, percent)
    return longer if clock.paused_since is None else paused(longer, now)


def passed(clock: Clock, percent: int) -> Clock:
    """The clock after it passed this threshold."""
    return replace(clock, percent=percent)


def state(clock: Clock, now: datetime) -> ClockState:
    """Where it stands; one that ran out before it was made to stand still stays breached."""
    if clock.done is not None:
        return ClockState.MET if clock.done <= clock.due else ClockState.MET_LATE
    if clock.stopped is not None:
        return ClockState.STOPPED
    if (now if clock.paused_since is None else clock.paused_since) >= clock.due:
        return ClockState.BREACHED
    return ClockState.RUNNING if clock.paused_since is None else ClockState.PAUSED


@dataclass(frozen=True, slots=True)
class Firing:
    """The next threshold of a clock, and when it is reached."""

    percent: int
    at: datetime


def next_firing(clock: Clock, *, policy: Policy, hours: Hours) -> Firing | None:
    """Return what it fires next; None when it ended, stands still, or has passed every threshold."""
    percent = policy.next_percent(clock.percent)
    if percent is None or not clock.live or clock.paused_since is not None:
        return None
    return Firing(percent, moment(clock, percent, hours))


def _set(instant: datetime | None) -> datetime:
    assert instant is not None
    return instant
