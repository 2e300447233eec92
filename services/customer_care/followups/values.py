"""The words of follow-ups: states, outcomes and day parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class FollowUpState(StrEnum):
    """Where a follow-up stands."""

    PLANNED = "PLANNED"
    REACHED = "REACHED"
    EXHAUSTED = "EXHAUSTED"
    MISSED = "MISSED"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"
    EXPIRED_ON_ARRIVAL = "EXPIRED_ON_ARRIVAL"


# What people did, or failed to do: no correction of the delivery takes it back (CARE-01).
KEPT: Final = frozenset({FollowUpState.REACHED, FollowUpState.EXHAUSTED, FollowUpState.MISSED})


class Outcome(StrEnum):
    """What came of one attempt."""

    REACHED = "REACHED"
    NO_ANSWER = "NO_ANSWER"
    CALL_LATER = "CALL_LATER"
    WRONG_NUMBER = "WRONG_NUMBER"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class DayPart:
    """A part of the day in minutes since store-local midnight; the end is not included."""

    code: str
    start: int
    end: int


MORNING: Final = DayPart("MORNING", 9 * 60, 12 * 60)
AFTERNOON: Final = DayPart("AFTERNOON", 12 * 60, 17 * 60)
EVENING: Final = DayPart("EVENING", 17 * 60, 20 * 60)
DAY_PARTS: Final = (MORNING, AFTERNOON, EVENING)


@dataclass(frozen=True, slots=True)
class AttemptFact:
    """One attempt as the rules see it."""

    at: datetime
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Decision:
    """What an attempt does: the new state, when to try again (UTC), and whether the number must be corrected."""

    state: FollowUpState
    next_attempt_time: datetime | None = None
    number_is_wrong: bool = False
