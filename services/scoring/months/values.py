"""What the rules say of months and their revisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from scoring.grades.values import Tally


@dataclass(frozen=True, slots=True)
class Revision:
    """One closing or re-opening; the figures are those of the stores in the reader's reach."""

    number: int
    create_time: datetime
    creator: str
    reason: str
    stores: int
    responses: int
    changed_stores: int


@dataclass(frozen=True, slots=True)
class Month:
    """A month as it stands: `name` is `YYYY-MM`, the revisions come latest first."""

    name: str
    end_time: datetime
    revisions: tuple[Revision, ...] = ()
    late_changes: int = 0

    @property
    def latest(self) -> int:
        """The number of the latest revision; 0 while the month is open."""
        return self.revisions[0].number if self.revisions else 0


@dataclass(frozen=True, slots=True)
class ClosedGrade:
    """What a revision fixed for a store; `number` is that of the revision that fixed it."""

    number: int
    responses: int
    sample_frame: int
    answered: int


@dataclass(frozen=True, slots=True)
class IndexChange:
    """The index of a store and model version before and after a revision; None where there was none."""

    store_id: str
    model_code: str
    model_version: int
    before: Tally | None
    after: Tally | None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
