"""What the rules about customers speak of."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

# Characters; the same limit as the contract's.
LONGEST_NAME: Final = 100


class Person(NamedTuple):
    """Personal data in the clear; lives in memory only. Both texts are empty once the person was erased.

    Who came from a list may have no telephone (GRP-05): he is nobody else's namesake, and never found again.
    """

    display_name: str
    phone: str

    @property
    def name_key(self) -> str:
        """The name as it is compared: one spelling for full-width letters, capitals and blanks."""
        name = self.display_name
        return " ".join((name if name.isascii() else unicodedata.normalize("NFKC", name)).casefold().split())

    def is_same_as(self, other: Person) -> bool:
        """Say whether telephone and name agree, which is how a customer is found again within a store."""
        return self.phone != "" and self.phone == other.phone and self.name_key == other.name_key


NOBODY = Person("", "")


@dataclass(frozen=True, slots=True)
class Buyer:
    """The customer as a delivery names him; `consents` maps a channel such as `PHONE` to yes or no."""

    person: Person
    phone_verified: bool
    consents: Mapping[str, bool] = field(default_factory=dict)
