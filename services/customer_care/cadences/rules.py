"""What makes a cadence template valid, and which version a delivery follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from customer_care.cadences.values import Anchor, Step, VersionState, Window
from kit.errors import Conflict, FieldViolation, InvalidArgument


class CadenceInvalid(InvalidArgument):
    """The steps contradict themselves; every violation is told at once."""

    reason = "CADENCE_INVALID"


class CadenceAlreadyPublished(Conflict):
    """A published version never changes, and is not published again."""

    reason = "CADENCE_ALREADY_PUBLISHED"


class _Published(Protocol):
    @property
    def publish_time(self) -> datetime | None: ...


Version = TypeVar("Version", bound=_Published)


def check(steps: Sequence[Step], questionnaires: Iterable[str], prefix: str) -> None:
    """Refuse steps that could not be planned; `questionnaires` are the codes that exist.

    Raises CadenceInvalid with rules STEP_CODE_UNIQUE, WINDOW_ORDER, FALLBACK_NEEDS_OTHER_ANCHOR, FALLBACK_ANCHOR,
    REPEAT_REQUIRED, REPEAT_EXCLUSIVE, REPEAT_UNUSED and QUESTIONNAIRE_UNKNOWN on paths below `prefix`.
    """
    known = frozenset(questionnaires)
    seen: set[str] = set()
    violations: list[FieldViolation] = []
    for index, step in enumerate(steps):
        path = f"{prefix}steps[{index}]"
        if step.code in seen:
            violations.append(FieldViolation(f"{path}.code", "STEP_CODE_UNIQUE", f"{step.code} is used twice"))
        seen.add(step.code)
        violations.extend(_windows(step, path))
        violations.extend(_repetition(step, path))
        if step.questionnaire and step.questionnaire not in known:
            text = "there is no published questionnaire of this code"
            violations.append(FieldViolation(f"{path}.questionnaire", "QUESTIONNAIRE_UNKNOWN", text))
    if violations:
        raise CadenceInvalid("the cadence contradicts itself", violations=violations)


def _windows(step: Step, path: str) -> Iterator[FieldViolation]:
    yield from _order(step.window, f"{path}.window")
    if step.fallback_window is None:
        return
    yield from _order(step.fallback_window, f"{path}.fallback_window")
    if step.window.anchor is Anchor.DELIVERY:
        text = "the day of the delivery is always known, so there is nothing to fall back from"
        yield FieldViolation(f"{path}.fallback_window", "FALLBACK_NEEDS_OTHER_ANCHOR", text)
    elif step.fallback_window.anchor is not Anchor.DELIVERY:
        text = "a fallback counts from the delivery, the only day that is always known"
        yield FieldViolation(f"{path}.fallback_window.anchor", "FALLBACK_ANCHOR", text)


def _order(window: Window, path: str) -> Iterator[FieldViolation]:
    if window.first_day > window.last_day:
        yield FieldViolation(f"{path}.last_day", "WINDOW_ORDER", "the last day is not before the first")


def _repetition(step: Step, path: str) -> Iterator[FieldViolation]:
    if step.repeat_days and step.repeat_months:
        yield FieldViolation(f"{path}.repeat_months", "REPEAT_EXCLUSIVE", "repeated by days or by months, not by both")
    elif step.occurrences > 1 and not (step.repeat_days or step.repeat_months):
        yield FieldViolation(
            f"{path}.repeat_days", "REPEAT_REQUIRED", "must be given for several occurrences, unless repeatMonths is"
        )
    elif step.occurrences <= 1 and (step.repeat_days or step.repeat_months):
        yield FieldViolation(f"{path}.occurrences", "REPEAT_UNUSED", "a distance needs several occurrences")


def publishable(state: VersionState) -> None:
    """Refuse to publish what is in force already. Raises CadenceAlreadyPublished."""
    if state is not VersionState.DRAFT:
        raise CadenceAlreadyPublished("this version is in force already")


def in_force(versions: Iterable[Version], at: datetime) -> Version | None:
    """Return the published version in force at a moment: the latest by then, else the earliest there is.

    Depends on `at` alone and not on when it is asked, so that a delivery follows the same version whenever its events
    arrive, and a later publication changes nothing for it. None when nothing was published.
    """
    published = sorted(((one.publish_time, index, one) for index, one in enumerate(versions) if one.publish_time))
    if not published:
        return None
    chosen = published[0][2]
    for publish_time, _, version in published:
        if publish_time is not None and publish_time <= at:
            chosen = version
    return chosen
