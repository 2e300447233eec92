"""The closed loop, rule by rule (CMP-1 … CMP-13, CARE-07)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from customer_care.complaints import clocks, commands, rules
from customer_care.complaints.clocks import Hours
from customer_care.complaints.commands import Command
from customer_care.complaints.entitlement import NotYours
from customer_care.complaints.form import Form
from customer_care.complaints.policy import Policy
from customer_care.complaints.rules import CustomerNotContacted, WrongStep
from customer_care.complaints.values import ClockKind, ClockState, Department, Level, Step, Verb
from dealership.calendar import BusinessCalendar
from kit.errors import InvalidArgument
from tests.support.complaints import (
    CARE,
    CONTACT,
    DAY,
    DISSATISFIED,
    FINANCE,
    GM,
    POLICY,
    SALES,
    SATISFIED,
    SHANGHAI,
    SPECIALIST,
    STEPS,
    WORKSHOP,
    answer,
    at,
    opened,
    opinion,
    person,
    walked,
    when,
)

WAITS = (Verb.RECORD_CONTACT, Verb.EXTEND, Verb.PAUSE)


def act(form: Form, command: Command, role: str, hour: int = 12, minute: int = 0, *, day: int = 0) -> Form:
    return rules.act(form, command, person(role), when(at(hour, minute, day=day)))


def clock(form: Form, kind: ClockKind) -> clocks.Clock:
    found = form.clock(kind)
    assert found is not None
    return found


def violated(form: Form, command: Command, role: str, hour: int = 12, *, day: int = 0) -> tuple[str, str]:
    with pytest.raises(InvalidArgument) as caught:
        act(form, command, role, hour, day=day)
    [one] = caught.value.violations
    return one.field, one.rule


def test_cmp_1_all_clocks_start_at_opening() -> None:
    form = opened()

    due = {one.kind: one.due for one in form.clocks}
    assert due == {
        ClockKind.CONTACT: at(12),
        ClockKind.RETURN: at(22),
        ClockKind.CLOSE: at(10, day=1),
    }
    assert {one.start for one in form.clocks} == {at(10)}


def test_cmp_4_an_opening_at_night_is_contacted_in_the_morning() -> None:
    form = opened(now=at(22))

    assert clock(form, ClockKind.CONTACT).due == at(11, day=1)
    assert clock(form, ClockKind.RETURN).due == at(10, day=1)
    assert clock(form, ClockKind.CLOSE).due == at(22, day=1)


def test_the_good_way_passes_every_step() -> None:
    steps = [walked(number).step for number in range(len(STEPS) + 1)]

    assert steps == [
        *(Step.OPINION, Step.REVIEW, Step.DISPATCH, Step.RETURN, Step.RETURN),
        *(Step.CALL_BACK, Step.SIGN, Step.ARCHIVE, Step.ARCHIVED),
    ]


@pytest.mark.parametrize(
    ("steps", "verbs"),
    [
        (0, (Verb.SET_OPINION, *WAITS)),
        (1, (Verb.REVIEW, *WAITS)),
        (2, (Verb.DISPATCH, *WAITS)),
        (3, WAITS),
        (4, (Verb.RETURN, *WAITS)),
        (5, (Verb.CALL_BACK, *WAITS)),
        (6, (Verb.SIGN, *WAITS)),
        (7, (Verb.ARCHIVE, Verb.REOPEN)),
        (8, (Verb.REOPEN,)),
    ],
)
def test_cmp_13_each_step_has_its_verbs(steps: int, verbs: tuple[Verb, ...]) -> None:
    assert rules.allowed(walked(steps), POLICY) == verbs


def test_cmp_13_a_wrong_step_names_the_step_and_the_verbs() -> None:
    with pytest.raises(WrongStep) as caught:
        act(opened(), commands.Sign(), GM)
    assert caught.value.metadata == {"step": "OPINION", "allowed_verbs": "SET_OPINION,RECORD_CONTACT,EXTEND,PAUSE"}


def test_cmp_13_the_step_is_looked_at_before_the_person() -> None:
    with pytest.raises(WrongStep):
        act(opened(), commands.Dispatch("li-lei"), FINANCE)


def test_cmp_3_an_opinion_that_will_not_do_goes_back_with_a_comment() -> None:
    form = walked(1)

    assert violated(form, commands.Review(accepted=False), GM) == ("comment", "COMMENT_REQUIRED")
    assert act(form, commands.Review(accepted=False, comment="Which department?"), GM).step is Step.OPINION


def test_cmp_5_return_needs_a_contact_in_the_present_complaint() -> None:
    with pytest.raises(CustomerNotContacted):
        act(walked(3), answer(), SALES)
    again = act(walked(8), commands.Reopen("Again."), CARE)
    sent = act(again, commands.Dispatch("li-lei"), SALES, 13)
    with pytest.raises(CustomerNotContacted):
        act(sent, answer(), SALES, 14)
    assert act(act(sent, CONTACT, SPECIALIST, 14), answer(), SALES, 14).step is Step.CALL_BACK


def test_cmp_5_what_is_promised_lies_not_before_today() -> None:
    form = walked(4)

    assert violated(form, answer(DAY - timedelta(days=1)), SALES) == ("promised_date", "PROMISED_DATE_PAST")
    assert act(form, answer(DAY), SALES).step is Step.CALL_BACK
    # Half past midnight in the store is still yesterday in UTC.
    assert violated(form, answer(DAY), SALES, 0, day=1) == ("promised_date", "PROMISED_DATE_PAST")


def test_cmp_4_the_first_contact_ends_the_contact_clock() -> None:
    form = act(opened(), CONTACT, SPECIALIST, 11)

    assert clock(form, ClockKind.CONTACT).done == at(11)
    assert act(form, CONTACT, SPECIALIST, 12).contact_time == at(11)


def test_a_contact_counts_when_it_was_and_not_when_it_was_told() -> None:
    told_late = commands.RecordContact(CONTACT.channel, "Called at eleven.", at(11))
    form = act(opened(), told_late, SPECIALIST, 15)

    assert clocks.state(clock(form, ClockKind.CONTACT), at(15)) is ClockState.MET
    assert form.contact_time == at(11)
    earlier = commands.RecordContact(CONTACT.channel, "He came at half past ten.", at(10, 30))
    assert act(form, earlier, SPECIALIST, 16).contact_time == at(10, 30)


@pytest.mark.parametrize(("hour", "rule"), [(13, "CONTACT_IN_FUTURE"), (9, "CONTACT_BEFORE_OPENING")])
def test_a_contact_lies_between_the_opening_and_now(hour: int, rule: str) -> None:
    command = commands.RecordContact(CONTACT.channel, "?", at(hour))

    assert violated(opened(), command, SPECIALIST) == ("contact_time", rule)


@pytest.mark.parametrize(
    ("returned", "due"),
    [
        (at(11), at(20)),
        (at(19, 59), at(20)),
        (at(20), at(11, day=1)),
        (at(23), at(11, day=1)),
        (at(7, day=1), at(20, day=1)),
    ],
)
def test_cmp_6_the_call_back_is_due_today_or_in_the_first_two_hours_of_the_next_day(
    returned: object, due: object
) -> None:
    form = rules.act(walked(4), answer(DAY + timedelta(days=9)), person(SALES), when(returned))  # type: ignore[arg-type]

    assert clock(form, ClockKind.CALL_BACK).due == due


def test_cmp_6_a_customer_who_is_not_satisfied_begins_a_round_at_dispatch() -> None:
    form = act(walked(5), DISSATISFIED, CARE, 15)

    assert (form.step, form.round.number, form.round.satisfied) == (Step.DISPATCH, 2, None)
    assert form.rounds[0].satisfied is False
    assert clock(form, ClockKind.RETURN).due == at(3, day=1)
    assert clock(form, ClockKind.CLOSE).due == at(10, day=1)
    assert not clock(form, ClockKind.CALL_BACK).live


def test_cmp_7_the_signature_closes_and_stops_every_clock() -> None:
    form = act(walked(6), commands.Sign(), GM, 15)

    assert (form.step, form.close_time) == (Step.ARCHIVE, at(15))
    assert clocks.state(clock(form, ClockKind.CLOSE), at(15)) is ClockState.MET
    assert not any(one.live for one in form.clocks)


def test_cmp_7_a_late_signature_is_late_for_ever() -> None:
    form = act(walked(6), commands.Sign(), GM, 11, day=1)

    assert clocks.state(clock(form, ClockKind.CLOSE), at(12, day=400)) is ClockState.MET_LATE


def test_care_07_a_dissatisfaction_begins_with_the_call_back() -> None:
    form = opened(Level.DISSATISFACTION)

    assert form.step is Step.CALL_BACK
    assert {one.kind for one in form.clocks} == {ClockKind.CONTACT, ClockKind.CLOSE, ClockKind.CALL_BACK}
    assert clock(form, ClockKind.CALL_BACK).due == at(20)
    closed = act(form, SATISFIED, CARE, 11)
    assert (closed.step, closed.contact_time) == (Step.ARCHIVE, at(11))
    assert all(clocks.state(one, at(11)) is ClockState.MET for one in closed.clocks)


def test_care_07_a_dissatisfaction_that_stays_one_becomes_a_grievance() -> None:
    form = act(opened(Level.DISSATISFACTION), DISSATISFIED, CARE, 15)

    assert (form.level, form.step, form.round.number) == (Level.GRIEVANCE, Step.OPINION, 2)
    assert clock(form, ClockKind.RETURN).due == at(3, day=1)
    assert clock(form, ClockKind.CLOSE).due == at(10, day=1)


def test_cmp_2_the_opinion_may_raise_a_dissatisfaction_into_the_whole_loop() -> None:
    short = opened(Level.DISSATISFACTION)

    kept = act(short, opinion(), CARE, 11)
    raised = act(short, opinion(level=Level.COMPLAINT), CARE, 11)

    assert (kept.step, kept.department) == (Step.CALL_BACK, Department.SALES)
    assert (raised.step, raised.level, raised.round.number) == (Step.REVIEW, Level.COMPLAINT, 1)
    assert clock(raised, ClockKind.RETURN).due == at(23)
    assert clocks.state(clock(raised, ClockKind.CALL_BACK), at(11)) is ClockState.STOPPED


def test_cmp_6_a_second_call_back_clock_of_a_round_counts_its_thresholds_anew() -> None:
    raised = act(opened(Level.DISSATISFACTION), opinion(level=Level.COMPLAINT), CARE, 11)
    reviewed = act(act(raised, commands.Review(accepted=True), GM), commands.Dispatch("li-lei"), SALES)
    returned = act(act(reviewed, CONTACT, SALES), answer(), SALES, 13)

    again = clock(returned, ClockKind.CALL_BACK)
    assert (again.round, again.live, again.start) == (1, True, at(13))
    assert again.term == clock(raised, ClockKind.CALL_BACK).term + 1


def test_cmp_2_no_opinion_makes_a_case_milder() -> None:
    assert violated(opened(), opinion(level=Level.GRIEVANCE), CARE) == ("level", "LEVEL_LOWERED")


def test_care_07_which_levels_walk_the_whole_loop_is_a_figure() -> None:
    strict = Policy(whole_loop=frozenset({Level.COMPLAINT}))
    form = opened(Level.GRIEVANCE, policy=strict)

    assert form.step is Step.CALL_BACK
    again = rules.act(form, DISSATISFIED, person(CARE), when(at(11), policy=strict))
    assert (again.level, again.step) == (Level.COMPLAINT, Step.OPINION)
    assert opened(Level.DISSATISFACTION, policy=Policy(whole_loop=frozenset(Level))).step is Step.OPINION


def test_cmp_11_the_gm_names_a_checker_when_customer_care_is_the_cause() -> None:
    care = act(opened(), opinion(Department.CUSTOMER_CARE), CARE)
    sales = act(opened(), opinion(), CARE)

    assert violated(care, commands.Review(accepted=True), GM) == ("checker", "CHECKER_REQUIRED")
    own = commands.Review(accepted=True, checker_id="zhao-care")
    assert violated(care, own, GM) == ("checker", "CHECKER_NOT_ANOTHER")
    assert violated(sales, commands.Review(accepted=True, checker_id="x"), GM) == ("checker", "CHECKER_UNEXPECTED")
    form = act(care, commands.Review(accepted=True, checker_id="qian-sales"), GM)
    for role, command in ((CARE, commands.Dispatch("sun-care")), (CARE, CONTACT), (CARE, answer())):
        form = act(form, command, role)
    with pytest.raises(NotYours) as caught:
        act(form, SATISFIED, CARE)
    assert caught.value.metadata == {"staff": "qian-sales", "roles": "ROLE_GENERAL_MANAGER"}
    assert act(form, SATISFIED, SALES).step is Step.SIGN
    assert act(form, SATISFIED, GM).step is Step.SIGN  # a checker who left, or never was, holds nothing up


@pytest.mark.parametrize(
    ("steps", "command", "refused"),
    [
        (0, opinion(), (GM, SALES, SPECIALIST)),
        (1, commands.Review(accepted=True), (CARE, SALES)),
        (2, commands.Dispatch("li-lei"), (CARE, WORKSHOP, FINANCE)),
        (4, answer(), (CARE, WORKSHOP)),
        (5, SATISFIED, (GM, SALES, SPECIALIST)),
        (6, commands.Sign(), (CARE, SALES)),
        (2, commands.Extend("Parts.", at(10, day=3)), (CARE, SALES)),
        (2, commands.Pause("Parts."), (WORKSHOP, SPECIALIST)),
    ],
)
def test_somebody_else_is_told_whose_turn_it_is(steps: int, command: Command, refused: tuple[str, ...]) -> None:
    for role in refused:
        with pytest.raises(NotYours) as caught:
            act(walked(steps), command, role)
        assert role not in caught.value.metadata["roles"]


def test_cmp_10_an_extension_moves_the_closing_and_begins_the_progress_clock() -> None:
    form = act(opened(), commands.Extend("Parts.", at(10, day=4)), GM)

    assert clock(form, ClockKind.CLOSE).due == at(10, day=4)
    assert clock(form, ClockKind.CLOSE).start == at(10)
    assert clock(form, ClockKind.PROGRESS).due == at(12, day=3)
    later = act(form, commands.Extend("Still.", at(10, day=9)), GM, 13, day=1)
    assert clock(later, ClockKind.PROGRESS).due == at(12, day=3)
    assert len([one for one in later.clocks if one.kind is ClockKind.PROGRESS]) == 1


def test_cmp_10_every_contact_begins_the_three_days_anew_until_the_customer_is_satisfied() -> None:
    extended = act(walked(3), commands.Extend("Parts.", at(10, day=9)), GM)

    told = act(extended, CONTACT, SALES, 15)
    assert clock(told, ClockKind.PROGRESS).due == at(15, day=3)
    returned = act(told, answer(DAY + timedelta(days=9)), SALES, 16)
    # The customer has not heard of it yet.
    assert clock(returned, ClockKind.PROGRESS).due == at(15, day=3)
    again = act(returned, DISSATISFIED, CARE, 17)
    assert clock(again, ClockKind.PROGRESS).due == at(17, day=3)
    assert not clock(act(returned, SATISFIED, CARE, 17), ClockKind.PROGRESS).live


def test_cmp_10_a_contact_that_is_told_late_takes_no_time_away() -> None:
    extended = act(act(opened(), commands.Extend("Parts.", at(10, day=9)), GM), CONTACT, SALES, 15)
    told_late = commands.RecordContact(CONTACT.channel, "Before that.", at(13))

    assert clock(act(extended, told_late, SALES, 16), ClockKind.PROGRESS).due == at(15, day=3)


@pytest.mark.parametrize(
    ("until", "rule"),
    [(at(10, day=1), "DUE_TIME_TOO_EARLY"), (at(11), "DUE_TIME_TOO_EARLY"), (at(13, day=366), "DUE_TIME_TOO_LATE")],
)
def test_cmp_10_an_extension_gives_more_time_within_a_year(until: object, rule: str) -> None:
    assert violated(opened(), commands.Extend("?", until), GM) == ("due_time", rule)  # type: ignore[arg-type]


def test_cmp_11_a_pause_stops_all_clocks_but_the_first_contact() -> None:
    form = act(act(opened(), commands.Pause("Parts."), GM, 11), commands.Resume(), GM, 13, 30)

    assert clock(form, ClockKind.CLOSE).due == at(12, 30, day=1)
    assert clock(form, ClockKind.CLOSE).paused == timedelta(hours=2, minutes=30)
    assert clock(form, ClockKind.RETURN).due == at(0, 30, day=1)
    assert clock(form, ClockKind.CONTACT).due == at(12)
    assert {one.start for one in form.clocks} == {at(10)}


def test_cmp_11_what_stands_still_is_resumed_before_it_moves_on() -> None:
    still = act(walked(5), commands.Pause("Waiting for the customer."), CARE)

    assert rules.allowed(still, POLICY) == (Verb.RECORD_CONTACT, Verb.EXTEND, Verb.RESUME)
    with pytest.raises(WrongStep):
        act(still, SATISFIED, CARE)
    assert act(act(still, commands.Resume(), CARE, 13), SATISFIED, CARE, 14).step is Step.SIGN


def test_cmp_10_an_extension_during_a_pause_adds_to_it() -> None:
    still = act(opened(), commands.Pause("Parts."), GM, 12)
    longer = act(still, commands.Extend("Parts.", at(10, day=5)), GM, 14)
    running = act(longer, commands.Resume(), GM, 16)

    assert clocks.due_now(clock(longer, ClockKind.CLOSE), at(14), when(at(14)).hours) == at(10, day=5)
    assert clock(running, ClockKind.CLOSE).due == at(12, day=5)
    assert clock(running, ClockKind.CLOSE).paused == timedelta(hours=4)
    assert clock(running, ClockKind.PROGRESS).due == at(16, day=3)


def test_cmp_12_a_closed_form_is_opened_again_with_new_clocks_at_dispatch() -> None:
    form = act(walked(8), commands.Reopen("Again."), CARE, 9, day=5)

    assert (form.step, form.round.number, form.department) == (Step.DISPATCH, 2, Department.SALES)
    assert (form.close_time, form.open_time, form.since) == (None, at(10), at(9, day=5))
    assert clock(form, ClockKind.CONTACT).due == at(11, day=5)
    assert clock(form, ClockKind.RETURN).due == at(21, day=5)
    assert clock(form, ClockKind.CLOSE).due == at(9, day=6)


def test_cmp_12_what_never_had_an_accepted_opinion_is_opened_again_at_the_opinion() -> None:
    closed = act(opened(Level.DISSATISFACTION, department=Department.SALES), SATISFIED, CARE)
    form = act(closed, commands.Reopen("Again."), GM, 9, day=5)

    assert (form.step, form.level) == (Step.OPINION, Level.GRIEVANCE)


def test_a_store_that_never_opens_counts_all_time() -> None:
    nowhere = Hours(BusinessCalendar({}), SHANGHAI)
    form = opened(hours=nowhere)

    assert clock(form, ClockKind.CONTACT).due == at(12)
    assert clock(opened(Level.DISSATISFACTION, hours=nowhere), ClockKind.CALL_BACK).due == at(12)


def test_a_store_that_opens_no_longer_lets_its_clocks_count_all_time() -> None:
    closed_down = Hours(BusinessCalendar({}), SHANGHAI)
    form = rules.act(walked(5), commands.Pause("Closed."), person(CARE), when(at(12)))
    begun = clock(form, ClockKind.CALL_BACK)

    running = rules.act(form, commands.Resume(), person(CARE), when(at(15), hours=closed_down))

    due = begun.start + begun.length
    assert clocks.due_now(begun, at(15), closed_down) == clock(running, ClockKind.CALL_BACK).due == due
