"""What happened, counted while it happens."""

from __future__ import annotations

from collections import Counter


class Diary:
    """Counts by what they are about; nothing is asked of the system for them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.remarkable: list[str] = []

    def note(self, what: str, times: int = 1) -> None:
        """It happened."""
        self.counts[what] += times

    def remember(self, sentence: str) -> None:
        """Something that is told at the end."""
        self.remarkable.append(sentence)

    def add(self, other: Diary) -> None:
        """What somebody else wrote down."""
        self.counts.update(other.counts)
        self.remarkable += other.remarkable
