"""What is known of a response besides what was answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a response is taken out of the grades; `version` grows with every decision, 0 is none so far."""

    excluded: bool
    version: int
    reason: str
    decider: str
    decide_time: datetime | None
