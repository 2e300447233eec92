"""What follows from the deliveries and visits of a vehicle: always the same, whatever order they were heard of in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from uuid import UUID

from aftersales.vehicles.values import Derived, RelationKind, Sale, Service, Vehicle, VisitKind
from aftersales.warranty import rules as warranty
from aftersales.warranty.values import Catalogue, FirstService, PlanVersion, Reading


def newest(sales: Iterable[Sale]) -> dict[UUID, Sale]:
    """Return the highest version of each delivery; older and repeated ones change nothing."""
    latest: dict[UUID, Sale] = {}
    for sale in sales:
        known = latest.get(sale.delivery_id)
        if known is None or known.version < sale.version:
            latest[sale.delivery_id] = sale
    return latest


def derive(vin: str, sales: Sequence[Sale], services: Sequence[Service], catalogue: Catalogue) -> Derived:
    """Return the vehicle, its warranty terms and who may see it, from the newest version of each of its sales.

    The delivery that counts is the one recorded last and not cancelled; sales lets only one stand, but a cancellation
    may be heard of after the next delivery. Without any, the vehicle has no start: no terms, no due date (CARE-01).
    Warranty starts with the invoice, the first service counts from the hand-over.
    """
    described = max(sales, key=_standing, default=None)
    if described is None or described.cancelled:
        return _without_start(vin, described, sales, services)
    brand, series = described.brand, described.series
    plan = warranty.plan_for(catalogue, brand=brand, series=series, at=described.delivery_date)
    known = readings(described.delivery_date, described.odometer_km, services)
    vehicle = Vehicle(
        vin=vin,
        brand=brand,
        series=series,
        model=described.model,
        delivery_date=described.delivery_date,
        invoice_date=described.invoice_date,
        delivery_odometer_km=described.odometer_km,
        odometer_km=last_odometer(known),
        plan_version=plan.name if plan else "",
        first_service=first_service(plan, described.delivery_date, services),
    )
    terms = warranty.terms(catalogue, brand=brand, series=series, start=described.invoice_date)
    return Derived(vehicle, terms, ((described.store_id, RelationKind.SOLD),))


def first_service(plan: PlanVersion | None, delivery_date: date, services: Iterable[Service]) -> FirstService:
    """Return when the first service is due, by the plan and the hand-over, and when it was made: the earliest time."""
    done = first_service_done(services)
    if plan is None:
        return FirstService(done_date=done)
    due = warranty.add_months(delivery_date, plan.first_service.months)
    return FirstService(due, plan.first_service.distance_km, done)


def first_service_done(services: Iterable[Service]) -> date | None:
    """Return the day of the earliest first service."""
    return min((one.visit_date for one in services if one.kind is VisitKind.FIRST_SERVICE), default=None)


def scheduled_visits(services: Iterable[Service]) -> int:
    """Return how many scheduled maintenances were made."""
    return sum(one.kind is VisitKind.SCHEDULED_MAINTENANCE for one in services)


def readings(delivery_date: date | None, delivery_km: int, services: Iterable[Service]) -> tuple[Reading, ...]:
    """Return every odometer reading, the one at hand-over included."""
    handover = () if delivery_date is None else (Reading(delivery_date, delivery_km),)
    return handover + tuple(Reading(one.visit_date, one.odometer_km) for one in services)


def last_odometer(known: Iterable[Reading]) -> int:
    """Return the reading of the latest day, the highest of several, or 0."""
    return max(((one.date, one.odometer_km) for one in known), default=(None, 0))[1]


def _standing(sale: Sale) -> tuple[bool, object, str]:
    return not sale.cancelled, sale.record_time, str(sale.delivery_id)


def _without_start(vin: str, described: Sale | None, sales: Iterable[Sale], services: Sequence[Service]) -> Derived:
    vehicle = Vehicle(
        vin=vin,
        brand=described.brand if described else "",
        series=described.series if described else "",
        model=described.model if described else "",
        delivery_date=None,
        invoice_date=None,
        delivery_odometer_km=0,
        odometer_km=last_odometer(readings(None, 0, services)),
        plan_version="",
        first_service=FirstService(done_date=first_service_done(services)),
    )
    sellers = sorted({sale.store_id for sale in sales})
    return Derived(vehicle, (), tuple((store, RelationKind.SALE_CANCELLED) for store in sellers))
