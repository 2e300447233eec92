"""Who is calling: a person, another service, or nobody in particular."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

Grants: TypeAlias = Mapping[str, frozenset[str]]
"""Role → the permissions that it carries."""


class PrincipalKind(Enum):
    """What sort of caller it is."""

    STAFF = "staff"
    SERVICE = "service"
    PUBLIC = "public"


@dataclass(frozen=True)
class Assignment:
    """A role in a set of stores; `stores` is None where it holds for the whole group."""

    role: str
    stores: frozenset[str] | None


@dataclass(frozen=True)
class Reach:
    """Where a permission holds: everywhere, or in these stores (possibly none)."""

    group: bool
    stores: frozenset[str]

    def __contains__(self, store: object) -> bool:
        """Whether it holds in that store."""
        return self.group or store in self.stores

    def __bool__(self) -> bool:
        """Whether it holds anywhere."""
        return self.group or bool(self.stores)


@dataclass(frozen=True)
class Principal:
    """A caller whose token was verified.

    `id` is `staff/<id>`, `service:<name>` or `public`; it is what the audit trail shows.
    """

    id: str
    kind: PrincipalKind
    assignments: tuple[Assignment, ...] = ()

    @classmethod
    def staff(cls, staff_id: str, *assignments: Assignment) -> Principal:
        """A person (or a reporting client) with an account."""
        return cls(f"staff/{staff_id}", PrincipalKind.STAFF, assignments)

    @classmethod
    def service(cls, name: str) -> Principal:
        """Another service of this system."""
        return cls(f"service:{name}", PrincipalKind.SERVICE)

    @property
    def staff_id(self) -> str:
        """Id of the person; empty for a service and for the public."""
        return self.id.removeprefix("staff/") if self.kind is PrincipalKind.STAFF else ""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles held anywhere, sorted, each once."""
        return tuple(sorted({assignment.role for assignment in self.assignments}))

    def reach(self, permission: str, grants: Grants) -> Reach:
        """Where one of the principal's roles carries the permission; an unknown role carries none."""
        return _union(a for a in self.assignments if permission in grants.get(a.role, frozenset()))

    def presence(self) -> Reach:
        """Where the principal holds any role at all."""
        return _union(self.assignments)


PUBLIC = Principal("public", PrincipalKind.PUBLIC)
"""Anyone, without signing in."""


def _union(assignments: Iterable[Assignment]) -> Reach:
    stores: set[str] = set()
    for assignment in assignments:
        if assignment.stores is None:
            return Reach(group=True, stores=frozenset())
        stores |= assignment.stores
    return Reach(group=False, stores=frozenset(stores))
