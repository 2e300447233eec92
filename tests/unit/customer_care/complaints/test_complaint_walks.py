"""Anybody does anything at any time: what must hold whatever happens to a complaint (CMP-6 … CMP-13)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_care.complaints import clocks, commands, entitlement, rules
from customer_care.complaints.clocks import Clock, Hours
from customer_care.complaints.commands import Command
from customer_care.complaints.entitlement import NotYours
from customer_care.complaints.form import Form
from customer_care.complaints.policy import TimeKind
from customer_care.complaints.rules import CustomerNotContacted, WrongStep
from customer_care.complaints.values import CLOSED, Actor, ClockKind, Department, Level, Verb
from dealership.calendar import BusinessCalendar, Interval
from tests.support.complaints import (
    CARE,
    CONTACT,
    DISSATISFIED,
    FINANCE,
    GM,
    NAMES,
    POLICY,
    SALES,
    SATISFIED,
    SHANGHAI,
    SPECIALIST,
    WORKSHOP,
    answer,
    at,
    opinion,
    person,
    when,
)

LUNCH = (Interval(9 * 60, 12 * 60), Interval(13 * 60, 18 * 60))
# Closed on Sundays.
HOURS = Hours(BusinessCalendar(dict.fromkeys(range(1, 7), LUNCH)), SHANGHAI)
ROLES = (GM, CARE, SPECIALIST, SALES, WORKSHOP, FINANCE)
LATE = at(10, day=300)
Key = tuple[ClockKind, int]


def command_of(verb: Verb, one: Complaint, draw: int) -> Command:
    """A command that fits the complaint; `draw` chooses where there is a choice."""
    close = one.form.clock(ClockKind.CLOSE)
    assert close is not None
    later = max(one.now, clocks.due_now(close, one.now, HOURS)) + timedelta(hours=1 + draw)
    departments = (Department.SALES, Department.AFTERSALES, Department.INSURANCE, Department.CUSTOMER_CARE)
    made: dict[Verb, Command] = {
        Verb.SET_OPINION: opinion(departments[draw % 4], Level.COMPLAINT if draw % 3 == 0 else None),
        Verb.REVIEW: commands.Review(accepted=draw % 4 != 0, comment="?"),
        Verb.DISPATCH: commands.Dispatch("li-lei"),
        Verb.RECORD_CONTACT: CONTACT,
        Verb.RETURN: answer(LATE.date()),
        Verb.CALL_BACK: SATISFIED if draw % 2 else DISSATISFIED,
        Verb.SIGN: commands.Sign(),
        Verb.ARCHIVE: commands.Archive("."),
        Verb.EXTEND: commands.Extend("?", later),
        Verb.PAUSE: commands.Pause("?"),
        Verb.RESUME: commands.Resume(),
        Verb.REOPEN: commands.Reopen("?"),
    }
    command = made[verb]
    if isinstance(command, commands.Review) and command.accepted and one.form.department is Department.CUSTOMER_CARE:
        return commands.Review(accepted=True, checker_id=NAMES[WORKSHOP])
    return command


@dataclass
class Complaint:
    """A complaint with its history, as the service keeps it, and time that passes."""

    form: Form
    now: datetime
    version: int = 1
    actions: list[Verb] = field(default_factory=lambda: [Verb.OPEN])
    fired: Counter[tuple[ClockKind, int, int, int]] = field(default_factory=Counter)
    stood_still: dict[Key, timedelta] = field(default_factory=dict)

    def wait(self, span: timedelta) -> None:
        """Let time pass; every threshold on the way fires in its order."""
        end = self.now + span
        while True:
            due = [
                (firing.at, one, firing.percent)
                for one in self.form.clocks
                if (firing := clocks.next_firing(one, policy=POLICY, hours=HOURS)) is not None and firing.at <= end
            ]
            if not due:
                break
            moment, one, percent = min(due, key=lambda each: (each[0], each[1].kind))
            assert one.live
            assert one.paused_since is None
            if percent == 100:
                assert moment == one.due
            self.fired[one.kind, one.round, one.term, percent] += 1
            assert entitlement.told(self.form, one.kind, percent, POLICY).startswith("ROLE_")
            self.form = self.form.with_clock(clocks.passed(one, percent))
        if self.form.paused_since is not None:
            for one in self.form.clocks:
                if one.live and one.kind is not ClockKind.CONTACT:
                    self.stood_still[one.kind, one.round] = (
                        self.stood_still.get((one.kind, one.round), timedelta()) + span
                    )
        self.now = end

    def attempt(self, command: Command, actor: Actor) -> bool:
        """Do it, or be refused for the step or the person; returns whether it was done."""
        before = self.form
        try:
            self.form = rules.act(before, command, actor, when(self.now, hours=HOURS))
        except (WrongStep, CustomerNotContacted) as refused:
            listed = refused.metadata["allowed_verbs"].split(",")
            assert listed == list(rules.allowed(before, POLICY))
            assert command.verb not in listed
            return False
        except NotYours:
            assert command.verb in rules.allowed(before, POLICY)
            return False
        self.version += 1
        self.actions.append(command.verb)
        for one in self.form.clocks:
            if one.term > 1 and one.start == self.now:
                self.stood_still.pop((one.kind, one.round), None)
        return True


def entitled_actor(form: Form, verb: Verb) -> Actor:
    those = entitlement.entitled(form, verb)
    if those is None:
        return person(SPECIALIST)
    return person(SALES, those.staff_id) if those.staff_id else person(those.roles[0])


def check(before: Form, one: Complaint) -> None:
    """What must hold after every step."""
    form = one.form
    assert one.version == len(one.actions)
    # Closed only by a satisfied customer, and by the GM where the level asks for him.
    assert (form.close_time is not None) == (form.step in CLOSED)
    if form.step in CLOSED:
        assert form.round.satisfied is True
        last_opening = max(place for place, verb in enumerate(one.actions) if verb in {Verb.OPEN, Verb.REOPEN})
        assert POLICY.is_short(form.level) or Verb.SIGN in one.actions[last_opening:]
        assert not any(clock.live for clock in form.clocks)
        assert form.paused_since is None
    else:
        assert form.clock(ClockKind.CLOSE) is not None
    # Rounds follow one another.
    assert [each.number for each in form.rounds] == list(range(1, len(form.rounds) + 1))
    assert all(each.satisfied is not None for each in form.rounds[:-1])
    # Clocks.
    keys = [(clock.kind, clock.round) for clock in form.clocks]
    assert len(keys) == len(set(keys))
    assert all(count == 1 for count in one.fired.values())
    known = {(clock.kind, clock.round): clock for clock in before.clocks}
    for clock in form.clocks:
        check_clock(known.get((clock.kind, clock.round)), clock, one)


def check_clock(before: Clock | None, clock: Clock, one: Complaint) -> None:
    due = clocks.due_now(clock, one.now, HOURS)
    assert clocks.paused_for(clock, one.now) == one.stood_still.get((clock.kind, clock.round), timedelta())
    if clock.kind is ClockKind.CONTACT:
        assert clock.paused == timedelta()
        assert clock.paused_since is None
    if clock.time is TimeKind.ELAPSED:
        assert due == clock.start + clock.length + clocks.paused_for(clock, one.now)
    else:
        counted = HOURS.between(clock.time, clock.start, due)
        assert timedelta() <= counted - clock.length <= clocks.paused_for(clock, one.now)
    if before is None:
        return
    assert due >= clocks.due_now(before, one.now, HOURS)
    assert clock.term >= before.term
    assert before.live or clock == before
    if clock.start != before.start:
        assert clock.kind is ClockKind.PROGRESS


WALKS = st.lists(
    st.tuples(
        st.integers(0, 3 * 24 * 60),
        st.sampled_from([verb for verb in Verb if verb is not Verb.OPEN]),
        st.one_of(st.none(), st.sampled_from(ROLES)),
        st.integers(0, 100),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


@given(st.sampled_from(list(Level)), st.integers(0, 7 * 24 * 60), WALKS)
def test_whatever_people_do_the_loop_holds(
    level: Level, start: int, walk: list[tuple[int, Verb, str | None, int, bool]]
) -> None:
    now = at(0) + timedelta(minutes=start)
    one = Complaint(rules.opened(level, None, None, when(now, hours=HOURS)), now)
    check(one.form, one)

    for minutes, verb, role, draw, forward in walk:
        one.wait(timedelta(minutes=minutes))
        # Half of the time somebody does what it waits for, so that walks get far.
        chosen = rules.allowed(one.form, POLICY)[0] if forward else verb
        command = command_of(chosen, one, draw)
        actor = entitled_actor(one.form, chosen) if role is None or forward else person(role)
        before, version = one.form, one.version
        done = one.attempt(command, actor)
        assert one.version == version + done
        assert done or one.form is before
        check(before, one)


@given(st.sampled_from(list(Level)), WALKS)
def test_cmp_13_exactly_the_verbs_that_are_listed_are_accepted(
    level: Level, walk: list[tuple[int, Verb, str | None, int, bool]]
) -> None:
    one = Complaint(rules.opened(level, None, None, when(at(10), hours=HOURS)), at(10))

    for minutes, verb, _, draw, forward in walk[:12]:
        accepted = tuple(
            each
            for each in Verb
            if each is not Verb.OPEN
            and Complaint(one.form, one.now).attempt(command_of(each, one, draw), entitled_actor(one.form, each))
        )
        assert set(accepted) == set(rules.allowed(one.form, POLICY))
        one.wait(timedelta(minutes=minutes))
        chosen = accepted[0] if forward else verb
        one.attempt(command_of(chosen, one, draw), entitled_actor(one.form, chosen))


@pytest.mark.parametrize("kind", [ClockKind.CLOSE, ClockKind.CONTACT])
def test_a_clock_that_nobody_answers_fires_each_threshold_once_at_its_time(kind: ClockKind) -> None:
    one = Complaint(rules.opened(Level.COMPLAINT, None, None, when(at(10), hours=HOURS)), at(10))

    one.wait(timedelta(days=60))

    assert {percent: count for (clock, _, _, percent), count in one.fired.items() if clock is kind} == {
        75: 1,
        100: 1,
        125: 1,
        150: 1,
        200: 1,
    }
