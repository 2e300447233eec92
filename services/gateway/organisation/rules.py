"""What makes a store, an account and a password acceptable, and who may give which role."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final
from zoneinfo import available_timezones

from dealership.roles import GROUP_ROLES, REGION_ROLES, STORE_ROLES
from kit.errors import FieldViolation, InvalidArgument, PermissionDenied, invalid

DEFAULT_TIME_ZONE: Final = "Asia/Shanghai"
GROUP: Final = "group"
_STORES: Final = "stores"
_FEWEST_DIFFERENT: Final = 5


class RoleRefused(PermissionDenied):
    """The caller may not give this role in this place, or may not touch an account that has it."""

    reason = "ROLE_ASSIGNMENT_DENIED"


class OwnAccount(PermissionDenied):
    """Nobody changes his own roles, state or password through the staff directory."""

    reason = "OWN_ACCOUNT"


class RolesInvalid(InvalidArgument):
    """A role cannot be held in the place that was given."""

    reason = "ROLE_INVALID"


class WeakPassword(InvalidArgument):
    """The password is too easy to guess."""

    reason = "PASSWORD_WEAK"


@dataclass(frozen=True, slots=True)
class Held:
    """A role and the place where it is held: `group`, `regions/{region}` or `stores/{store}`."""

    role: str
    place: str


@dataclass(frozen=True, slots=True)
class Writer:
    """Where the caller may write staff: everywhere (`stores` is None), or in these stores."""

    staff_id: str
    stores: frozenset[str] | None


def time_zone(name: str, *, field: str) -> str:
    """Return the IANA zone to use; Shanghai's when none is given. Rule TIME_ZONE_UNKNOWN."""
    if not name:
        return DEFAULT_TIME_ZONE
    if name not in _zones():
        raise invalid(field, "TIME_ZONE_UNKNOWN", "not a time zone of the IANA database, such as Asia/Shanghai")
    return name


def placed(roles: Sequence[Held], *, home: str | None, field: str) -> list[Held]:
    """Return the roles with their places: a role without one is held in the member's own store.

    Raises RolesInvalid with rule ROLE_PLACE_MISSING (a group member's role needs a place), ROLE_PLACE (the role is not
    held in such a place) or ROLE_TWICE.
    """
    found: list[FieldViolation] = []
    result: list[Held] = []
    for index, held in enumerate(roles):
        at = f"{field}[{index}]"
        place = held.place or (f"{_STORES}/{home}" if home else "")
        if not place:
            found.append(FieldViolation(f"{at}.place", "ROLE_PLACE_MISSING", "say where the role is held"))
        elif held.role not in _roles_of(place):
            found.append(FieldViolation(f"{at}.place", "ROLE_PLACE", f"{held.role} is not held in {place}"))
        elif Held(held.role, place) in result:
            found.append(FieldViolation(at, "ROLE_TWICE", "the same role in the same place"))
        result.append(Held(held.role, place))
    if found:
        raise RolesInvalid("a role cannot be held so", violations=found)
    return result


def may_assign(writer: Writer, roles: Collection[Held]) -> bool:
    """Say whether the caller may give all of these: whoever writes staff in some stores gives roles of those only."""
    if writer.stores is None:
        return True
    allowed = {f"{_STORES}/{store}" for store in writer.stores}
    return all(held.place in allowed and held.role in STORE_ROLES for held in roles)


def check_create(writer: Writer, roles: Collection[Held]) -> None:
    """Refuse a new account with roles that the caller may not give; raises RoleRefused."""
    if not may_assign(writer, roles):
        raise RoleRefused("these roles are given by an administrator of the group")


def check_change(writer: Writer, staff_id: str, before: Collection[Held], after: Collection[Held]) -> None:
    """Refuse a change of oneself, and of an account that reaches further than the caller's own right.

    The roles before count too: whoever could set the password of a wider account would have its rights.
    Raises OwnAccount or RoleRefused.
    """
    if writer.staff_id == staff_id:
        raise OwnAccount("your own account is changed by another administrator; your password by changePassword")
    if not may_assign(writer, [*before, *after]):
        raise RoleRefused("this account is changed by an administrator of the group")


def check_password(password: str, *, known: Collection[str], field: str) -> None:
    """Refuse a password that says nothing new: its own user name, or a few characters repeated.

    Its length is a rule of the contract. Raises WeakPassword with rule PASSWORD_TOO_SIMPLE or PASSWORD_IS_NAME.
    """
    lowered = password.casefold()
    if len(set(lowered)) < _FEWEST_DIFFERENT:
        raise _weak(field, "PASSWORD_TOO_SIMPLE", f"needs at least {_FEWEST_DIFFERENT} different characters")
    if any(name and lowered == name.casefold() for name in known):
        raise _weak(field, "PASSWORD_IS_NAME", "must not be the name of its owner")


def _weak(field: str, rule: str, description: str) -> WeakPassword:
    return WeakPassword(description, violations=[FieldViolation(field, rule, description)])


def _roles_of(place: str) -> frozenset[str]:
    if place == GROUP:
        return GROUP_ROLES
    return STORE_ROLES if place.startswith(f"{_STORES}/") else REGION_ROLES


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
