"""Which store a row is for: by its id, its resource name, or what people call it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Place:
    """As much of a store as a row needs."""

    id: str
    display_name: str
    time_zone: ZoneInfo

    def local_date(self, instant: datetime) -> date:
        """Return the store's date at that instant."""
        return instant.astimezone(self.time_zone).date()


class Places:
    """The stores that a list may be for. Those that are not among them are as unknown as those that do not exist."""

    def __init__(self, stores: Sequence[Place], *, own: str = "") -> None:
        """`own` is the id of the one store of a store's list; empty for a list of the group."""
        self._own = own
        self.ids = tuple(store.id for store in stores)
        called = Counter(folded(store.display_name) for store in stores)
        # A name that two stores share names neither of them.
        self._by_name = {
            folded(store.display_name): store for store in stores if called[folded(store.display_name)] == 1
        }
        for store in stores:
            self._by_name[f"stores/{store.id}"] = self._by_name[store.id] = store

    def find(self, text: str) -> Place | None:
        """Return the store that is called so; in a store's list nothing means that store."""
        return self._by_name.get(folded(text) if text else self._own)


def folded(text: str) -> str:
    """Return a name as it is compared: width, capitals and blanks make no difference."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
