"""What makes a row of a list acceptable, and what is taken with a remark (SAL-10, GRP-05).

The fields of a delivery obey the same checks as in a call. A list may know less than a call must: a missing customer,
consultant or telephone, and a doubtful number, are taken with a data correction; each of them is a warning first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Final

from dealership import phone, vin
from dealership.people import Names
from kit.errors import FieldViolation
from kit.imports.values import Remark, Row, Value, rejected, warning
from sales.customers.values import LONGEST_NAME, Buyer, Person
from sales.deliveries.checks import NAME, Checks
from sales.deliveries.values import (
    FINANCE_ENDED_BEFORE_DELIVERY,
    INSURANCE_EXPIRED_BEFORE_DELIVERY,
    INVOICE_DATE_FAR_FROM_DELIVERY,
    Draft,
    Given,
    Handover,
)
from sales.imports import fields
from sales.imports.places import Place, Places
from sales.imports.values import Doubt, ListedCustomer, ListedDelivery

ALREADY_DELIVERED: Final = rejected(fields.VIN, "ALREADY_DELIVERED", "already delivered")
CUSTOMER_TWICE: Final = rejected(fields.CUSTOMER_NAME, "CUSTOMER_TWICE", "stands in this list twice")
STORE_UNKNOWN: Final = rejected(fields.STORE, "STORE_UNKNOWN", "no store of this list has this id or name")

_NOON: Final = time(12)
_STAFF_NAME: Final = re.compile(r"stores/([a-z][a-z0-9-]{0,38})/staff/([a-z][a-z0-9._-]{0,62})")
_SEVERAL_NUMBERS: Final = re.compile(r"[/,;|、，；]")
_NO_NUMBER: Final = phone.Phone("", verified=False)
# A car of an earlier model year than last year's is used: nobody drove it one kilometre.
_NEW_MODEL_YEARS: Final = 1
_NINES: Final = 999_999

_CONSULTANT_UNKNOWN: Final = warning(
    fields.CONSULTANT,
    "CONSULTANT_UNKNOWN",
    "neither the id nor the name of somebody who works for the store; a replacement can say whose",
)
_CONSULTANT_AMBIGUOUS: Final = warning(
    fields.CONSULTANT, "CONSULTANT_AMBIGUOUS", "several people of the store have this name; a replacement can say who"
)
_ODOMETER_SENTINEL: Final = warning(fields.ODOMETER, "ODOMETER_SENTINEL", "not a reading; taken as unknown")
_PHONE_INVALID: Final = warning(fields.PHONE, "PHONE_INVALID", "not a telephone number; taken as missing")
_PHONE_SEVERAL: Final = warning(
    fields.PHONE, "PHONE_SEVERAL", "several numbers; the first that can be dialled is taken"
)
_DOUBTS: Final = {
    Doubt.CUSTOMER_MISSING: "nobody is named; taken with a data correction",
    Doubt.CONSULTANT_MISSING: "taken without a consultant, with a data correction",
    Doubt.NAME_MISSING: "taken without a name, with a data correction",
    Doubt.PHONE_MISSING: "taken without a telephone number, with a data correction",
    Doubt.PHONE_UNVERIFIED: "doubtful; kept as it is written, with a data correction",
}
_DOUBTFUL_FIELDS: Final = {
    Doubt.CUSTOMER_MISSING: fields.NAME,
    Doubt.CONSULTANT_MISSING: fields.CONSULTANT,
    Doubt.NAME_MISSING: fields.NAME,
    Doubt.PHONE_MISSING: fields.PHONE,
    Doubt.PHONE_UNVERIFIED: fields.PHONE,
}
_DOUBT_REMARKS: Final = {
    doubt: warning(_DOUBTFUL_FIELDS[doubt], doubt.value, message) for doubt, message in _DOUBTS.items()
}
_WARNINGS: Final = {
    vin.CHECK_DIGIT_WARNING: warning(
        fields.VIN, vin.CHECK_DIGIT_WARNING, "the check digit (9th character) does not fit the others"
    ),
    INVOICE_DATE_FAR_FROM_DELIVERY: warning(
        fields.INVOICE_DATE, INVOICE_DATE_FAR_FROM_DELIVERY, "more than a year away from the delivery"
    ),
    INSURANCE_EXPIRED_BEFORE_DELIVERY: warning(
        fields.INSURANCE_EXPIRY_DATE, INSURANCE_EXPIRED_BEFORE_DELIVERY, "before the delivery"
    ),
    FINANCE_ENDED_BEFORE_DELIVERY: warning(
        fields.FINANCE_END_DATE, FINANCE_ENDED_BEFORE_DELIVERY, "before the delivery"
    ),
}


def delivery(
    row: Row, places: Places, people: Mapping[str, Names], now: datetime
) -> tuple[Place | None, ListedDelivery | None, list[Remark]]:
    """Return a row's delivery and its store, or the remarks that keep it out.

    `people` says for each store, by id, whom its people mean by a name. Rejecting reasons are those of a call
    (VIN_LENGTH, DATE_IN_FUTURE, TEXT_TOO_LONG and so on) and STORE_UNKNOWN. Warnings: every Doubt, CONSULTANT_UNKNOWN,
    CONSULTANT_AMBIGUOUS, ODOMETER_SENTINEL, PHONE_INVALID, PHONE_SEVERAL, and those of a call.
    """
    place = places.find(row.text(fields.STORE))
    if place is None:
        return None, None, [STORE_UNKNOWN]
    checks, remarks, doubts = Checks(), list[Remark](), list[Doubt]()
    buyer = _buyer(row, checks, remarks, doubts)
    consultant_id = _consultant(row.text(fields.CONSULTANT), place.id, people[place.id], remarks)
    if not consultant_id:
        doubts.append(Doubt.CONSULTANT_MISSING)
    handover = checks.handover(_given(row, place, consultant_id), place, now)
    if checks.found:
        return place, None, _refusals(checks.found)
    if _is_sentinel(handover):
        handover = handover._replace(odometer_km=0)
        remarks.append(_ODOMETER_SENTINEL)
    remarks += [_WARNINGS[code] for code in handover.warnings]
    remarks += [_DOUBT_REMARKS[doubt] for doubt in doubts]
    return place, ListedDelivery(Draft(handover, buyer), tuple(doubts)), remarks


def customer(row: Row, places: Places) -> tuple[Place | None, ListedCustomer | None, list[Remark]]:
    """Return a row's customer and his store, or the remarks that keep him out.

    Rejecting reasons: STORE_UNKNOWN, TEXT_CHARACTERS, TEXT_TOO_LONG. Warnings: PHONE_MISSING, PHONE_UNVERIFIED,
    PHONE_INVALID, PHONE_SEVERAL.
    """
    place = places.find(row.text(fields.STORE))
    if place is None:
        return None, None, [STORE_UNKNOWN]
    checks, remarks, doubts = Checks(), list[Remark](), list[Doubt]()
    name = checks.text(NAME, row.text(fields.CUSTOMER_NAME), LONGEST_NAME)
    number = _number(row.text(fields.CUSTOMER_PHONE), remarks, doubts)
    if checks.found:
        return place, None, [_own_field(remark) for remark in _refusals(checks.found)]
    remarks += [_DOUBT_REMARKS[doubt] for doubt in doubts]
    buyer = Buyer(Person(name, number.e164), number.verified)
    return place, ListedCustomer(buyer, tuple(doubts)), [_own_field(remark) for remark in remarks]


def _given(row: Row, place: Place, consultant_id: str) -> Given:
    values = row.values
    return Given(
        vin=row.text(fields.VIN),
        brand=row.text(fields.BRAND),
        series=row.text(fields.SERIES),
        model=row.text(fields.MODEL),
        consultant_id=consultant_id,
        delivery_time=_instant(values.get(fields.DELIVERY_TIME), place),
        invoice_date=_day(values.get(fields.INVOICE_DATE)),
        odometer_km=_kilometres(values.get(fields.ODOMETER)),
        plate=row.text(fields.PLATE),
        insurance_expiry_date=_day(values.get(fields.INSURANCE_EXPIRY_DATE)),
        finance_end_date=_day(values.get(fields.FINANCE_END_DATE)),
    )


def _instant(value: Value | None, place: Place) -> datetime | None:
    """Return when the car was handed over: a day alone means noon in the store."""
    try:
        if isinstance(value, datetime):
            local = value if value.tzinfo is not None else value.replace(tzinfo=place.time_zone)
        elif isinstance(value, date):
            local = datetime.combine(value, _NOON, place.time_zone)
        else:
            return None
        return local.astimezone(UTC)
    except (OverflowError, ValueError):
        # The ends of the calendar have no time in another zone.
        return None


def _day(value: Value | None) -> date | str:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else ""


def _kilometres(value: Value | None) -> int:
    return value if isinstance(value, int) else 0


def _buyer(row: Row, checks: Checks, remarks: list[Remark], doubts: list[Doubt]) -> Buyer | None:
    name, written = row.text(fields.NAME), row.text(fields.PHONE)
    if not name and not written:
        doubts.append(Doubt.CUSTOMER_MISSING)
        return None
    number = _number(written, remarks, doubts)
    if not name and not number.e164:
        # What is no number names nobody.
        doubts[:] = [Doubt.CUSTOMER_MISSING]
        return None
    if not name:
        doubts.append(Doubt.NAME_MISSING)
        return Buyer(Person("", number.e164), number.verified)
    return Buyer(Person(checks.text(NAME, name, LONGEST_NAME), number.e164), number.verified)


def _number(written: str, remarks: list[Remark], doubts: list[Doubt]) -> phone.Phone:
    """Return the number that is kept; a doubtful one as its digits, what is none as none (GRP-05)."""
    if not written:
        doubts.append(Doubt.PHONE_MISSING)
        return _NO_NUMBER
    number = _parsed(written)
    if number is None or not number.verified:
        usable = _usable(_SEVERAL_NUMBERS.split(written))
        if usable is not None:
            remarks.append(_PHONE_SEVERAL)
            return usable
    if number is None:
        remarks.append(_PHONE_INVALID)
        doubts.append(Doubt.PHONE_MISSING)
        return _NO_NUMBER
    if not number.verified:
        doubts.append(Doubt.PHONE_UNVERIFIED)
    return number


def _usable(parts: Sequence[str]) -> phone.Phone | None:
    numbers = (_parsed(part) for part in parts) if len(parts) > 1 else ()
    return next((number for number in numbers if number is not None and number.verified), None)


def _parsed(written: str) -> phone.Phone | None:
    try:
        return phone.parse(written, allow_doubtful=True)
    except phone.InvalidPhone:
        return None


def _consultant(written: str, store_id: str, people: Names, remarks: list[Remark]) -> str:
    """Return the consultant's id: of an id, of a resource name, or of a name that one of the store's people has.

    Empty, with a remark, for what names nobody of the store, or several.
    """
    if not written:
        return ""
    full = _STAFF_NAME.fullmatch(written)
    # One of another store is nobody here, whatever his id is.
    staff_id = people.find(written) if full is None else people.find(full[2]) if full[1] == store_id else None
    if staff_id is not None:
        return staff_id
    remarks.append(_CONSULTANT_AMBIGUOUS if people.is_ambiguous(written) else _CONSULTANT_UNKNOWN)
    return ""


def _is_sentinel(handover: Handover) -> bool:
    """Say whether the odometer shows what people type when they do not know: nines, or 1 km on a used car."""
    shown = handover.odometer_km
    if shown != 1:
        return shown >= _NINES and not str(shown).strip("9")
    year = handover.delivery_date.year
    model_year = vin.model_year(handover.vin, latest=year + 1)
    return model_year is not None and model_year < year - _NEW_MODEL_YEARS


def _refusals(found: Sequence[FieldViolation]) -> list[Remark]:
    return [rejected(_field(violation.field), violation.rule, violation.description) for violation in found]


def _field(path: str) -> str:
    """`customer.displayName` for `delivery.customer.display_name`."""
    first, *rest = path.removeprefix("delivery.").split("_")
    return first + "".join(word.capitalize() for word in rest)


def _own_field(remark: Remark) -> Remark:
    # In a list of customers the fields are the customer's own.
    return Remark(remark.severity, remark.field.removeprefix("customer."), remark.reason, remark.message)
