"""The checks of a delivery's fields, the same for a call and for a row of a list (SAL-10, GRP-05)."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

from dealership import phone, vin
from kit.errors import FieldViolation, InvalidArgument
from sales.deliveries.values import (
    FINANCE_ENDED_BEFORE_DELIVERY,
    INSURANCE_EXPIRED_BEFORE_DELIVERY,
    INVOICE_DATE_FAR_FROM_DELIVERY,
    LARGEST_ODOMETER_KM,
    LONGEST_BRAND,
    LONGEST_MODEL,
    LONGEST_PLATE,
    LONGEST_SERIES,
    Given,
    Handover,
)

CLOCK_SKEW: Final = timedelta(minutes=5)
# No vehicle of ours is older than its 17-character VIN; it also keeps time-zone arithmetic inside the calendar.
EARLIEST: Final = date(1990, 1, 1)
# No store's today is further ahead.
_AHEAD: Final = timedelta(days=2)
INVOICE_DISTANCE: Final = timedelta(days=366)
# Insurance and finance contracts are shorter; a date beyond is a typing error.
LONGEST_CONTRACT: Final = timedelta(days=30 * 366)
NAME: Final = "delivery.customer.display_name"
PHONE: Final = "delivery.customer.phone"
_NOBODYS_PHONE: Final = phone.Phone("", verified=False)


class StoreClock(Protocol):
    """The part of a store that these checks need."""

    @property
    def id(self) -> str:
        """Its id."""

    def local_date(self, instant: datetime) -> date:
        """Its date at an instant."""


class Checks:
    """Collects violations; a field that has one yields a stand-in that is thrown away with the whole delivery.

    Field paths are those of the contract, such as `delivery.customer.phone`.
    """

    def __init__(self) -> None:
        self.found: list[FieldViolation] = []

    def wrong(self, field: str, rule: str, description: str) -> None:
        """Keep a violation."""
        self.found.append(FieldViolation(field, rule, description))

    def handover(self, given: Given, store: StoreClock, now: datetime) -> Handover:
        """Return the hand-over in its one spelling.

        It may lie on any day up to the store's today (a clock that is 5 minutes ahead is forgiven), so may the
        invoice, which defaults to the day of the hand-over; an invoice more than a year away from it is a warning.
        """
        today = store.local_date(now + CLOCK_SKEW)
        vehicle, warnings = self._vin(given.vin)
        delivery_time, delivery_date = self._handover_time(given.delivery_time, store, now, today)
        invoice_date = self._past_date("delivery.invoice_date", given.invoice_date, today) or delivery_date
        insurance = self._contract_end("delivery.insurance_expiry_date", given.insurance_expiry_date, delivery_date)
        finance = self._contract_end("delivery.finance_end_date", given.finance_end_date, delivery_date)
        if abs(invoice_date - delivery_date) > INVOICE_DISTANCE:
            warnings.append(INVOICE_DATE_FAR_FROM_DELIVERY)
        if insurance is not None and insurance < delivery_date:
            warnings.append(INSURANCE_EXPIRED_BEFORE_DELIVERY)
        if finance is not None and finance < delivery_date:
            warnings.append(FINANCE_ENDED_BEFORE_DELIVERY)
        return Handover(
            vin=vehicle,
            brand=self._words("delivery.brand", given.brand, LONGEST_BRAND),
            series=self._words("delivery.series", given.series, LONGEST_SERIES),
            model=self._words("delivery.model", given.model, LONGEST_MODEL, optional=True),
            consultant_id=given.consultant_id,
            delivery_time=delivery_time,
            delivery_date=delivery_date,
            invoice_date=invoice_date,
            odometer_km=self.odometer(given.odometer_km),
            plate=self._plate(given.plate),
            insurance_expiry_date=insurance,
            finance_end_date=finance,
            warnings=tuple(warnings),
        )

    def phone(self, text: str) -> phone.Phone:
        """Return a number that can be dialled."""
        try:
            return phone.parse(text, field=PHONE)
        except InvalidArgument as error:
            self.found.extend(error.violations)
            return _NOBODYS_PHONE

    def text(self, field: str, text: str, longest: int, *, optional: bool = False) -> str:
        """Return a text without what came with pasting, of at most so many characters."""
        return self._judged(field, tidy(text), longest, optional=optional)

    def odometer(self, kilometres: int) -> int:
        """Return a reading that an odometer can show, in km."""
        if not 0 <= kilometres <= LARGEST_ODOMETER_KM:
            self.wrong("delivery.odometer_km", "NUMBER_OUT_OF_RANGE", f"must be between 0 and {LARGEST_ODOMETER_KM}")
        return kilometres

    def _words(self, field: str, text: str, longest: int, *, optional: bool = False) -> str:
        return self._judged(field, _tidy_words(text), longest, optional=optional)

    def _judged(self, field: str, plain: str, longest: int, *, optional: bool) -> str:
        if not plain:
            if not optional:
                self.wrong(field, "TEXT_EMPTY", "must not be blank")
        elif len(plain) > longest:
            self.wrong(field, "TEXT_TOO_LONG", f"must have at most {longest} characters")
        # What is printable is quickly said, and holds no control characters.
        elif not plain.isprintable() and any(unicodedata.category(character) == "Cc" for character in plain):
            self.wrong(field, "TEXT_CHARACTERS", "control characters are not allowed")
        return plain

    def _plate(self, text: str) -> str:
        if not text:
            return ""
        return self.text("delivery.plate", text, LONGEST_PLATE, optional=True).replace(" ", "").upper()

    def _vin(self, text: str) -> tuple[str, list[str]]:
        try:
            return vin.parse(text, field="delivery.vin")
        except InvalidArgument as error:
            self.found.extend(error.violations)
            return "", []

    def _handover_time(
        self, instant: datetime | None, store: StoreClock, now: datetime, today: date
    ) -> tuple[datetime, date]:
        field = "delivery.delivery_time"
        if instant is None:
            self.wrong(field, "DATE_INVALID", "not a time of the calendar")
            return now, EARLIEST
        # Compared before the change to local time, which does not exist at the ends of the calendar.
        if instant.date() < EARLIEST:
            self.wrong(field, "DATE_TOO_EARLY", f"must not be before {EARLIEST}")
            return now, EARLIEST
        if instant > now + _AHEAD or (day := store.local_date(instant)) > today:
            self.wrong(field, "DATE_IN_FUTURE", "must not be after today in the store")
            return now, EARLIEST
        return instant, day

    def _day(self, field: str, given: date | str) -> date | None:
        if not given:
            return None
        day = given if isinstance(given, date) else _written_day(given)
        if day is None:
            self.wrong(field, "DATE_INVALID", "not a day of the calendar, or not written as YYYY-MM-DD")
            return None
        if day < EARLIEST:
            self.wrong(field, "DATE_TOO_EARLY", f"must not be before {EARLIEST}")
            return None
        return day

    def _past_date(self, field: str, given: date | str, today: date) -> date | None:
        day = self._day(field, given)
        if day is not None and day > today:
            self.wrong(field, "DATE_IN_FUTURE", "must not be after today in the store")
            return None
        return day

    def _contract_end(self, field: str, given: date | str, delivery_date: date) -> date | None:
        day = self._day(field, given)
        if day is not None and day - delivery_date > LONGEST_CONTRACT:
            self.wrong(field, "DATE_TOO_LATE", "must not be more than 30 years after the delivery")
            return None
        return day


def tidy(text: str) -> str:
    """Return the text with single blanks: tabs and line breaks come with pasting."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split())


@lru_cache(maxsize=4096)
def _tidy_words(text: str) -> str:
    # Brands and models are few, and a list names them in every row.
    return tidy(text)


def _written_day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # ISO 8601 has other spellings (20260131, 2026-W05-6), which the contract has not.
    return day if day.isoformat() == text else None
