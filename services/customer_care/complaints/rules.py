"""The closed loop: what may be done at a step, and what follows from it (CMP-1 … CMP-13)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from customer_care.complaints import clocks
from customer_care.complaints.clocks import Hours
from customer_care.complaints.commands import (
    Archive,
    CallBack,
    Command,
    Dispatch,
    Extend,
    Pause,
    RecordContact,
    Reopen,
    Resume,
    Return,
    Review,
    SetOpinion,
    Sign,
)
from customer_care.complaints.entitlement import require
from customer_care.complaints.form import Form
from customer_care.complaints.policy import Policy
from customer_care.complaints.values import (
    CLOSED,
    Actor,
    ClockKind,
    Department,
    Level,
    Round,
    Severity,
    Step,
    Verb,
)
from kit.errors import Conflict, invalid

_VERB_OF_STEP: Final = {
    Step.OPINION: Verb.SET_OPINION,
    Step.REVIEW: Verb.REVIEW,
    Step.DISPATCH: Verb.DISPATCH,
    Step.RETURN: Verb.RETURN,
    Step.CALL_BACK: Verb.CALL_BACK,
    Step.SIGN: Verb.SIGN,
    Step.ARCHIVE: Verb.ARCHIVE,
}
# The contact clock never stands still: whatever is waited for, the customer is spoken to (CMP-11).
_PAUSABLE: Final = frozenset(ClockKind) - {ClockKind.CONTACT}


class WrongStep(Conflict):
    """The complaint waits for something else; the metadata name its step and the verbs that are accepted (CMP-13)."""

    reason = "COMPLAINT_WRONG_STEP"


class CustomerNotContacted(Conflict):
    """Nobody has spoken with the customer since the complaint was opened (CMP-5)."""

    reason = "COMPLAINT_CUSTOMER_NOT_CONTACTED"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When something is done, the figures of the group and the hours of the store."""

    now: datetime
    policy: Policy
    hours: Hours


def opened(level: Level, department: Department | None, severity: Severity | None, at: Circumstances) -> Form:
    """Return a new form with its clocks (CMP-1); one of a level that needs no GM begins with the call-back."""
    short = at.policy.is_short(level)
    form = Form(
        level=level,
        step=Step.CALL_BACK if short else Step.OPINION,
        department=department,
        severity=severity,
        open_time=at.now,
        since=at.now,
        rounds=(Round(1),),
    )
    form = _begin_all(form, at)
    return _begin_call_back(form, at) if short else _begin(form, ClockKind.RETURN, at)


def allowed(form: Form, policy: Policy) -> tuple[Verb, ...]:
    """Return what may be done next, whoever does it; a complaint that stands still is resumed first (CMP-13)."""
    if form.step is Step.ARCHIVED:
        return (Verb.REOPEN,)
    if form.step is Step.ARCHIVE:
        return (Verb.ARCHIVE, Verb.REOPEN)
    if form.paused_since is not None:
        return (Verb.RECORD_CONTACT, Verb.EXTEND, Verb.RESUME)
    own = [_VERB_OF_STEP[form.step]]
    if form.step is Step.RETURN and not form.contacted:
        own = []
    if form.step is Step.CALL_BACK and policy.is_short(form.level):
        # The care manager may raise it, so that it walks the whole loop.
        own.append(Verb.SET_OPINION)
    return (*own, Verb.RECORD_CONTACT, Verb.EXTEND, Verb.PAUSE)


def act(form: Form, command: Command, actor: Actor, at: Circumstances) -> Form:  # noqa: PLR0911, PLR0912 - a verb each
    """Return the form after the command.

    Raises WrongStep, CustomerNotContacted, NotYours, and InvalidArgument with the field and the rule that it breaks.
    """
    _check_step(form, command.verb, at.policy)
    require(form, command.verb, actor)
    match command:
        case SetOpinion():
            return _set_opinion(form, command, actor, at)
        case Review():
            return _review(form, command)
        case Dispatch():
            return _dispatch(form, command, at)
        case RecordContact():
            return _record_contact(form, command, at)
        case Return():
            return _return(form, command, at)
        case CallBack():
            return _call_back(form, command, at)
        case Sign():
            return _close(form, at)
        case Archive():
            return replace(form, step=Step.ARCHIVED)
        case Extend():
            return _extend(form, command, at)
        case Pause():
            return _pause(form, at)
        case Resume():
            return _resume(form, at)
        case Reopen():
            return _reopen(form, at)
        case _:
            assert_never(command)


