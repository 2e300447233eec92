"""Attempts to reach a customer (CARE-03)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_care.followups import rules
from customer_care.followups.rules import (
    FollowUpFinished,
    FollowUpNotDue,
    FollowUpWindowClosed,
    OpenWindow,
    record_attempt,
)
from customer_care.followups.values import DAY_PARTS, AttemptFact, Decision, FollowUpState, Outcome
from dealership.calendar import BusinessCalendar, Interval
from kit.errors import InvalidArgument
from tests.support import care
from tests.support.care import ZONE, D, at, attempt, window

TOMORROW = D + timedelta(days=1)
MORNINGS = BusinessCalendar(dict.fromkeys(range(1, 8), (Interval(9 * 60, 12 * 60),)))


def decide(open_window: OpenWindow, *attempts: AttemptFact) -> Decision:
    """Record the attempts one after the other; what the last one did."""
    for number, one in enumerate(attempts):
        decision = record_attempt(open_window, attempts[:number], one, now=one.at + timedelta(minutes=1))
        if number < len(attempts) - 1:
            assert decision.state is FollowUpState.PLANNED
    return decision


def test_a_customer_who_is_reached_is_done() -> None:
    assert decide(window(), attempt(10, outcome=Outcome.REACHED)).state is FollowUpState.REACHED


def test_an_unreachable_customer_is_tried_in_three_day_parts() -> None:
    second = decide(window(), attempt(10), attempt(13))
    third = decide(window(), attempt(10), attempt(13), attempt(18))

    assert second.next_attempt_time == at(17)
    assert third.state is FollowUpState.EXHAUSTED
    assert third.next_attempt_time is None


def test_the_same_day_part_twice_counts_once() -> None:
    third = decide(window(), attempt(9, 30), attempt(11), attempt(14))

    assert third.state is FollowUpState.PLANNED
    # Three attempts a day are enough (GRP-07): the evening of the next day.
    assert third.next_attempt_time == at(17, day=TOMORROW)


def test_attempts_count_together_within_three_days() -> None:
    spread = decide(window(7), attempt(10), attempt(13, day=2), attempt(18, day=4))
    together = decide(window(7), attempt(10, day=2), attempt(13, day=3), attempt(18, day=4))

    assert spread.state is FollowUpState.PLANNED
    assert together.state is FollowUpState.EXHAUSTED


def test_the_next_slot_lies_in_an_unused_day_part_an_hour_later_at_least() -> None:
    assert decide(window(), attempt(10)).next_attempt_time == at(12)
    assert decide(window(), attempt(11, 45)).next_attempt_time == at(12, 45)
    assert decide(window(), attempt(19, 30)).next_attempt_time == at(9, day=TOMORROW)


def test_the_next_slot_is_none_when_the_window_has_no_unused_day_part_left() -> None:
    decision = decide(window(1), attempt(19, 30))

    assert decision.state is FollowUpState.PLANNED
    assert decision.next_attempt_time is None


def test_the_next_slot_keeps_to_the_calling_hours() -> None:
    late_riser = BusinessCalendar(dict.fromkeys(range(1, 8), (Interval(14 * 60, 18 * 60),)))

    assert decide(window(calendar=late_riser), attempt(10)).next_attempt_time == at(14)
    closed = decide(window(calendar=care.CLOSED_ON_THURSDAY), attempt(19))
    assert closed.next_attempt_time == at(9, day=D + timedelta(days=2))


@pytest.mark.parametrize(
    ("open_window", "expected"),
    [
        (window(3), 3),
        (window(1), 3),
        # Planned at 16:00 for the same day: afternoon and evening.
        (window(1, since=at(16)), 2),
        (window(1, since=at(17)), 1),
        (window(2, since=at(19)), 3),
        (window(3, calendar=MORNINGS), 1),
        (window(1, calendar=BusinessCalendar({})), 1),
    ],
)
def test_a_window_that_is_too_short_asks_for_fewer_attempts(open_window: OpenWindow, expected: int) -> None:
    assert rules.required(open_window) == expected


def test_a_call_of_the_day_of_an_afternoon_delivery_is_exhausted_after_two() -> None:
    assert decide(window(1, since=at(16)), attempt(16, 30), attempt(18)).state is FollowUpState.EXHAUSTED


def test_a_wrong_number_stays_open_and_asks_for_a_correction() -> None:
    decision = decide(window(), attempt(10, outcome=Outcome.WRONG_NUMBER))

    assert decision.state is FollowUpState.PLANNED
    assert decision.number_is_wrong
    assert decision.next_attempt_time is None


def test_a_customer_who_refused_is_not_called_again() -> None:
    assert decide(window(), attempt(10, outcome=Outcome.REFUSED)).state is FollowUpState.EXHAUSTED


def test_a_customer_who_asked_for_another_call_gets_one() -> None:
    later = attempt(10, outcome=Outcome.CALL_LATER)

    assert decide(window(), later).next_attempt_time == at(11)
    assert decide(window(1), later, attempt(13), attempt(18)).state is FollowUpState.PLANNED
    assert decide(window(1), attempt(19, 30, outcome=Outcome.CALL_LATER)).state is FollowUpState.EXHAUSTED


@pytest.mark.parametrize("state", [state for state in FollowUpState if state is not FollowUpState.PLANNED])
def test_nothing_is_recorded_on_what_has_ended(state: FollowUpState) -> None:
    with pytest.raises(FollowUpFinished) as caught:
        record_attempt(window(state=state), [], attempt(10), now=at(11))
    assert caught.value.metadata == {"state": state.value}


def test_an_attempt_lies_in_the_window_and_not_in_the_future() -> None:
    with pytest.raises(FollowUpNotDue):
        record_attempt(window(), [], attempt(23, day=-1), now=at(11))
    with pytest.raises(FollowUpWindowClosed):
        record_attempt(window(1), [], attempt(0, day=1), now=at(11, day=TOMORROW))
    with pytest.raises(InvalidArgument) as caught:
        record_attempt(window(), [], attempt(11), now=at(10))
    assert caught.value.violations[0][:2] == ("attempt.attempt_time", "ATTEMPT_IN_FUTURE")


def test_day_parts_are_told_by_the_clock_of_the_store() -> None:
    found = [rules.day_part(at(hour), ZONE) for hour in (8, 9, 11, 12, 16, 17, 19, 20)]

    assert [part.code if part else "" for part in found] == [
        *("", "MORNING", "MORNING", "AFTERNOON", "AFTERNOON", "EVENING", "EVENING", ""),
    ]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(8, 20), st.sampled_from(Outcome)), min_size=1, max_size=12))
def test_whatever_is_recorded_the_proposed_slot_can_be_used(tries: list[tuple[int, int, Outcome]]) -> None:
    open_window = window(5)
    made: list[AttemptFact] = []
    for day, hour, outcome in sorted(tries, key=lambda one: one[:2]):
        fact = attempt(hour, day=day, outcome=outcome)
        decision = record_attempt(open_window, made, fact, now=fact.at)
        made.append(fact)
        slot = decision.next_attempt_time
        if decision.state is not FollowUpState.PLANNED:
            assert slot is None
            break
        if slot is not None:
            local = slot.astimezone(ZONE)
            assert slot > fact.at
            assert open_window.start <= local.date() <= open_window.end
            assert rules.day_part(slot, ZONE) in DAY_PARTS
