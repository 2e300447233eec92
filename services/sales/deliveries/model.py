"""The delivery as it is stored."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from kit.vault import Vault
from sales.deliveries.values import Handover, State
from sales.model import SalesTable

PLATE: Final = "delivery.plate"
_PLAIN: Final = (
    "vin",
    "brand",
    "series",
    "model",
    "consultant_id",
    "delivery_time",
    "delivery_date",
    "invoice_date",
    "odometer_km",
    "insurance_expiry_date",
    "finance_end_date",
)


class Delivery(SalesTable):
    """A store row; the plate is sealed. A vehicle has one delivery that is not cancelled, group-wide.

    Only one from a list may lack customer (no id) or consultant (empty), until its data correction is made (GRP-05).
    """

    __tablename__ = "delivery"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    vin: Mapped[str]
    brand: Mapped[str]
    series: Mapped[str]
    model: Mapped[str]
    customer_id: Mapped[UUID | None]
    consultant_id: Mapped[str]
    delivery_time: Mapped[datetime]
    delivery_date: Mapped[date]
    invoice_date: Mapped[date]
    odometer_km: Mapped[int] = mapped_column(Integer)
    plate_sealed: Mapped[bytes | None]
    plate_blind: Mapped[bytes | None]
    insurance_expiry_date: Mapped[date | None]
    finance_end_date: Mapped[date | None]
    state: Mapped[State]
    cancel_reason: Mapped[str]
    warnings: Mapped[list[str]]
    version: Mapped[int]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]

    def handover(self, vault: Vault) -> Handover:
        """Return the stored delivery as the rules see it."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return Handover(**plain, plate=self.plate(vault), warnings=tuple(self.warnings))

    def plate(self, vault: Vault) -> str:
        """Open the licence plate; empty when none is known."""
        return "" if self.plate_sealed is None else vault.open(PLATE, self.plate_sealed)

    def write(self, handover: Handover, vault: Vault) -> None:
        """Take everything of the hand-over into the row."""
        for column, value in columns(handover, vault).items():
            setattr(self, column, value)


def columns(handover: Handover, vault: Vault) -> dict[str, object]:
    """Return the columns that hold a hand-over."""
    plate = handover.plate
    return {
        **{name: getattr(handover, name) for name in _PLAIN},
        "warnings": list(handover.warnings),
        "plate_sealed": vault.seal(PLATE, plate) if plate else None,
        "plate_blind": vault.blind(PLATE, plate) if plate else None,
    }
