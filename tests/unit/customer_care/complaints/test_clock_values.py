"""Clocks of complaints: thresholds, pauses, more time, and who hears of them (CMP-10, CMP-11)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_care.complaints import clocks, entitlement
from customer_care.complaints.clocks import Clock, Firing, Hours
from customer_care.complaints.policy import Link, Policy, TimeKind
from customer_care.complaints.values import ClockKind, ClockState, Department, Step
from dealership.calendar import BusinessCalendar, Interval
from tests.support.complaints import CARE, GM, HOURS, POLICY, QUALITY, SALES, SHANGHAI, WORKSHOP, at, opened, walked

THRESHOLDS = (75, 100, 125, 150, 200)


def begun(kind: ClockKind, hours: Hours = HOURS, **policy: object) -> Clock:
    figures = Policy(**policy)  # type: ignore[arg-type]
    return clocks.begun(kind, 1, at(22), figures.length_of(kind), policy=figures, hours=hours)


def firing(clock: Clock) -> Firing:
    found = clocks.next_firing(clock, policy=POLICY, hours=HOURS)
    assert found is not None
    return found


def test_cmp_11_thresholds_of_elapsed_time() -> None:
    clock = begun(ClockKind.CLOSE)

    assert [clocks.moment(clock, percent, HOURS) for percent in THRESHOLDS] == [
        *(at(16, day=1), at(22, day=1), at(4, day=2), at(10, day=2), at(22, day=2))
    ]


def test_cmp_11_thresholds_of_calling_time_are_taken_in_calling_time() -> None:
    clock = begun(ClockKind.CONTACT)

    assert [clocks.moment(clock, percent, HOURS) for percent in THRESHOLDS] == [
        *(at(10, 30, day=1), at(11, day=1), at(11, 30, day=1), at(12, day=1), at(13, day=1))
    ]


def test_one_business_hour_from_friday_afternoon_ends_on_monday_morning() -> None:
    office = Hours(BusinessCalendar(dict.fromkeys(range(1, 6), (Interval(9 * 60, 17 * 60),))), SHANGHAI)
    times = {ClockKind.RETURN: TimeKind.OPENING}
    policy = Policy(answer=timedelta(hours=1), times=times)
    friday = at(16, 30, day=2)

    clock = clocks.begun(ClockKind.RETURN, 1, friday, policy.answer, policy=policy, hours=office)

    assert clock.due == at(9, 30, day=5)


def test_a_threshold_that_lies_years_ahead_is_found() -> None:
    sundays = Hours(BusinessCalendar({7: (Interval(9 * 60, 17 * 60),)}), SHANGHAI)
    at_eight_a_week = timedelta(hours=8) * 104

    found = sundays.after(TimeKind.OPENING, at(10), at_eight_a_week)

    assert sundays.between(TimeKind.OPENING, at(10), found) == at_eight_a_week
    assert found == at(17, day=4 + 7 * 103)


def test_cmp_11_thresholds_are_moved_by_exactly_the_time_that_it_stood_still() -> None:
    clock = clocks.resumed(clocks.paused(begun(ClockKind.CLOSE), at(23)), at(2, 20, day=1), HOURS)

    assert firing(clock) == Firing(75, at(19, 20, day=1))
    assert (clock.start, clock.paused) == (at(22), timedelta(hours=3, minutes=20))


def test_cmp_11_a_pause_at_night_takes_no_calling_time() -> None:
    clock = clocks.begun(ClockKind.CALL_BACK, 1, at(15), timedelta(hours=5), policy=POLICY, hours=HOURS)

    overnight = clocks.resumed(clocks.paused(clock, at(19)), at(10, day=1), HOURS)

    # One calling hour was left, and one is left.
    assert overnight.due == at(11, day=1)
    assert (overnight.paused, overnight.held) == (timedelta(hours=15), timedelta(hours=2))


def test_a_clock_that_stands_still_or_ended_fires_nothing() -> None:
    clock = begun(ClockKind.CLOSE)

    for ended in (clocks.paused(clock, at(23)), clocks.met(clock, at(23)), clocks.stopped(clock, at(23))):
        assert clocks.next_firing(ended, policy=POLICY, hours=HOURS) is None
    assert clocks.next_firing(clocks.passed(clock, 200), policy=POLICY, hours=HOURS) is None


def test_cmp_10_more_time_counts_its_thresholds_anew_without_those_that_lie_behind() -> None:
    clock = clocks.passed(begun(ClockKind.CLOSE), 75)

    far = clocks.extended(clock, at(22, day=4), at(20, day=1), policy=POLICY, hours=HOURS)
    near = clocks.extended(clock, at(23, day=1), at(20, day=1), policy=POLICY, hours=HOURS)

    assert (firing(far), far.term) == (Firing(75, at(22, day=3)), 2)
    assert firing(near) == Firing(100, at(23, day=1))


@pytest.mark.parametrize(
    ("done", "state"),
    [(at(22, day=1), ClockState.MET), (at(22, 1, day=1), ClockState.MET_LATE), (None, ClockState.BREACHED)],
)
def test_a_clock_says_whether_it_was_met(done: object, state: ClockState) -> None:
    clock = begun(ClockKind.CLOSE)

    assert clocks.state(clock if done is None else clocks.met(clock, done), at(22, day=1)) is state  # type: ignore[arg-type]
    assert clocks.state(clock, at(21, day=1)) is ClockState.RUNNING


def test_a_clock_that_ran_out_before_the_pause_stays_breached() -> None:
    clock = begun(ClockKind.CLOSE)

    assert clocks.state(clocks.paused(clock, at(23)), at(5, day=3)) is ClockState.PAUSED
    assert clocks.state(clocks.paused(clock, at(23, day=1)), at(5, day=3)) is ClockState.BREACHED


def test_cmp_11_the_chain_goes_up_from_the_department_to_the_group() -> None:
    form = walked(3)

    told = [entitlement.told(form, ClockKind.RETURN, percent, POLICY) for percent in THRESHOLDS]
    assert told == [SALES, SALES, CARE, GM, QUALITY]


def test_cmp_11_while_no_department_is_known_the_care_manager_is_told_first() -> None:
    told = [entitlement.told(opened(), ClockKind.CONTACT, percent, POLICY) for percent in THRESHOLDS]

    assert told == [CARE, CARE, CARE, GM, QUALITY]


@pytest.mark.parametrize(("steps", "role"), [(0, CARE), (1, GM), (2, SALES), (4, SALES), (5, CARE), (6, GM)])
def test_cmp_11_the_warning_goes_to_who_must_act(steps: int, role: str) -> None:
    assert entitlement.told(walked(steps), ClockKind.CLOSE, 75, POLICY) == role


@pytest.mark.parametrize(
    ("department", "role"),
    [(Department.AFTERSALES, WORKSHOP), (Department.CUSTOMER_CARE, CARE), (Department.PARTS, GM)],
)
def test_a_department_without_a_manager_is_answered_by_the_gm(department: Department, role: str) -> None:
    form = opened(department=department)

    assert entitlement.department_manager(form) == role
    assert entitlement.told(form, ClockKind.CONTACT, 75, POLICY) == role


FINANCE = "ROLE_FINANCE_MANAGER"
UPWARDS = (CARE, GM, QUALITY)


@pytest.mark.parametrize(
    ("meant", "held", "reached", "vacant"),
    [
        (SALES, {SALES, CARE, GM, QUALITY}, SALES, ()),
        (SALES, {CARE, GM, QUALITY}, CARE, (SALES,)),
        (FINANCE, {QUALITY}, QUALITY, (FINANCE, CARE, GM)),
        (GM, {SALES, CARE, QUALITY}, QUALITY, (GM,)),
        # Never down the chain, and nowhere when nobody is found.
        (QUALITY, {SALES, CARE, GM}, QUALITY, ()),
        (SALES, set(), SALES, ()),
    ],
)
def test_cmp_11_what_nobody_would_hear_goes_one_level_up(
    meant: str, held: set[str], reached: str, vacant: tuple[str, ...]
) -> None:
    assert entitlement.reached(meant, held) == (reached, vacant)


@given(st.sampled_from((SALES, WORKSHOP, FINANCE, *UPWARDS)), st.sets(st.sampled_from((SALES, *UPWARDS))))
def test_cmp_11_the_lowest_role_from_the_meant_one_upwards_that_somebody_holds_is_told(
    meant: str, held: set[str]
) -> None:
    role, vacant = entitlement.reached(meant, held)

    assert role == meant or role in UPWARDS
    assert not held.intersection(vacant)
    assert role in held or (role == meant and not vacant)
    assert len(vacant) == len(set(vacant))
    assert role not in vacant


def test_a_group_may_have_a_chain_of_its_own() -> None:
    short = Policy(warn_percent=50, chain=((100, Link.GENERAL_MANAGER),))

    assert [short.next_percent(percent) for percent in (0, 50, 100)] == [50, 100, None]
    assert entitlement.told(walked(3), ClockKind.RETURN, 100, short) == GM


def test_every_step_that_can_be_late_has_somebody_who_acts() -> None:
    assert {entitlement.told(walked(steps), ClockKind.CLOSE, 75, POLICY) for steps in range(7)} == {CARE, GM, SALES}
    assert walked(6).step is Step.SIGN
