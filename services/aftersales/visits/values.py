"""What the rules about workshop visits speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from aftersales.vehicles.values import VisitKind


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked visit; distances in km, dates local to the store, `next_due_km` 0 when none was printed."""

    vin: str
    visit_date: date
    odometer_km: int
    kind: VisitKind
    next_due_date: date | None
    next_due_km: int
