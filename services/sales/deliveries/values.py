"""What the rules about deliveries speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Final

from sales.customers.values import Buyer

INVOICE_DATE_FAR_FROM_DELIVERY: Final = "INVOICE_DATE_FAR_FROM_DELIVERY"
INSURANCE_EXPIRED_BEFORE_DELIVERY: Final = "INSURANCE_EXPIRED_BEFORE_DELIVERY"
FINANCE_ENDED_BEFORE_DELIVERY: Final = "FINANCE_ENDED_BEFORE_DELIVERY"


class State(Enum):
    """Where a delivery stands; the names are those of the contract without its prefix."""

    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Handover:
    """A delivery without its buyer, checked: everything that is stored of it but the plate's encryption.

    `delivery_date` is the store-local day of `delivery_time`; `odometer_km` is in km; `warnings` are codes.
    """

    vin: str
    brand: str
    series: str
    model: str
    consultant_id: str
    delivery_time: datetime
    delivery_date: date
    invoice_date: date
    odometer_km: int
    plate: str
    insurance_expiry_date: date | None
    finance_end_date: date | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked delivery with its buyer, as given by a caller."""

    handover: Handover
    buyer: Buyer
