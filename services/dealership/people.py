"""Who works for a store, and whom people mean by a name: what is asked of the staff directory. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from kit.errors import InvalidArgument, invalid

GROUP: Final = "group"
# 王　芳: a name of two characters is often written as wide as one of three.
_PADDED: Final = re.compile(r"(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])")


class StorePlace(Protocol):
    """The part of a store that says where it stands."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def region_id(self) -> str:
        """The id of its region; empty when it belongs to none."""


@dataclass(frozen=True, slots=True)
class Held:
    """A role and the place where it is held: `group`, `regions/{region}` or `stores/{store}`."""

    role: str
    place: str


@dataclass(frozen=True, slots=True)
class StaffMember:
    """Somebody who works for the group; `store_id` is where he belongs, empty for the group or a region."""

    id: str
    display_name: str
    store_id: str
    active: bool
    roles: frozenset[Held]

    @property
    def places(self) -> frozenset[str]:
        """Where he belongs, and where he holds a role."""
        own = {f"stores/{self.store_id}"} if self.store_id else set()
        return frozenset(own | {held.place for held in self.roles})

    def is_one_of(self, store: StorePlace) -> bool:
        """Whether he belongs to the store, or reaches it by a role that he holds there, in its region or the group."""
        return not self.places.isdisjoint(places_around(store.id, store.region_id))


class Names:
    """Who is meant by what people write about a store's work: an id, or a name that only one of its people has."""

    def __init__(self, store_id: str, people: Iterable[StaffMember]) -> None:
        """`people` are those who reach the store; whoever left is nobody here."""
        active = [one for one in people if one.active]
        self._ids = frozenset(one.id for one in active)
        # A regional manager of the same name is not whom a store means by it.
        here = [one for one in active if f"stores/{store_id}" in one.places]
        called = Counter(spelled(one.display_name) for one in here)
        self._shared = frozenset(name for name, times in called.items() if times > 1)
        self._by_name = {spelled(one.display_name): one.id for one in here}

    def find(self, text: str) -> str | None:
        """Return the id of the one who is meant; None for nobody, and for a name that several have."""
        if text in self._ids:
            return text
        name = spelled(text)
        return None if name in self._shared else self._by_name.get(name)

    def is_ambiguous(self, text: str) -> bool:
        """Whether several of the store's people are called so."""
        return text not in self._ids and spelled(text) in self._shared


def check(member: StaffMember, store: StorePlace, field: str) -> None:
    """Refuse, for this field of a request, somebody who does not work for the store now.

    Raises InvalidArgument with rule STAFF_OF_OTHER_STORE or STAFF_INACTIVE.
    """
    # First this: about somebody else's people nothing more is told.
    if not member.is_one_of(store):
        raise of_other_store(field)
    if not member.active:
        raise invalid(field, "STAFF_INACTIVE", "does not work here any more")


def of_other_store(field: str) -> InvalidArgument:
    """Make the refusal of somebody who works elsewhere."""
    return invalid(field, "STAFF_OF_OTHER_STORE", "must be somebody who works for this store")


@lru_cache(maxsize=4096)
def spelled(name: str) -> str:
    """Return a name as it is compared: width, capitals, and blanks within a Chinese name make no difference."""
    return _PADDED.sub("", " ".join(unicodedata.normalize("NFKC", name).casefold().split()))


def places_around(store_id: str, region_id: str) -> frozenset[str]:
    """Return the places whose people work for this store: itself, its region if it has one, and the group."""
    region = {f"regions/{region_id}"} if region_id else set()
    return frozenset({GROUP, f"stores/{store_id}"} | region)
