"""What the rules about daily hand-overs speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum


class State(Enum):
    """Where a hand-over stands; the names are those of the contract without its prefix."""

    EXPECTED = "EXPECTED"
    MISSING = "MISSING"
    MATCHED = "MATCHED"
    MISMATCHED = "MISMATCHED"
    NOT_EXPECTED = "NOT_EXPECTED"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many deliveries of a day were reported (None: nobody has) and how many are recorded, without cancelled."""

    reported: int | None
    recorded: int


@dataclass(frozen=True, slots=True)
class Passed:
    """The cut-offs that a store has passed since it was looked at last.

    `days` are those to be looked at now, in order; `skipped` is how many older ones nobody will look at; `next_date` is
    the first day whose cut-off is still to come, at `next_cut_off` (UTC).
    """

    days: tuple[date, ...]
    skipped: int
    next_date: date
    next_cut_off: datetime
