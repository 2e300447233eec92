"""What the rules about deliveries speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Final, NamedTuple

from sales.customers.values import Buyer

INVOICE_DATE_FAR_FROM_DELIVERY: Final = "INVOICE_DATE_FAR_FROM_DELIVERY"
INSURANCE_EXPIRED_BEFORE_DELIVERY: Final = "INSURANCE_EXPIRED_BEFORE_DELIVERY"
FINANCE_ENDED_BEFORE_DELIVERY: Final = "FINANCE_ENDED_BEFORE_DELIVERY"

# What a list may not know or know badly, as data corrections name it: of the delivery, and of its customer (GRP-05).
CUSTOMER_FIELD: Final = "customer"
CONSULTANT_FIELD: Final = "consultant"
NAME_FIELD: Final = "customer.displayName"
PHONE_FIELD: Final = "customer.phone"
DELIVERY_FIELDS: Final = frozenset({CUSTOMER_FIELD, CONSULTANT_FIELD})
PERSON_FIELDS: Final = frozenset({NAME_FIELD, PHONE_FIELD})

# Longest texts in characters, and the largest odometer in km: the same limits as the contract's.
LONGEST_BRAND: Final = 60
LONGEST_SERIES: Final = 60
LONGEST_MODEL: Final = 100
LONGEST_PLATE: Final = 20
LARGEST_ODOMETER_KM: Final = 2_000_000


class State(Enum):
    """Where a delivery stands; the names are those of the contract without its prefix."""

    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


class Handover(NamedTuple):
    """A delivery without its buyer, checked: everything that is stored of it but the plate's encryption.

    `consultant_id` is empty where a list did not name him; `delivery_date` is the store-local day of `delivery_time`;
    `odometer_km` is in km, 0 where nobody knows it; `warnings` are codes.
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


class Given(NamedTuple):
    """A hand-over as somebody tells it, before any check; the same from a call and from a row of a list.

    A day is a date, or text that should be one; `delivery_time` is aware, and None when it is no time of the calendar.
    """

    vin: str
    brand: str
    series: str
    model: str
    consultant_id: str
    delivery_time: datetime | None
    invoice_date: date | str
    odometer_km: int
    plate: str
    insurance_expiry_date: date | str
    finance_end_date: date | str


class Draft(NamedTuple):
    """A checked delivery with its buyer, as given by a caller; a list may not know the buyer."""

    handover: Handover
    buyer: Buyer | None


@dataclass(frozen=True, slots=True)
class Before:
    """What a correction finds: what it does not change is taken as it is, be it missing, doubtful or erased."""

    buyer: Buyer | None
    consultant_id: str
