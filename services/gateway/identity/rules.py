"""When an account is locked, and what its owner may do where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.organisation.rules import GROUP, Held
from kit.rpc.principal import Assignment

_STORES = "stores/"
_REGIONS = "regions/"


@dataclass(frozen=True, slots=True)
class LockPolicy:
    """After so many failures in a row nothing is tried for this long; as long without one, they are forgotten."""

    failures: int
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures in a row, and when they are forgotten."""

    count: int
    expire_time: datetime


def locked_for(known: Failures | None, policy: LockPolicy, *, now: datetime) -> timedelta | None:
    """Return how long the account stays locked; nothing when it is not."""
    if known is None or known.count < policy.failures or known.expire_time <= now:
        return None
    return known.expire_time - now


def after_failure(known: Failures | None, policy: LockPolicy, *, now: datetime) -> Failures:
    """Return the count with one failure more; a count that has run out starts again."""
    before = known.count if known is not None and known.expire_time > now else 0
    return Failures(before + 1, now + policy.duration)


def regions_in(roles: Iterable[Held]) -> set[str]:
    """Return the regions whose stores must be known to say where the roles hold."""
    return {held.place.removeprefix(_REGIONS) for held in roles if held.place.startswith(_REGIONS)}


def assignments(roles: Iterable[Held], stores_of_region: Mapping[str, frozenset[str]]) -> tuple[Assignment, ...]:
    """Return the roles as a token carries them: per role the stores, or the group; a region means its stores today."""
    everywhere: set[str] = set()
    stores: dict[str, set[str]] = {}
    for held in roles:
        if held.place == GROUP:
            everywhere.add(held.role)
        elif held.place.startswith(_REGIONS):
            found = stores_of_region.get(held.place.removeprefix(_REGIONS), frozenset())
            stores.setdefault(held.role, set()).update(found)
        else:
            stores.setdefault(held.role, set()).add(held.place.removeprefix(_STORES))
    limited = {role: frozenset(ids) for role, ids in stores.items() if role not in everywhere}
    return (
        *(Assignment(role, None) for role in sorted(everywhere)),
        *(Assignment(role, limited[role]) for role in sorted(limited)),
    )
