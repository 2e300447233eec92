"""Builders of workshop visits, vehicles and policies: valid unless a test says otherwise."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import aftersales
from aftersales.vehicles.values import Sale, Service, VisitKind
from aftersales.warranty.values import (
    Catalogue,
    ComponentGroup,
    FirstService,
    PlanVersion,
    PolicyKind,
    PolicyVersion,
    Reading,
    Span,
    Standing,
    Term,
    Validity,
)
from dealerloop.aftersales.v1 import vehicles_pb2
from tests.support.deliveries import NOW, STORE, vin_of

_SHIPPED = Path(aftersales.__path__[0]) / "migrations" / "data" / "0001_policies.json"


def visit(number: int = 1, **changes: Any) -> vehicles_pb2.WorkshopVisit:
    """A first service made today."""
    fields: dict[str, Any] = {
        "vin": vin_of(number),
        "visit_date": "2026-05-20",
        "odometer_km": 1450,
        "kind": vehicles_pb2.WorkshopVisit.KIND_FIRST_SERVICE,
    }
    return vehicles_pb2.WorkshopVisit(**fields | changes)


def sale(number: int = 1, **changes: Any) -> Sale:
    """What a delivery says of its vehicle."""
    from uuid import UUID

    fields: dict[str, Any] = {
        "delivery_id": UUID(int=number),
        "store_id": STORE,
        "version": 1,
        "vin": vin_of(1),
        "brand": "Nissan",
        "series": "Paladin",
        "model": "Paladin 2.5 4WD",
        "delivery_date": date(2026, 5, 20),
        "invoice_date": date(2026, 5, 20),
        "odometer_km": 12,
        "cancelled": False,
        "record_time": NOW,
    }
    return Sale(**fields | changes)


def service(day: date, odometer_km: int, kind: VisitKind = VisitKind.FIRST_SERVICE) -> Service:
    """One visit of the vehicle."""
    return Service(day, odometer_km, kind)


@cache
def shipped() -> Catalogue:
    """The policies and plans that the product ships."""
    data = json.loads(_SHIPPED.read_text(encoding="utf-8"))
    policies = [
        PolicyVersion(
            entry["policy"],
            entry["version"],
            PolicyKind(entry["kind"]),
            _validity(entry),
            {ComponentGroup(group): Span(**span) for group, span in entry["spans"].items()},
        )
        for entry in data["policies"]
    ]
    plans = [
        PlanVersion(
            entry["plan"],
            entry["version"],
            _validity(entry),
            Span(entry["first_service_months"], entry["first_service_km"]),
            entry["free_services"],
            tuple(entry["assumed"]),
        )
        for entry in data["plans"]
    ]
    return Catalogue(tuple(policies), tuple(plans))


def standing(**changes: Any) -> Standing:
    """A Paladin invoiced on 2026-01-15, served in time."""
    terms = tuple(
        Term(
            group,
            36,
            60_000,
            date(2029, 1, 15),
            "warrantyPolicies/paladin/versions/1",
            "warrantyPolicies/statutory-floor/versions/1",
            statutory=True,
        )
        for group in ComponentGroup
    )
    fields: dict[str, Any] = {
        "start": date(2026, 1, 15),
        "terms": terms,
        "first_service": FirstService(date(2026, 4, 15), 1500, date(2026, 4, 1)),
        "readings": (Reading(date(2026, 1, 15), 10), Reading(date(2026, 4, 1), 1400)),
    }
    return Standing(**fields | changes)


def _validity(entry: dict[str, Any]) -> Validity:
    last = entry["effective_to"]
    return Validity(
        tuple(entry["brand_patterns"]),
        tuple(entry["series_patterns"]),
        date.fromisoformat(entry["effective_from"]),
        date.fromisoformat(last) if last else None,
    )
