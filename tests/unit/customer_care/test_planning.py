"""What a delivery turns into (CAD-01 to CAD-09, CARE-01)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_care.cadences.rules import in_force
from customer_care.cadences.values import Anchor, OwnerRole, StopCondition, Window
from customer_care.care_plans import rules
from customer_care.followups.values import FollowUpState, Outcome
from dealership.calendar import BusinessCalendar
from tests.support import care
from tests.support.care import EVERY_DAY, ZONE, D, at, cadence, days, existing, step

DUE = date(2026, 11, 20)


def windows(**changes: Any) -> dict[str, tuple[int, int]]:
    planned = rules.plan(care.shipped(), days(**changes), D)
    return {f"{one.step}/{one.occurrence}": ((one.window_start - D).days, (one.window_end - D).days) for one in planned}


def test_the_shipped_cadence_without_a_maintenance_plan_uses_the_fallback_of_the_first_service() -> None:
    assert windows() == {
        "CAD-01/1": (0, 0),
        "CAD-02/1": (1, 3),
        "CAD-03/1": (3, 3),
        "CAD-04/1": (7, 7),
        "CAD-05/1": (15, 15),
        "CAD-06/1": (30, 30),
        "CAD-06/2": (60, 60),
        "CAD-07/1": (60, 90),
        "CAD-09/1": (358, 372),
        "CAD-09/2": (358 + 365, 372 + 365),
        # 2028 is a leap year, and the third anniversary comes after its February.
        "CAD-09/3": (358 + 731, 372 + 731),
    }


def test_the_first_service_follow_ups_count_from_the_due_date() -> None:
    due = (DUE - D).days

    found = windows(first_service_due=DUE)

    assert found["CAD-07/1"] == (due - 30, due)
    assert found["CAD-07b/1"] == (due - 14, due - 1)
    assert found["CAD-08/1"] == (due + 1, due + 30)


def test_a_finance_contract_adds_a_contact_before_it_ends() -> None:
    assert windows(finance_end=D + timedelta(days=720))["CAD-09f/1"] == (690, 719)


def test_the_survey_belongs_to_any_specialist_and_the_calls_to_the_consultant() -> None:
    planned = {one.step: one for one in rules.plan(care.shipped(), days(), D)}

    assert rules.owner_of(planned["CAD-01"].owner_role, "li-lei") == "li-lei"
    assert rules.owner_of(planned["CAD-02"].owner_role, "li-lei") == ""
    assert [code for code, one in planned.items() if one.questionnaire] == ["CAD-02"]


@pytest.mark.parametrize(
    ("recorded", "calendar", "moved_by"),
    [
        (at(19, 59), EVERY_DAY, 0),
        (at(20), EVERY_DAY, 1),
        (at(23), care.CLOSED_ON_THURSDAY, 2),
        # Recorded the next morning: the call of the day is made then.
        (at(9, day=D + timedelta(days=1)), EVERY_DAY, 1),
        # A store without a calendar to speak of keeps the day.
        (at(22), BusinessCalendar({}), 0),
    ],
)
def test_a_delivery_recorded_after_closing_time_moves_the_call_of_the_day(
    recorded: datetime, calendar: BusinessCalendar, moved_by: int
) -> None:
    first_call = rules.first_call_day(D, recorded, calendar, ZONE)

    assert first_call == D + timedelta(days=moved_by)
    planned = rules.plan(cadence(step("CAD-01"), step("CAD-03", 3, 3)), days(first_call=first_call), D)
    assert planned[0].window_start == planned[0].window_end == first_call
    assert planned[1].window_start == D + timedelta(days=3)


def test_a_window_that_had_passed_is_expired_on_arrival() -> None:
    planned = rules.plan(cadence(step("CAD-01"), step("CAD-02", 1, 3)), days(), D + timedelta(days=3))

    assert [one.state for one in planned] == [FollowUpState.EXPIRED_ON_ARRIVAL, FollowUpState.PLANNED]


def test_a_step_ends_when_its_stop_condition_came_before_its_window_ended() -> None:
    stop: dict[str, Any] = {"stop_condition": StopCondition.FIRST_SERVICE_DONE}
    version = cadence(step("CAD-07", 60, 90, **stop), step("CAD-06", 30, 30))
    done = D + timedelta(days=95)

    in_time = rules.plan(version, days(first_service_done=D + timedelta(days=70)), D)
    too_late = rules.plan(version, days(first_service_done=done), done)

    assert [one.state for one in in_time] == [FollowUpState.CLOSED, FollowUpState.PLANNED]
    assert too_late[0].state is FollowUpState.EXPIRED_ON_ARRIVAL


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2026, 2, 28), 1, date(2026, 3, 31)),
        (date(2027, 2, 28), 12, date(2028, 2, 29)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2026, 1, 30), 1, date(2026, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 5, 20), 0, date(2026, 5, 20)),
    ],
)
def test_months_are_added_and_a_month_end_stays_one(day: date, months: int, expected: date) -> None:
    assert rules.add_months(day, months) == expected


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 60), st.integers(0, 60))
def test_adding_months_never_leaves_the_month(day: date, first: int, second: int) -> None:
    later = rules.add_months(day, first + second)

    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == first + second
    assert rules.add_months(rules.add_months(day, 0), 0) == day


def test_the_version_in_force_is_the_latest_published_by_then_or_else_the_earliest() -> None:
    first = cadence(number=1, publish_time=datetime(2026, 1, 1, tzinfo=UTC))
    second = cadence(number=2, publish_time=datetime(2026, 6, 1, tzinfo=UTC))
    draft = cadence(number=3, publish_time=None)
    versions = [second, draft, first]

    assert in_force(versions, datetime(2025, 1, 1, tzinfo=UTC)) is first
    assert in_force(versions, datetime(2026, 5, 31, tzinfo=UTC)) is first
    assert in_force(versions, datetime(2026, 6, 1, tzinfo=UTC)) is second
    assert in_force([draft], datetime(2026, 6, 1, tzinfo=UTC)) is None


def test_a_correction_moves_what_is_open_and_keeps_what_was_done() -> None:
    there = [
        existing("CAD-01", FollowUpState.REACHED),
        existing("CAD-03", FollowUpState.MISSED),
        existing("CAD-04", window_start=D + timedelta(days=7), window_end=D + timedelta(days=7)),
        existing("CAD-09", FollowUpState.CANCELLED),
    ]
    later = D + timedelta(days=1)
    version = cadence(step("CAD-01"), step("CAD-03", 3, 3), step("CAD-04", 7, 7), step("CAD-05", 15, 15))
    desired = rules.plan(version, days(delivery=later, first_call=later), D)

    result = rules.reconcile(there, desired, "han-mei")

    assert [(change.id, change.owner_id, change.window_start) for change in result.changes] == [
        (there[2].id, "han-mei", D + timedelta(days=8))
    ]
    assert [one.step for one in result.inserts] == ["CAD-05"]
    assert result.closed == ()


def test_a_cancellation_cancels_all_that_is_open_and_a_second_look_changes_nothing() -> None:
    there = [existing("CAD-01", FollowUpState.REACHED), existing("CAD-04"), existing("CAD-05", FollowUpState.CANCELLED)]

    result = rules.reconcile(there, (), "li-lei")

    assert [(change.id, change.state) for change in result.changes] == [(there[1].id, FollowUpState.CANCELLED)]


def test_only_an_open_follow_up_that_closes_is_told_of() -> None:
    stop: dict[str, Any] = {"stop_condition": StopCondition.FIRST_SERVICE_DONE}
    version = cadence(step("CAD-07", 60, 90, **stop), step("CAD-08", 91, 120, **stop))
    window: dict[str, Any] = {"window_start": D + timedelta(days=60), "window_end": D + timedelta(days=90)}
    there = [existing("CAD-07", **window)]
    desired = rules.plan(version, days(first_service_done=D), D)

    result = rules.reconcile(there, desired, "li-lei")

    assert result.closed == (there[0],)
    assert [one.state for one in result.inserts] == [FollowUpState.CLOSED]


def test_an_open_follow_up_whose_window_has_just_passed_waits_for_its_timer() -> None:
    desired = rules.plan(cadence(step("CAD-01")), days(), D + timedelta(days=1))

    assert rules.reconcile([existing("CAD-01")], desired, "li-lei").changes == ()


def test_a_window_closes_with_the_last_minute_of_its_day_in_the_store() -> None:
    assert rules.closes_at(D, ZONE) == at(0, day=D + timedelta(days=1))
    open_windows = [(FollowUpState.PLANNED, D + timedelta(days=9)), (FollowUpState.MISSED, D)]
    assert rules.next_close(open_windows, ZONE) == rules.closes_at(D + timedelta(days=9), ZONE)
    assert rules.next_close([(FollowUpState.REACHED, D)], ZONE) is None


def test_a_wrong_number_is_nobodys_violation() -> None:
    assert rules.at_window_end(None) is FollowUpState.MISSED
    assert rules.at_window_end(Outcome.NO_ANSWER) is FollowUpState.MISSED
    assert rules.at_window_end(Outcome.WRONG_NUMBER) is FollowUpState.EXHAUSTED


some_days = st.dates(date(2025, 1, 1), date(2027, 1, 1))


@given(
    delivery=some_days,
    due=st.none() | some_days,
    done=st.none() | some_days,
    finance=st.none() | some_days,
    before=st.tuples(some_days, st.none() | some_days),
)
def test_reconciling_reaches_the_plan_itself_whatever_was_planned_before(
    delivery: date, due: date | None, done: date | None, finance: date | None, before: tuple[date, date | None]
) -> None:
    today = date(2026, 1, 1)
    version = care.shipped()
    earlier = rules.plan(version, days(delivery=before[0], first_call=before[0], first_service_due=before[1]), today)
    there = [
        existing(
            one.step, one.state, occurrence=one.occurrence, window_start=one.window_start, window_end=one.window_end
        )
        for one in earlier
    ]
    for number, one in enumerate(there):
        one.id = UUID(int=number)
        one.owner_id = rules.owner_of(earlier[number].owner_role, "li-lei")
    desired = rules.plan(
        version,
        days(
            delivery=delivery, first_call=delivery, first_service_due=due, first_service_done=done, finance_end=finance
        ),
        today,
    )

    result = rules.reconcile(there, desired, "li-lei")

    changed = {change.id: (change.window_start, change.window_end, change.state) for change in result.changes}
    after = {
        (one.step, one.occurrence): changed.get(one.id, (one.window_start, one.window_end, one.state)) for one in there
    } | {(one.step, one.occurrence): (one.window_start, one.window_end, one.state) for one in result.inserts}
    alive = {key: value for key, value in after.items() if value[2] is not FollowUpState.CANCELLED}
    assert alive == {(one.step, one.occurrence): (one.window_start, one.window_end, one.state) for one in desired}


def test_a_fallback_counts_from_the_delivery_only_while_the_anchor_is_unknown() -> None:
    fallback = Window(Anchor.DELIVERY, 60, 90)
    one = step("CAD-07", window=Window(Anchor.FINANCE_END, -5, 0), fallback_window=fallback)
    bare = step("CAD-08", window=Window(Anchor.FINANCE_END, -5, 0), owner_role=OwnerRole.CARE_SPECIALIST)

    unknown = rules.plan(cadence(one, bare), days(), D)
    known = rules.plan(cadence(one, bare), days(finance_end=D + timedelta(days=400)), D)

    assert [(it.step, it.window_start) for it in unknown] == [("CAD-07", D + timedelta(days=60))]
    assert [it.window_end for it in known] == [D + timedelta(days=400)] * 2