def _check_step(form: Form, verb: Verb, policy: Policy) -> None:
    verbs = allowed(form, policy)
    if verb in verbs:
        return
    facts = {"step": form.step.value, "allowed_verbs": ",".join(verbs)}
    if verb is Verb.RETURN and form.step is Step.RETURN and form.paused_since is None:
        raise CustomerNotContacted("nobody has spoken with the customer yet; record the contact first", metadata=facts)
    waits = "is closed" if form.step in CLOSED else "stands still" if form.paused_since else f"waits for {form.step}"
    raise WrongStep(f"the complaint {waits}; accepted now: {', '.join(verbs)}", metadata=facts)


def _set_opinion(form: Form, command: SetOpinion, actor: Actor, at: Circumstances) -> Form:
    level = command.level or form.level
    if level.rank < form.level.rank:
        raise invalid("level", "LEVEL_LOWERED", f"must not be milder than it is now: {form.level}")
    was_short = at.policy.is_short(form.level)
    form = replace(
        form, level=level, department=command.department, severity=command.severity, opinion_by=actor.staff_id
    )
    if at.policy.is_short(level):
        return form
    form = replace(form, step=Step.REVIEW)
    if not was_short:
        return form
    # Until now nobody but customer care had to do anything: the department's time begins here.
    form = form.with_live_clock(ClockKind.CALL_BACK, lambda clock: clocks.stopped(clock, at.now))
    return _begin(form, ClockKind.RETURN, at)


def _review(form: Form, command: Review) -> Form:
    if not command.accepted:
        if not command.comment:
            raise invalid("comment", "COMMENT_REQUIRED", "must say why the opinion is not accepted")
        _no_checker(command)
        return replace(form, step=Step.OPINION)
    if form.department is not Department.CUSTOMER_CARE:
        _no_checker(command)
    elif not command.checker_id:
        raise invalid("checker", "CHECKER_REQUIRED", "must name who calls back: customer care itself is the cause")
    elif command.checker_id == form.opinion_by:
        raise invalid("checker", "CHECKER_NOT_ANOTHER", "must be somebody else than who gave the opinion")
    return replace(form, step=Step.DISPATCH, checker_id=command.checker_id)


def _no_checker(command: Review) -> None:
    if command.checker_id:
        description = "is only named when an opinion is accepted that makes customer care responsible"
        raise invalid("checker", "CHECKER_UNEXPECTED", description)


def _dispatch(form: Form, command: Dispatch, at: Circumstances) -> Form:
    sent = replace(form.round, dispatch_time=at.now, responsible_id=command.responsible_id)
    return replace(form.with_round(sent), step=Step.RETURN)


def _record_contact(form: Form, command: RecordContact, at: Circumstances) -> Form:
    when = command.at or at.now
    if when > at.now:
        raise invalid("contact_time", "CONTACT_IN_FUTURE", "must not be in the future")
    if when < form.since:
        raise invalid("contact_time", "CONTACT_BEFORE_OPENING", "must not lie before the complaint was opened")
    return _progress(_spoken(form, when), when, at)


def _return(form: Form, command: Return, at: Circumstances) -> Form:
    if command.promised_date < at.hours.local_date(at.now):
        raise invalid("promised_date", "PROMISED_DATE_PAST", "must not lie before today")
    form = form.with_round(replace(form.round, promised_date=command.promised_date, return_time=at.now))
    form = form.with_live_clock(ClockKind.RETURN, lambda clock: clocks.met(clock, at.now))
    # The customer has not heard of it yet: the progress clock goes on until somebody tells him.
    return replace(_begin_call_back(form, at), step=Step.CALL_BACK)


def _call_back(form: Form, command: CallBack, at: Circumstances) -> Form:
    form = form.with_round(replace(form.round, satisfied=command.satisfied, call_back_time=at.now))
    form = form.with_live_clock(ClockKind.CALL_BACK, lambda clock: clocks.met(clock, at.now))
    form = _spoken(form, at.now)
    short = at.policy.is_short(form.level)
    if command.satisfied:
        form = form.with_live_clock(ClockKind.PROGRESS, lambda clock: clocks.met(clock, at.now))
        return _close(form, at) if short else replace(form, step=Step.SIGN)
    form = _progress(form, at.now, at)
    form = replace(form, rounds=(*form.rounds, Round(form.round.number + 1)))
    form = _begin(form, ClockKind.RETURN, at)
    if short:
        return replace(form, level=at.policy.raised(form.level), step=Step.OPINION)
    return replace(form, step=Step.DISPATCH)


