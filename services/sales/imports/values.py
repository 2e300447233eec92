"""What the rows of a list become."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from typing import NamedTuple

import orjson

from sales.customers.values import Buyer, Person
from sales.deliveries.values import (
    CONSULTANT_FIELD,
    CUSTOMER_FIELD,
    NAME_FIELD,
    PHONE_FIELD,
    Draft,
    Handover,
)


class Doubt(Enum):
    """What a list did not know, or not surely: a data correction for each, as its reason (GRP-05)."""

    CUSTOMER_MISSING = "CUSTOMER_MISSING"
    CONSULTANT_MISSING = "CONSULTANT_MISSING"
    NAME_MISSING = "NAME_MISSING"
    PHONE_MISSING = "PHONE_MISSING"
    PHONE_UNVERIFIED = "PHONE_UNVERIFIED"

    @property
    def field(self) -> str:
        """The field that is to be put right."""
        return _FIELDS[self]

    @property
    def of_person(self) -> bool:
        """Whether it is about the customer himself, and settled once for all of his deliveries."""
        return self in _OF_PERSON


_FIELDS = {
    Doubt.CUSTOMER_MISSING: CUSTOMER_FIELD,
    Doubt.CONSULTANT_MISSING: CONSULTANT_FIELD,
    Doubt.NAME_MISSING: NAME_FIELD,
    Doubt.PHONE_MISSING: PHONE_FIELD,
    Doubt.PHONE_UNVERIFIED: PHONE_FIELD,
}
_OF_PERSON = frozenset({Doubt.NAME_MISSING, Doubt.PHONE_MISSING, Doubt.PHONE_UNVERIFIED})


class ListedDelivery(NamedTuple):
    """A delivery as a list tells it, checked."""

    draft: Draft
    doubts: tuple[Doubt, ...]


class ListedCustomer(NamedTuple):
    """A customer as a list tells him, checked."""

    buyer: Buyer
    doubts: tuple[Doubt, ...]


def pack_delivery(listed: ListedDelivery) -> bytes:
    """Return the delivery as bytes; `unpack_delivery` reads them."""
    handover, buyer = listed.draft
    return orjson.dumps([[*handover], _person(buyer), [doubt.value for doubt in listed.doubts]])


def unpack_delivery(payload: bytes) -> ListedDelivery:
    """Read what `pack_delivery` wrote."""
    packed, person, doubts = orjson.loads(payload)
    vin, brand, series, model, consultant_id, time, delivered, invoiced, odometer_km, plate, *rest = packed
    insured, financed, warnings = rest
    handover = Handover(
        vin,
        brand,
        series,
        model,
        consultant_id,
        datetime.fromisoformat(time),
        date.fromisoformat(delivered),
        date.fromisoformat(invoiced),
        odometer_km,
        plate,
        None if insured is None else date.fromisoformat(insured),
        None if financed is None else date.fromisoformat(financed),
        tuple(warnings),
    )
    buyer = None if person is None else _buyer(person)
    return ListedDelivery(Draft(handover, buyer), tuple(map(Doubt, doubts)))


def pack_customer(listed: ListedCustomer) -> bytes:
    """Return the customer as bytes; `unpack_customer` reads them."""
    return orjson.dumps([_person(listed.buyer), [doubt.value for doubt in listed.doubts]])


def unpack_customer(payload: bytes) -> ListedCustomer:
    """Read what `pack_customer` wrote."""
    person, doubts = orjson.loads(payload)
    return ListedCustomer(_buyer(person), tuple(map(Doubt, doubts)))


def _person(buyer: Buyer | None) -> list[object] | None:
    return None if buyer is None else [buyer.person.display_name, buyer.person.phone, buyer.phone_verified]


def _buyer(person: list[object]) -> Buyer:
    name, number, verified = person
    return Buyer(Person(str(name), str(number)), bool(verified))
