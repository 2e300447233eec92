"""How the rows of lists are checked, with nothing but what is in memory.

Apart from what takes them over: a large list is read in a process of its own, which loads no more than this.
"""

from __future__ import annotations

from datetime import date

from aftersales.imports import rules
from aftersales.imports.values import pack_visit
from kit.imports.values import Draft, Remark, Row


class VisitChecker:
    """The rules of one file; `today` is the store's date."""

    def __init__(self, store_id: str, today: date) -> None:
        self._store_id = store_id
        self._today = today

    def check(self, row: Row) -> tuple[Draft | None, list[Remark]]:
        """Decide about a row by itself."""
        visit, remarks = rules.read(row, today=self._today)
        if visit is None:
            return None, remarks
        return Draft(row.number, self._store_id, rules.key(visit), "", pack_visit(visit)), remarks
