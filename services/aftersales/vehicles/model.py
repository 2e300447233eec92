"""Vehicles as they are stored."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from aftersales.model import AftersalesTable
from aftersales.vehicles.values import RelationKind, Service, VisitKind
from aftersales.warranty.values import FirstService


class Vehicle(AftersalesTable):
    """A group row, visible through a relation (GRP-01a); computed from sales and services, see `vehicles.rules`."""

    __tablename__ = "vehicle"

    vin: Mapped[str] = mapped_column(primary_key=True)
    brand: Mapped[str]
    series: Mapped[str]
    model: Mapped[str]
    delivery_date: Mapped[date | None]
    invoice_date: Mapped[date | None]
    delivery_odometer_km: Mapped[int] = mapped_column(Integer)
    odometer_km: Mapped[int] = mapped_column(Integer)
    plan_version: Mapped[str]
    first_service_due_date: Mapped[date | None]
    first_service_due_km: Mapped[int] = mapped_column(Integer)
    first_service_done_date: Mapped[date | None]
    first_service_version: Mapped[int]
    update_time: Mapped[datetime]

    @property
    def first_service(self) -> FirstService:
        """When the first service is due and was made."""
        return FirstService(self.first_service_due_date, self.first_service_due_km, self.first_service_done_date)


class VehicleRelation(AftersalesTable):
    """A store row: why the store may see the vehicle."""

    __tablename__ = "vehicle_relation"

    vin: Mapped[str] = mapped_column(primary_key=True)
    store_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[RelationKind] = mapped_column(primary_key=True)


class ServiceRecord(AftersalesTable):
    """A group row: one visit of the vehicle to any workshop of the group, without saying to which."""

    __tablename__ = "service_record"

    visit_id: Mapped[UUID] = mapped_column(primary_key=True)
    vin: Mapped[str]
    visit_date: Mapped[date]
    odometer_km: Mapped[int] = mapped_column(Integer)
    kind: Mapped[VisitKind]

    def value(self) -> Service:
        """Return it as the rules see it."""
        return Service(self.visit_date, self.odometer_km, self.kind)
