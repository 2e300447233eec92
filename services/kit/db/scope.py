"""The row scope: which stores' rows one transaction may see and write."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Self

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import InstrumentedAttribute

SETTING = "dealerloop.scope"
_STORE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Reach(Enum):
    """How far a scope goes."""

    STORES = "stores"
    GROUP = "group"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Scope:
    """Some stores, or all of them; row-level security enforces it inside the database.

    `Scope.group()` is a person or service that may see the whole group; `Scope.system()` is the machinery itself,
    and says what for. Both see every row.
    """

    reach: Reach
    store_ids: frozenset[str] = frozenset()
    reason: str = ""

    @classmethod
    def store(cls, store_id: str) -> Self:
        """One store's rows. Raises ValueError when this cannot be a store's id."""
        return cls.stores((store_id,))

    @classmethod
    def stores(cls, store_ids: Iterable[str]) -> Self:
        """These stores' rows; none at all when empty. Raises ValueError for what cannot be a store's id."""
        chosen = frozenset(store_ids)
        for store_id in chosen:
            if not _STORE_ID.fullmatch(store_id):
                raise ValueError("this cannot be the id of a store")
        return cls(Reach.STORES, chosen)

    @classmethod
    def group(cls) -> Self:
        """Every store's rows, for a caller who is allowed the whole group."""
        return cls(Reach.GROUP)

    @classmethod
    def system(cls, reason: str) -> Self:
        """Every store's rows, for a worker; the reason is for the reader of the code and the logs."""
        return cls(Reach.SYSTEM, reason=reason)

    @property
    def sees_all(self) -> bool:
        """Whether every store is in reach."""
        return self.reach is not Reach.STORES

    def covers(self, store_id: str) -> bool:
        """Whether that store's rows are in reach."""
        return self.sees_all or store_id in self.store_ids

    @property
    def setting(self) -> str:
        """The value of the transaction's setting: `group`, or `stores:` and a sorted list with commas."""
        return "group" if self.sees_all else "stores:" + ",".join(sorted(self.store_ids))

    def limit(self, column: InstrumentedAttribute[str] | ColumnElement[str]) -> ColumnElement[bool]:
        """Return the same limit as a WHERE term.

        Security does not need it; the planner does: an index on (store_id, …) is only found through a plain
        comparison, since the policy must also allow for the group.
        """
        if self.sees_all:
            return true()
        if len(self.store_ids) == 1:
            return column == next(iter(self.store_ids))
        return column.in_(sorted(self.store_ids))
