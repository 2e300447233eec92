"""What makes a delivery acceptable; every problem of the input is told at once."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from dealership import phone, vin
from kit.errors import AlreadyExists, Conflict, FieldViolation, InvalidArgument
from sales.customers.values import Buyer, Person
from sales.deliveries.values import (
    FINANCE_ENDED_BEFORE_DELIVERY,
    INSURANCE_EXPIRED_BEFORE_DELIVERY,
    INVOICE_DATE_FAR_FROM_DELIVERY,
    Draft,
    Handover,
    State,
)

if TYPE_CHECKING:
    from dealerloop.sales.v1 import customers_pb2, deliveries_pb2

CLOCK_SKEW: Final = timedelta(minutes=5)
# No vehicle of ours is older than its 17-character VIN; it also keeps time-zone arithmetic inside the calendar.
EARLIEST: Final = date(1990, 1, 1)
INVOICE_DISTANCE: Final = timedelta(days=366)
# Insurance and finance contracts are shorter; a date beyond is a typing error.
LONGEST_CONTRACT: Final = timedelta(days=30 * 366)
_CONSENT_PREFIX: Final = "CHANNEL_"


class InvalidDelivery(InvalidArgument):
    """The delivery breaks rules of its fields; the violations name each of them."""

    reason = "DELIVERY_INVALID"


class VinAlreadyDelivered(AlreadyExists):
    """The vehicle has a first customer already, somewhere in the group; never says where (GRP-01a)."""

    reason = "VIN_ALREADY_DELIVERED"


class DeliveryAlreadyCancelled(Conflict):
    """A cancelled delivery is neither cancelled again nor corrected."""

    reason = "DELIVERY_ALREADY_CANCELLED"


class StoreClock(Protocol):
    """The part of a store that these rules need."""

    @property
    def id(self) -> str:
        """Its id."""

    def local_date(self, instant: datetime) -> date:
        """Its date at an instant."""


def already_delivered(vehicle: str) -> VinAlreadyDelivered:
    """Return the refusal of a second first delivery, the same whoever has the first one (GRP-01a)."""
    description = "this vehicle was already delivered to its first customer"
    violation = FieldViolation("delivery.vin", "VIN_ALREADY_DELIVERED", description)
    return VinAlreadyDelivered(description, metadata={"vin": vehicle}, violations=[violation])


def require_open(state: State) -> None:
    """Refuse to touch a cancelled delivery; raises DeliveryAlreadyCancelled."""
    if state is State.CANCELLED:
        raise DeliveryAlreadyCancelled("the delivery was cancelled")


def cancel_reason(text: str) -> str:
    """Return the reason as it is kept; raises InvalidDelivery on field `reason` (TEXT_EMPTY, TEXT_CHARACTERS)."""
    check = _Check()
    reason = check.text("reason", text)
    check.done()
    return reason


def read(delivery: deliveries_pb2.Delivery, *, store: StoreClock, now: datetime, buyer: Buyer | None = None) -> Draft:
    """Return the checked delivery; field paths start with `delivery.`.

    `buyer` is the one that is known and did not change: he is taken as he is, doubtful number, erasure and all.

    The hand-over may lie on any day up to the store's today (a clock that is 5 minutes ahead is forgiven), so does
    the invoice, which defaults to the day of the hand-over; an invoice more than a year away from it is a warning.
    Raises InvalidDelivery with all violations: VIN_*, PHONE_INVALID, TEXT_EMPTY, TEXT_CHARACTERS, DATE_INVALID,
    DATE_TOO_EARLY, DATE_IN_FUTURE, DATE_TOO_LATE, CONSULTANT_OF_OTHER_STORE, CONSENT_TWICE (SAL-10).
    """
    check = _Check()
    today = store.local_date(now + CLOCK_SKEW)
    vehicle, warnings = check.vin(delivery.vin)
    delivery_time, delivery_date = check.handover_time(delivery, store, now)
    invoice_date = check.past_date("delivery.invoice_date", delivery.invoice_date, today) or delivery_date
    insurance = check.contract_end("delivery.insurance_expiry_date", delivery.insurance_expiry_date, delivery_date)
    finance = check.contract_end("delivery.finance_end_date", delivery.finance_end_date, delivery_date)
    if abs(invoice_date - delivery_date) > INVOICE_DISTANCE:
        warnings.append(INVOICE_DATE_FAR_FROM_DELIVERY)
    if insurance is not None and insurance < delivery_date:
        warnings.append(INSURANCE_EXPIRED_BEFORE_DELIVERY)
    if finance is not None and finance < delivery_date:
        warnings.append(FINANCE_ENDED_BEFORE_DELIVERY)
    handover = Handover(
        vin=vehicle,
        brand=check.text("delivery.brand", delivery.brand),
        series=check.text("delivery.series", delivery.series),
        model=check.text("delivery.model", delivery.model, optional=True),
        consultant_id=check.consultant(delivery.consultant, store.id),
        delivery_time=delivery_time,
        delivery_date=delivery_date,
        invoice_date=invoice_date,
        odometer_km=delivery.odometer_km,
        plate=check.text("delivery.plate", delivery.plate, optional=True).replace(" ", "").upper(),
        insurance_expiry_date=insurance,
        finance_end_date=finance,
        warnings=tuple(warnings),
    )
    who = buyer or check.buyer(delivery.customer)
    check.done()
    return Draft(handover, who)


class _Check:
    """Collects violations; a field that has one yields a stand-in that is thrown away with the whole draft."""

    def __init__(self) -> None:
        self.found: list[FieldViolation] = []

    def done(self) -> None:
        if self.found:
            raise InvalidDelivery(self.found[0].description, violations=self.found)

    def wrong(self, field: str, rule: str, description: str) -> None:
        self.found.append(FieldViolation(field, rule, description))

    def vin(self, text: str) -> tuple[str, list[str]]:
        try:
            return vin.parse(text, field="delivery.vin")
        except InvalidArgument as error:
            self.found.extend(error.violations)
            return "", []

    def text(self, field: str, text: str, *, optional: bool = False) -> str:
        # Tabs and line breaks come with pasting; what else is invisible does not belong into a text.
        plain = " ".join(unicodedata.normalize("NFC", text).split())
        if any(unicodedata.category(character) == "Cc" for character in plain):
            self.wrong(field, "TEXT_CHARACTERS", "control characters are not allowed")
        elif not plain and not optional:
            self.wrong(field, "TEXT_EMPTY", "must not be blank")
        return plain

    def consultant(self, name: str, store_id: str) -> str:
        _, store, _, staff = name.split("/")
        if store != store_id:
            self.wrong("delivery.consultant", "CONSULTANT_OF_OTHER_STORE", "the consultant must belong to the store")
        return staff

    def handover_time(
        self, delivery: deliveries_pb2.Delivery, store: StoreClock, now: datetime
    ) -> tuple[datetime, date]:
        field = "delivery.delivery_time"
        try:
            instant = delivery.delivery_time.ToDatetime(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.wrong(field, "DATE_INVALID", "not a time of the calendar")
            return now, EARLIEST
        # Compared before the change to local time, which does not exist at the ends of the calendar.
        if instant.date() < EARLIEST:
            self.wrong(field, "DATE_TOO_EARLY", f"must not be before {EARLIEST}")
            return now, EARLIEST
        if instant > now + timedelta(days=2) or store.local_date(instant) > store.local_date(now + CLOCK_SKEW):
            self.wrong(field, "DATE_IN_FUTURE", "must not be after today in the store")
            return now, EARLIEST
        return instant, store.local_date(instant)

    def day(self, field: str, text: str) -> date | None:
        if not text:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = None
        # ISO 8601 has other spellings (20260131, 2026-W05-6), which the contract has not.
        if day is None or day.isoformat() != text:
            self.wrong(field, "DATE_INVALID", "not a day of the calendar, or not written as YYYY-MM-DD")
            return None
        if day < EARLIEST:
            self.wrong(field, "DATE_TOO_EARLY", f"must not be before {EARLIEST}")
            return None
        return day

    def past_date(self, field: str, text: str, today: date) -> date | None:
        day = self.day(field, text)
        if day is not None and day > today:
            self.wrong(field, "DATE_IN_FUTURE", "must not be after today in the store")
            return None
        return day

    def contract_end(self, field: str, text: str, delivery_date: date) -> date | None:
        day = self.day(field, text)
        if day is not None and day - delivery_date > LONGEST_CONTRACT:
            self.wrong(field, "DATE_TOO_LATE", "must not be more than 30 years after the delivery")
            return None
        return day

    def buyer(self, customer: customers_pb2.Customer) -> Buyer:
        name = self.text("delivery.customer.display_name", customer.display_name)
        number, verified = "", False
        try:
            parsed = phone.parse(customer.phone, field="delivery.customer.phone")
            number, verified = parsed.e164, parsed.verified
        except InvalidArgument as error:
            self.found.extend(error.violations)
        return Buyer(Person(name, number), verified, self.consents(customer.consents))

    def consents(self, given: Iterable[customers_pb2.ChannelConsent]) -> dict[str, bool]:
        from dealerloop.sales.v1 import customers_pb2

        consents: dict[str, bool] = {}
        for consent in given:
            channel = customers_pb2.Channel.Name(consent.channel).removeprefix(_CONSENT_PREFIX)
            if channel in consents:
                self.wrong("delivery.customer.consents", "CONSENT_TWICE", f"{channel} is given twice")
            consents[channel] = consent.granted
        return consents