def _close(form: Form, at: Circumstances) -> Form:
    form = form.with_live_clock(ClockKind.CLOSE, lambda clock: clocks.met(clock, at.now))
    left = tuple(clocks.stopped(clock, at.now) if clock.live else clock for clock in form.clocks)
    return replace(form, step=Step.ARCHIVE, close_time=at.now, clocks=left)


def _extend(form: Form, command: Extend, at: Circumstances) -> Form:
    close = form.clock(ClockKind.CLOSE)
    assert close is not None
    if command.until <= max(at.now, clocks.due_now(close, at.now, at.hours)):
        raise invalid("due_time", "DUE_TIME_TOO_EARLY", "must be later than the closing is due now, and not past")
    if command.until > at.now + at.policy.longest_extension:
        days = at.policy.longest_extension.days
        raise invalid("due_time", "DUE_TIME_TOO_LATE", f"must be within {days} days")
    form = form.with_clock(clocks.extended(close, command.until, at.now, policy=at.policy, hours=at.hours))
    progress = form.clock(ClockKind.PROGRESS)
    # Who waits for the signature only has told the customer the result already.
    return form if form.step is Step.SIGN or progress is not None else _begin(form, ClockKind.PROGRESS, at)


def _pause(form: Form, at: Circumstances) -> Form:
    still = tuple(clocks.paused(one, at.now) if one.live and one.kind in _PAUSABLE else one for one in form.clocks)
    return replace(form, paused_since=at.now, clocks=still)


def _resume(form: Form, at: Circumstances) -> Form:
    running = tuple(
        clocks.resumed(one, at.now, at.hours) if one.live and one.paused_since is not None else one
        for one in form.clocks
    )
    return replace(form, paused_since=None, clocks=running)


def _reopen(form: Form, at: Circumstances) -> Form:
    again = replace(
        form,
        # A customer who comes back with a case that was closed by a call is not satisfied.
        level=at.policy.raised(form.level),
        # What was never dispatched has no opinion that the GM has accepted.
        step=Step.DISPATCH if any(one.dispatch_time for one in form.rounds) else Step.OPINION,
        since=at.now,
        close_time=None,
        rounds=(*form.rounds, Round(form.round.number + 1)),
    )
    return _begin(_begin_all(again, at), ClockKind.RETURN, at)


def _spoken(form: Form, when: datetime) -> Form:
    """The customer was spoken to: the earliest such moment ends the contact clock, whenever it is told."""
    clock = form.clock(ClockKind.CONTACT)
    if clock is not None and (clock.done is None or when < clock.done):
        form = form.with_clock(clocks.met(clock, when))
    first = when if form.contact_time is None else min(when, form.contact_time)
    return replace(form, contact_time=first)


def _progress(form: Form, when: datetime, at: Circumstances) -> Form:
    return form.with_live_clock(ClockKind.PROGRESS, lambda clock: clocks.restarted(clock, when, at.now, at.hours))


def _begin_all(form: Form, at: Circumstances) -> Form:
    return _begin(_begin(form, ClockKind.CONTACT, at), ClockKind.CLOSE, at)


def _begin(form: Form, kind: ClockKind, at: Circumstances) -> Form:
    return _start(form, kind, at.policy.length_of(kind), at)


def _begin_call_back(form: Form, at: Circumstances) -> Form:
    """The call-back is made on the same day, or in the first calling hours of the next opening (CMP-6)."""
    length = at.hours.calling_time_left(at.now) or at.policy.late_call_back
    return _start(form, ClockKind.CALL_BACK, length, at)


def _start(form: Form, kind: ClockKind, length: timedelta, at: Circumstances) -> Form:
    clock = clocks.begun(kind, form.round.number, at.now, length, policy=at.policy, hours=at.hours)
    before = form.clock(kind)
    if before is not None and before.round == clock.round:
        # As the call-back of a case that was raised: what the one before has fired stays told.
        clock = replace(clock, term=before.term + 1)
    still = form.paused_since is not None and kind in _PAUSABLE
    return form.with_clock(clocks.paused(clock, at.now) if still else clock)
