"""Decisions about data corrections."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from kit.errors import Conflict
from sales.corrections.values import Known, State


class CorrectionAlreadyResolved(Conflict):
    """A correction ends once."""

    reason = "DATA_CORRECTION_ALREADY_RESOLVED"


def require_open(state: State) -> None:
    """Refuse to end a correction twice; raises CorrectionAlreadyResolved."""
    if state is State.RESOLVED:
        raise CorrectionAlreadyResolved("the correction was resolved already")


def is_news(asked: datetime, known: Iterable[Known]) -> bool:
    """Say whether a request of that instant tells anything beyond the corrections of its subject (CARE-03).

    It does not when it came up no later than one that is kept (it is that one, told again), and not when one was
    resolved after it came up: whoever resolved it looked at the record as it was then.
    """
    return not any(asked <= one.came_up or (one.resolved is not None and asked <= one.resolved) for one in known)
