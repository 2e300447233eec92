"""What the rows of a list become."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

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
_HANDOVER = tuple(field.name for field in dataclasses.fields(Handover))
_DAYS = ("delivery_date", "invoice_date", "insurance_expiry_date", "finance_end_date")
_OF_PERSON = frozenset({Doubt.NAME_MISSING, Doubt.PHONE_MISSING, Doubt.PHONE_UNVERIFIED})


@dataclass(frozen=True, slots=True)
class ListedDelivery:
    """A delivery as a list tells it, checked."""

    draft: Draft
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True)
class ListedCustomer:
    """A customer as a list tells him, checked."""

    buyer: Buyer
    doubts: tuple[Doubt, ...]


def pack_delivery(listed: ListedDelivery) -> bytes:
    """Return the delivery as bytes; `unpack_delivery` reads them."""
    handover = [getattr(listed.draft.handover, name) for name in _HANDOVER]
    return orjson.dumps([handover, _person(listed.draft.buyer), [doubt.value for doubt in listed.doubts]])


def unpack_delivery(payload: bytes) -> ListedDelivery:
    """Read what `pack_delivery` wrote."""
    packed, person, doubts = orjson.loads(payload)
    plain = dict(zip(_HANDOVER, packed, strict=True))
    plain |= {name: None if plain[name] is None else date.fromisoformat(plain[name]) for name in _DAYS}
    plain["delivery_time"] = datetime.fromisoformat(plain["delivery_time"])
    plain["warnings"] = tuple(plain["warnings"])
    buyer = None if person is None else _buyer(person)
    return ListedDelivery(Draft(Handover(**plain), buyer), tuple(map(Doubt, doubts)))


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
