"""What a recomputation says."""

from __future__ import annotations

from dataclasses import dataclass, field

from scoring.grades.values import CellKey, Tally

Cells = dict[CellKey, Tally]


@dataclass(frozen=True, slots=True)
class Place:
    """The cells of one store and month: the live ones, or those of a revision."""

    month: str
    store_id: str
    revision: int = 0

    def __str__(self) -> str:
        """As it is shown to people."""
        where = f"revision {self.revision}" if self.revision else "live"
        return f"{self.month} {self.store_id} {where}"


@dataclass
class Findings:
    """How much was recomputed, and how many differences that found."""

    stores: int = 0
    revisions: int = 0
    responses: int = 0
    cells: int = 0
    differences: int = 0
    months: set[str] = field(default_factory=set)

    def summary(self) -> str:
        """One sentence."""
        looked_at = (
            f"{_count(self.responses, 'response')} and {_count(self.cells, 'cell')} recomputed in"
            f" {_count(len(self.months), 'month')}, {_count(self.stores, 'live grade')}"
            f" and {_count(self.revisions, 'closed grade')}"
        )
        return f"{looked_at}: {_count(self.differences, 'difference') if self.differences else 'no differences'}."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
