"""How the rows of lists are checked, with nothing but what is in memory.

Apart from what takes them over: a large list is read in a process of its own, which loads no more than this.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from dealership.people import Names
from kit.imports.values import Draft, Remark, Row
from sales.imports import rules
from sales.imports.places import Places
from sales.imports.values import pack_customer, pack_delivery


class DeliveryChecker:
    """Decides about the rows of one list."""

    def __init__(self, places: Places, people: Mapping[str, Names], now: datetime) -> None:
        self._places = places
        self._people = people
        self._now = now

    def check(self, row: Row) -> tuple[Draft | None, list[Remark]]:
        """Return the row's delivery, once per vehicle: the earliest hand-over is the first customer's."""
        place, listed, remarks = rules.delivery(row, self._places, self._people, self._now)
        if place is None or listed is None:
            return None, remarks
        handover = listed.draft.handover
        # In UTC, so that the texts are in the order of the instants.
        rank = handover.delivery_time.isoformat(timespec="microseconds")
        return Draft(row.number, place.id, handover.vin, rank, pack_delivery(listed)), remarks


class CustomerChecker:
    """Decides about the rows of one list."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def check(self, row: Row) -> tuple[Draft | None, list[Remark]]:
        """Return the row's customer; one who stands there twice is found again when he is taken over."""
        place, listed, remarks = rules.customer(row, self._places)
        if place is None or listed is None:
            return None, remarks
        return Draft(row.number, place.id, "", "", pack_customer(listed)), remarks
