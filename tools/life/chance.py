"""Chance that depends on the seed and on what it is drawn for, never on what was drawn before."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A source of chance for one group, store, person, customer …"""

    def __init__(self, *subject: object) -> None:
        self._subject = "\x1f".join(map(str, subject))

    def about(self, *subject: object) -> Chance:
        """The chance of something more particular."""
        return Chance(self._subject, *subject)

    def source(self, what: str) -> random.Random:
        """A generator of its own, for many values about one thing."""
        digest = hashlib.blake2b(f"{self._subject}\x1f{what}".encode(), digest_size=8).digest()
        return random.Random(int.from_bytes(digest))  # noqa: S311 - invented data, no secret

    def happens(self, what: str, probability: float) -> bool:
        """Whether something of this probability happens."""
        return self.source(what).random() < probability

    def pick(self, what: str, among: Sequence[T]) -> T:
        """One of several, each as likely as the other."""
        return self.source(what).choice(among)

    def normal(self, what: str, mean: float, deviation: float) -> float:
        """A value around a mean."""
        return self.source(what).gauss(mean, deviation)

    def count(self, what: str, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return self.source(what).randint(low, high)
