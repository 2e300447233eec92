"""Who does what in a complaint (CMP-1 … CMP-8, CMP-11), and who hears of a clock."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol, assert_never

from customer_care.complaints.policy import Link, Policy
from customer_care.complaints.values import (
    CARE_MANAGER,
    GENERAL_MANAGER,
    MANAGERS,
    QUALITY_MANAGER,
    Actor,
    ClockKind,
    Department,
    Step,
    Verb,
)
from kit.errors import PermissionDenied

# Whoever may do these at all may do them in every complaint.
_ANYBODY: Final = frozenset({Verb.OPEN, Verb.RECORD_CONTACT, Verb.ARCHIVE, Verb.REOPEN})
_GENERAL_MANAGER: Final = frozenset({Verb.REVIEW, Verb.SIGN, Verb.EXTEND})
_DEPARTMENT: Final = frozenset({Verb.DISPATCH, Verb.RETURN})
# To whom it goes when nobody holds the role that was meant.
_UPWARDS: Final = (CARE_MANAGER, GENERAL_MANAGER, QUALITY_MANAGER)
_PAUSES: Final = frozenset({Verb.PAUSE, Verb.RESUME})


class Standing(Protocol):
    """Where a complaint stands, as a form or as a row."""

    @property
    def step(self) -> Step:
        """What it waits for."""
        ...

    @property
    def department(self) -> Department | None:
        """The responsible department."""
        ...

    @property
    def checker_id(self) -> str:
        """Who calls back in place of customer care; empty when customer care does."""
        ...


class NotYours(PermissionDenied):
    """Somebody else does this in this complaint; the metadata name the roles, or the person."""

    reason = "COMPLAINT_NOT_YOURS"


@dataclass(frozen=True, slots=True)
class Entitled:
    """Those who may: holders of one of the roles, and one person."""

    roles: tuple[str, ...] = ()
    staff_id: str = ""

    def covers(self, actor: Actor) -> bool:
        """Whether that is one of them."""
        return (bool(self.staff_id) and actor.staff_id == self.staff_id) or bool(actor.roles.intersection(self.roles))


def entitled(form: Standing, verb: Verb) -> Entitled | None:
    """Return who may do this with the complaint as it stands; None when everybody may who may do it at all."""
    if verb in _ANYBODY:
        return None
    if verb in _GENERAL_MANAGER:
        return Entitled((GENERAL_MANAGER,))
    if verb in _DEPARTMENT:
        return Entitled(_once(department_manager(form), GENERAL_MANAGER))
    if verb in _PAUSES:
        return Entitled(_once(department_manager(form), CARE_MANAGER, GENERAL_MANAGER))
    if verb is Verb.CALL_BACK and form.checker_id:
        # The GM named him, and stands in for whoever cannot, has left, or never was.
        return Entitled((GENERAL_MANAGER,), form.checker_id)
    return Entitled((CARE_MANAGER,))


def require(form: Standing, verb: Verb, actor: Actor) -> None:
    """Raise NotYours when somebody else does this in this complaint."""
    those = entitled(form, verb)
    if those is None or those.covers(actor):
        return
    roles = ", ".join(those.roles)
    if those.staff_id:
        message = "the person whom the general manager named does this in this complaint, or the general manager"
        raise NotYours(message, metadata={"staff": those.staff_id, "roles": roles})
    raise NotYours(f"in this complaint this is done by {roles}", metadata={"roles": roles})


def department_manager(form: Standing) -> str:
    """The role that answers for the responsible department; the care manager while there is none."""
    if form.department is None:
        return CARE_MANAGER
    return MANAGERS.get(form.department, GENERAL_MANAGER)


def told(form: Standing, kind: ClockKind, percent: int, policy: Policy) -> str:
    """Return the role that hears of this threshold: the warning who must act now, a breach whom the chain names."""
    link = dict(policy.chain).get(percent)
    match link:
        case None:
            return _acting(form, kind)
        case Link.DEPARTMENT_MANAGER:
            return department_manager(form)
        case Link.CARE_MANAGER:
            return CARE_MANAGER
        case Link.GENERAL_MANAGER:
            return GENERAL_MANAGER
        case Link.QUALITY_MANAGER:
            return QUALITY_MANAGER
        case _:
            assert_never(link)


def reached(role: str, held: Collection[str]) -> tuple[str, tuple[str, ...]]:
    """Return the role that hears in place of `role`, and the vacant ones before it: one level up until somebody does.

    `held` are the roles that somebody holds for the store. Where nobody is found at all it stays with the one that was
    meant: nobody is served better by it (CMP-11).
    """
    way = _UPWARDS[_UPWARDS.index(role) :] if role in _UPWARDS else (role, *_UPWARDS)
    for level, one in enumerate(way):
        if one in held:
            return one, way[:level]
    return role, ()


def _acting(form: Standing, kind: ClockKind) -> str:
    if kind in {ClockKind.CONTACT, ClockKind.PROGRESS}:
        return department_manager(form)
    match form.step:
        case Step.REVIEW | Step.SIGN:
            return GENERAL_MANAGER
        case Step.DISPATCH | Step.RETURN:
            return department_manager(form)
        case Step.CALL_BACK:
            # The checker was named by the GM, who sees to it that he calls.
            return GENERAL_MANAGER if form.checker_id else CARE_MANAGER
        case Step.OPINION | Step.ARCHIVE | Step.ARCHIVED:
            return CARE_MANAGER
        case _:
            assert_never(form.step)


def _once(*roles: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(roles))
