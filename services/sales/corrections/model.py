"""The data correction as it is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from sales.corrections.values import Known, State
from sales.model import SalesTable

NOTE: Final = "data_correction.note"


class DataCorrection(SalesTable):
    """A store row; the note is sealed. Of one subject (see `Opening.subject`) at most one is open.

    Delivery and customer are ids without a foreign key: customer care may ask for a customer that is not here.
    """

    __tablename__ = "data_correction"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    delivery_id: Mapped[UUID | None]
    customer_id: Mapped[UUID | None]
    field: Mapped[str]
    reason: Mapped[str]
    source: Mapped[str]
    state: Mapped[State]
    note_sealed: Mapped[bytes | None]
    version: Mapped[int]
    create_time: Mapped[datetime]
    resolve_time: Mapped[datetime | None]
    resolver: Mapped[str]

    @property
    def known(self) -> Known:
        """The correction as the rules see it."""
        return Known(self.create_time, self.resolve_time)
