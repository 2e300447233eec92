"""How a delivery becomes follow-ups (CAD-01 to CAD-09, CARE-01). Everything here is a function of its arguments."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from customer_care.cadences.values import Anchor, OwnerRole, Step, StopCondition, TemplateVersion, Window
from customer_care.care_plans.values import Change, Days, Existing, Planned, Reconciliation
from customer_care.followups.values import KEPT, FollowUpState, Outcome

# Longer than any closure of a store; one that opens on none of these days has no calendar to speak of.
_OPENING_HORIZON_DAYS: Final = 31
_MONTHS: Final = 12
_MINUTES_PER_DAY: Final = 24 * 60


class Interval(Protocol):
    """An open interval of a day, in minutes since local midnight."""

    @property
    def end(self) -> int:
        """The end, not included."""
        ...


class Calendar(Protocol):
    """The part of a business calendar that planning needs."""

    def opening_hours(self, day: date) -> Sequence[Interval]:
        """Return the open intervals of a day, in order."""
        ...


def first_call_day(delivery: date, recorded: datetime, calendar: Calendar, zone: ZoneInfo) -> date:
    """Return the day of the call on the day of delivery (CAD-01).

    A delivery that was recorded after closing time, or for a day on which the store is closed, moves it to the next
    day with opening hours after D; D itself when the store does not open within a month.
    """
    hours = calendar.opening_hours(delivery)
    if hours:
        # Compared on the store's own clock, which is what the opening hours are written in.
        local = recorded.astimezone(zone)
        minute = (local.date() - delivery).days * _MINUTES_PER_DAY + local.hour * 60 + local.minute
        if minute < hours[-1].end:
            return delivery
    for offset in range(1, _OPENING_HORIZON_DAYS + 1):
        day = delivery + timedelta(days=offset)
        if calendar.opening_hours(day):
            return day
    return delivery


def plan(version: TemplateVersion, days: Days, today: date) -> tuple[Planned, ...]:
    """Return every follow-up that the version asks for, in the order of its steps.

    `today` is the store-local day of planning: a window that ended before it is EXPIRED_ON_ARRIVAL (CARE-03). A step
    whose stop condition is met is CLOSED, unless its window had ended before that happened.
    """
    return tuple(planned for step in version.steps for planned in _occurrences(step, days, today))


def _occurrences(step: Step, days: Days, today: date) -> Iterator[Planned]:
    resolved = _resolve(step, days)
    if resolved is None:
        return
    anchor, window = resolved
    for index in range(max(step.occurrences, 1)):
        base = add_months(anchor, index * step.repeat_months) if step.repeat_months else anchor
        shift = index * step.repeat_days
        start = base + timedelta(days=window.first_day + shift)
        end = base + timedelta(days=window.last_day + shift)
        if window.anchor is Anchor.DELIVERY and end == days.delivery:
            # A call of the day of delivery; it can only be made when the store is open again.
            start, end = start + (days.first_call - end), days.first_call
        done = days.first_service_done if step.stop_condition is StopCondition.FIRST_SERVICE_DONE else None
        state = _state(end, done, today)
        yield Planned(step.code, index + 1, step.owner_role, start, end, state, step.questionnaire)


def _resolve(step: Step, days: Days) -> tuple[date, Window] | None:
    anchor = _anchor(step.window.anchor, days)
    if anchor is not None:
        return anchor, step.window
    if step.fallback_window is None:
        return None
    fallback = _anchor(step.fallback_window.anchor, days)
    return None if fallback is None else (fallback, step.fallback_window)


def _anchor(anchor: Anchor, days: Days) -> date | None:
    match anchor:
        case Anchor.DELIVERY:
            return days.delivery
        case Anchor.FIRST_SERVICE_DUE:
            return days.first_service_due
        case Anchor.FINANCE_END:
            return days.finance_end


def _state(end: date, done: date | None, today: date) -> FollowUpState:
    passed = end < today
    if done is not None and (done <= end or not passed):
        return FollowUpState.CLOSED
    return FollowUpState.EXPIRED_ON_ARRIVAL if passed else FollowUpState.PLANNED


def add_months(day: date, months: int) -> date:
    """Return the same day so many months later; the last day of a month stays the last day of a month."""
    year, month = divmod(day.year * _MONTHS + day.month - 1 + months, _MONTHS)
    last = monthrange(year, month + 1)[1]
    was_last = day.day == monthrange(day.year, day.month)[1]
    return date(year, month + 1, last if was_last else min(day.day, last))


def owner_of(role: OwnerRole, consultant_id: str) -> str:
    """Return who makes a follow-up: the delivery's consultant, or nobody in particular for any specialist."""
    return consultant_id if role is OwnerRole.CONSULTANT else ""


def reconcile(existing: Iterable[Existing], desired: Iterable[Planned], consultant_id: str) -> Reconciliation:
    """Compare what is there with what the cadence asks for now.

    Keeps what was done or missed; everything else follows the facts: it is planned again, re-windowed, closed, or
    cancelled when the cadence no longer asks for it (CARE-01). An open follow-up whose window has not moved stays
    open although its window may have passed: that is for the window's timer to say.
    """
    wanted: Mapping[tuple[str, int], Planned] = {(one.step, one.occurrence): one for one in desired}
    changes: list[Change] = []
    closed: list[Existing] = []
    there: set[tuple[str, int]] = set()
    for one in existing:
        there.add((one.step, one.occurrence))
        if one.state in KEPT:
            continue
        target = wanted.get((one.step, one.occurrence))
        change = _cancelled(one) if target is None else _followed(one, target, consultant_id)
        if change is None:
            continue
        changes.append(change)
        if one.state is FollowUpState.PLANNED and change.state is FollowUpState.CLOSED:
            closed.append(one)
    inserts = tuple(one for key, one in wanted.items() if key not in there)
    return Reconciliation(inserts, tuple(changes), tuple(closed))


def _cancelled(one: Existing) -> Change | None:
    if one.state is FollowUpState.CANCELLED:
        return None
    return Change(one.id, one.owner_id, one.window_start, one.window_end, FollowUpState.CANCELLED)


def _followed(one: Existing, target: Planned, consultant_id: str) -> Change | None:
    state = target.state
    same_window = (one.window_start, one.window_end) == (target.window_start, target.window_end)
    if one.state is FollowUpState.PLANNED and same_window and state is FollowUpState.EXPIRED_ON_ARRIVAL:
        state = FollowUpState.PLANNED
    owner = owner_of(target.owner_role, consultant_id)
    if same_window and state is one.state and owner == one.owner_id:
        return None
    return Change(one.id, owner, target.window_start, target.window_end, state)


def at_window_end(last_outcome: Outcome | None) -> FollowUpState:
    """Return what becomes of an open follow-up when its window closes.

    Missed, except after a wrong number that nobody corrected in time: the caller did what could be done (CARE-03).
    """
    return FollowUpState.EXHAUSTED if last_outcome is Outcome.WRONG_NUMBER else FollowUpState.MISSED


@lru_cache(maxsize=8192)
def closes_at(window_end: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a window closes: the midnight that ends its last store-local day, in UTC."""
    return datetime.combine(window_end + timedelta(days=1), time(), zone).astimezone(UTC)


def next_close(windows: Iterable[tuple[FollowUpState, date]], zone: ZoneInfo) -> datetime | None:
    """Return when the next window of an open follow-up closes; None when nothing is open."""
    ends = [end for state, end in windows if state is FollowUpState.PLANNED]
    return closes_at(min(ends), zone) if ends else None
