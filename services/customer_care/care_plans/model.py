"""Care plans and first services as rows."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from kit.db.model import Base


class CarePlan(Base):
    """What customer care knows of a delivery; its row is locked before anything that belongs to it is changed.

    `version` is the delivery's; a cancelled delivery that was never seen alive has a plan without follow-ups.
    """

    __tablename__ = "care_plan"

    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    version: Mapped[int]
    vin: Mapped[str]
    series: Mapped[str]
    customer_id: Mapped[UUID | None]
    consultant_id: Mapped[str]
    delivery_date: Mapped[date]
    record_time: Mapped[datetime]
    finance_end_date: Mapped[date | None]
    cancelled: Mapped[bool]
    template: Mapped[str]
    template_number: Mapped[int] = mapped_column(Integer)
    create_time: Mapped[datetime]


class FirstService(Base):
    """The first service of a vehicle, as after-sales told it: a row of the group, seen by the stores that care."""

    __tablename__ = "first_service"

    vin: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    due_date: Mapped[date | None]
    due_km: Mapped[int] = mapped_column(Integer)
    done_date: Mapped[date | None]
    visit_date: Mapped[date | None]
