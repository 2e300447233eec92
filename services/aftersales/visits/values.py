"""What the rules about workshop visits speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from aftersales.vehicles.values import Service, VisitKind
from aftersales.warranty.values import FirstService


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked visit; distances in km, dates local to the store, `next_due_km` 0 when none was printed."""

    vin: str
    visit_date: date
    odometer_km: int
    kind: VisitKind
    next_due_date: date | None
    next_due_km: int


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a vehicle before its next visits.

    Attributes:
        services: its visits to any workshop of the group.
        recorded: store, day and kind of its visits, as far as they are the asking stores'.
    """

    delivery_date: date | None
    delivery_odometer_km: int
    first_service: FirstService
    first_service_version: int
    services: tuple[Service, ...]
    recorded: frozenset[tuple[str, date, VisitKind]]


UNKNOWN: Final = History(None, 0, FirstService(), 0, (), frozenset())
"""Of a vehicle that nobody has heard of."""
