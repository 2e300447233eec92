"""Workshop visits as they are stored."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from aftersales.model import AftersalesTable
from aftersales.vehicles.values import VisitKind


class WorkshopVisit(AftersalesTable):
    """A store row: one finished visit, never changed."""

    __tablename__ = "workshop_visit"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    vin: Mapped[str]
    visit_date: Mapped[date]
    odometer_km: Mapped[int] = mapped_column(Integer)
    kind: Mapped[VisitKind]
    next_due_date: Mapped[date | None]
    next_due_km: Mapped[int] = mapped_column(Integer)
    create_time: Mapped[datetime]
