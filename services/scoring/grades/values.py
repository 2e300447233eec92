"""What the rules say of responses and grades."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

MICRO = 1_000_000
"""Scores are integers in millionths of a point on the scale 0 to 100."""


class Scale(Enum):
    """The scales of marks, each with its lowest and highest mark."""

    SCALE_7 = (1, 7)
    SCALE_10 = (1, 10)
    NPS = (0, 10)
    YES_NO = (0, 1)

    @property
    def lowest(self) -> int:
        """The mark that counts 0."""
        return self.value[0]

    @property
    def highest(self) -> int:
        """The mark that counts 100."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark of a response."""

    question: str
    scale: Scale
    mark: int


@dataclass(frozen=True, slots=True)
class Response:
    """What scoring keeps of an answered survey; a later version replaces an earlier one."""

    id: UUID
    store_id: str
    version: int
    delivery_id: UUID
    consultant_id: str
    customer_id: str
    mode: str
    month: str
    submit_time: datetime
    questionnaire_version: str
    model_code: str
    model_version: int
    marks: tuple[Mark, ...]
    excluded: bool = False

    @property
    def place(self) -> tuple[str, str]:
        """The month and the store that it counts in."""
        return self.month, self.store_id


@dataclass(frozen=True, slots=True, order=True)
class CellKey:
    """Where a score is accumulated. The order is the order in which cells are locked."""

    store_id: str
    month: str
    model_code: str
    model_version: int
    consultant_id: str
    mode: str
    code: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Exact sums over responses: count, sum and sum of squares of micro-scores, answers in the top and bottom box."""

    n: int = 0
    total: int = 0
    square: int = 0
    top: int = 0
    bottom: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            self.n + other.n,
            self.total + other.total,
            self.square + other.square,
            self.top + other.top,
            self.bottom + other.bottom,
        )

    def __neg__(self) -> Tally:
        """What takes this away again."""
        return Tally(-self.n, -self.total, -self.square, -self.top, -self.bottom)
