"""The figures of the closed loop, which a group may set; the defaults are the domain's (CARE-07, CMP-10 … CMP-12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from customer_care.complaints.values import LEVELS, ClockKind, Level


class TimeKind(StrEnum):
    """What a clock counts: all time, the store's calling hours, or its opening hours (domain section 8, 2)."""

    ELAPSED = "ELAPSED"
    CALLING = "CALLING"
    OPENING = "OPENING"


class Link(StrEnum):
    """A link of the chain up which a breach is told (CMP-11)."""

    DEPARTMENT_MANAGER = "DEPARTMENT_MANAGER"
    CARE_MANAGER = "CARE_MANAGER"
    GENERAL_MANAGER = "GENERAL_MANAGER"
    QUALITY_MANAGER = "QUALITY_MANAGER"


BREACH: Final = 100
_TIMES: Final = MappingProxyType({ClockKind.CONTACT: TimeKind.CALLING, ClockKind.CALL_BACK: TimeKind.CALLING})


@dataclass(frozen=True, slots=True)
class Policy:
    """How long things may take, what is counted, and who hears of it when they take longer.

    `whole_loop` are the levels that walk the whole loop with the GM; the others end with the call-back. `times` names
    the clocks that do not count elapsed time. `chain` is what is told at which percent, the breach at 100 first.
    """

    whole_loop: frozenset[Level] = frozenset({Level.GRIEVANCE, Level.COMPLAINT})
    contact: timedelta = timedelta(hours=2)
    answer: timedelta = timedelta(hours=12)
    close: timedelta = timedelta(hours=24)
    late_call_back: timedelta = timedelta(hours=2)
    progress: timedelta = timedelta(days=3)
    times: Mapping[ClockKind, TimeKind] = field(default_factory=lambda: _TIMES)
    warn_percent: int = 75
    chain: tuple[tuple[int, Link], ...] = (
        (100, Link.DEPARTMENT_MANAGER),
        (125, Link.CARE_MANAGER),
        (150, Link.GENERAL_MANAGER),
        (200, Link.QUALITY_MANAGER),
    )
    repeat: timedelta = timedelta(days=30)
    longest_extension: timedelta = timedelta(days=365)

    def time_of(self, kind: ClockKind) -> TimeKind:
        """What that clock counts."""
        return self.times.get(kind, TimeKind.ELAPSED)

    def length_of(self, kind: ClockKind) -> timedelta:
        """How long that clock runs; for the call-back what is given on the next day (CMP-6)."""
        return {
            ClockKind.CONTACT: self.contact,
            ClockKind.RETURN: self.answer,
            ClockKind.CLOSE: self.close,
            ClockKind.CALL_BACK: self.late_call_back,
            ClockKind.PROGRESS: self.progress,
        }[kind]

    def is_short(self, level: Level) -> bool:
        """Whether cases of this level end with the call-back."""
        return level not in self.whole_loop

    def raised(self, level: Level) -> Level:
        """The mildest level from this one on that walks the whole loop (CARE-07)."""
        return next(one for one in LEVELS[level.rank :] if one in self.whole_loop)

    def next_percent(self, percent: int) -> int | None:
        """The first threshold above this one; None when all were passed."""
        return next((one for one in (self.warn_percent, *(at for at, _ in self.chain)) if one > percent), None)
