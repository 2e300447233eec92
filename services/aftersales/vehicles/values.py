"""What the rules about vehicles speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from aftersales.warranty.values import FirstService, Term


class RelationKind(Enum):
    """Why a store may see a vehicle (GRP-01a)."""

    SOLD = "SOLD"
    # Its delivery was cancelled and nobody has delivered the vehicle since: it is the store's to deliver again.
    SALE_CANCELLED = "SALE_CANCELLED"
    SERVICED = "SERVICED"


class VisitKind(Enum):
    """The kinds of workshop visits; names as in the contract."""

    FIRST_SERVICE = "FIRST_SERVICE"
    SCHEDULED_MAINTENANCE = "SCHEDULED_MAINTENANCE"
    REPAIR = "REPAIR"
    ACCIDENT_REPAIR = "ACCIDENT_REPAIR"
    INSPECTION = "INSPECTION"


@dataclass(frozen=True, slots=True)
class Sale:
    """What a delivery last said of its vehicle. Of two with the same id the higher version is right."""

    delivery_id: UUID
    store_id: str
    version: int
    vin: str
    brand: str
    series: str
    model: str
    delivery_date: date
    invoice_date: date
    odometer_km: int
    cancelled: bool
    record_time: datetime


@dataclass(frozen=True, slots=True)
class Service:
    """One workshop visit of a vehicle, without the store's part of it."""

    visit_date: date
    odometer_km: int
    kind: VisitKind


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle as its sales and services make it.

    `delivery_date` and `invoice_date` are None while no valid delivery is known; `delivery_odometer_km` belongs to
    the former. `odometer_km` is the last known reading. `plan_version` is empty without a maintenance plan.
    """

    vin: str
    brand: str
    series: str
    model: str
    delivery_date: date | None
    invoice_date: date | None
    delivery_odometer_km: int
    odometer_km: int
    plan_version: str
    first_service: FirstService


@dataclass(frozen=True, slots=True)
class Derived:
    """Everything that follows from the sales and services of one VIN."""

    vehicle: Vehicle
    terms: tuple[Term, ...]
    sellers: tuple[tuple[str, RelationKind], ...]
