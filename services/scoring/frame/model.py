"""The stored sample frame."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from kit.db.model import Base


class FrameRow(Base):
    """One delivery that could have been asked."""

    __tablename__ = "sample_frame"

    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    version: Mapped[int]
    consultant_id: Mapped[str]
    vin: Mapped[str]
    delivery_date: Mapped[date]
    month: Mapped[str]
    cancelled: Mapped[bool]
