"""The complaint form as a value: everything that the rules decide on, and none of its texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from customer_care.complaints.clocks import Clock
from customer_care.complaints.values import ClockKind, Department, Level, Round, Severity, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A complaint form.

    `since` is when it was opened, or opened again for the last time; `contact_time` when the customer was first
    spoken to. `opinion_by` is the actor of the last opinion. Rounds and clocks come in the order of their beginning.
    """

    level: Level
    step: Step
    open_time: datetime
    since: datetime
    rounds: tuple[Round, ...]
    clocks: tuple[Clock, ...] = ()
    department: Department | None = None
    severity: Severity | None = None
    checker_id: str = ""
    opinion_by: str = ""
    contact_time: datetime | None = None
    close_time: datetime | None = None
    paused_since: datetime | None = None

    @property
    def round(self) -> Round:
        """The present round."""
        return self.rounds[-1]

    @property
    def contacted(self) -> bool:
        """Whether the customer was spoken to since it was opened, or opened again."""
        clock = self.clock(ClockKind.CONTACT)
        return clock is not None and clock.done is not None

    def clock(self, kind: ClockKind) -> Clock | None:
        """The last clock of a kind since it was opened, or opened again."""
        # Every opening begins with a contact clock, so none of an earlier opening lies in its round or after.
        first = max((one.round for one in self.clocks if one.kind is ClockKind.CONTACT), default=0)
        found = [one for one in self.clocks if one.kind is kind and one.round >= first]
        return found[-1] if found else None

    def with_clock(self, clock: Clock) -> Form:
        """The form with this clock, in place of the one of the same kind and round or as a new one."""
        same = [(one.kind, one.round) == (clock.kind, clock.round) for one in self.clocks]
        if not any(same):
            return replace(self, clocks=(*self.clocks, clock))
        return replace(self, clocks=tuple(clock if here else one for one, here in zip(self.clocks, same, strict=True)))

    def with_live_clock(self, kind: ClockKind, change: Callable[[Clock], Clock]) -> Form:
        """The form with that clock changed; as it is when there is none, or it has ended."""
        clock = self.clock(kind)
        return self.with_clock(change(clock)) if clock is not None and clock.live else self

    def with_round(self, changed: Round) -> Form:
        """The form with its present round changed."""
        return replace(self, rounds=(*self.rounds[:-1], changed))
