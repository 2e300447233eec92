"""What makes a delivery acceptable; every problem of the input is told at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from kit.errors import AlreadyExists, Conflict, FieldViolation, InvalidArgument
from sales.customers.values import LONGEST_NAME, NOBODY, Buyer, Person
from sales.deliveries.checks import NAME, Checks, StoreClock
from sales.deliveries.values import (
    CONSULTANT_FIELD,
    CUSTOMER_FIELD,
    NAME_FIELD,
    PHONE_FIELD,
    Before,
    Draft,
    Given,
    State,
)

if TYPE_CHECKING:
    from dealerloop.sales.v1 import customers_pb2, deliveries_pb2

_LONGEST_REASON: Final = 500
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
    checks = Checks()
    reason = checks.text("reason", text, _LONGEST_REASON)
    _require_none(checks)
    return reason


def read(delivery: deliveries_pb2.Delivery, *, store: StoreClock, now: datetime, before: Before | None = None) -> Draft:
    """Return the checked delivery; field paths start with `delivery.`.

    A new delivery (`before` is None) names buyer and consultant. A correction cannot take them away, but leaves them
    missing where a list did not know them (GRP-05); a name or number that it does not change is taken as it is.
    Raises InvalidDelivery with all violations: VIN_*, PHONE_INVALID, TEXT_EMPTY, TEXT_CHARACTERS, DATE_INVALID,
    DATE_TOO_EARLY, DATE_IN_FUTURE, DATE_TOO_LATE, CUSTOMER_REQUIRED, CONSULTANT_REQUIRED, STAFF_OF_OTHER_STORE,
    CONSENT_TWICE, TEXT_TOO_LONG (SAL-10).
    """
    checks = Checks()
    given = Given(
        vin=delivery.vin,
        brand=delivery.brand,
        series=delivery.series,
        model=delivery.model,
        consultant_id=delivery.consultant.rpartition("/")[2],
        delivery_time=_instant(delivery),
        invoice_date=delivery.invoice_date,
        odometer_km=delivery.odometer_km,
        plate=delivery.plate,
        insurance_expiry_date=delivery.insurance_expiry_date,
        finance_end_date=delivery.finance_end_date,
    )
    handover = checks.handover(given, store, now)
    _require_consultant(checks, delivery.consultant, store.id, before)
    buyer = _buyer(checks, delivery, before)
    _require_none(checks)
    return Draft(handover, buyer)


def put_right(before: Before, draft: Draft) -> frozenset[str]:
    """Return the fields whose data corrections end with this correction of a delivery: those that it fills or changes.

    It cannot tell a better number from another one, so that any number which is not the old one puts it right.
    """
    old = NOBODY if before.buyer is None else before.buyer.person
    new = NOBODY if draft.buyer is None else draft.buyer.person
    changed = {
        CUSTOMER_FIELD: before.buyer is None and draft.buyer is not None,
        CONSULTANT_FIELD: draft.handover.consultant_id not in ("", before.consultant_id),
        NAME_FIELD: new.display_name not in ("", old.display_name),
        PHONE_FIELD: new.phone not in ("", old.phone),
    }
    return frozenset(field for field, is_new in changed.items() if is_new)


def _require_consultant(checks: Checks, name: str, store_id: str, before: Before | None) -> None:
    if not name:
        if before is None or before.consultant_id:
            checks.wrong("delivery.consultant", "CONSULTANT_REQUIRED", "must be given")
    elif name.split("/")[1] != store_id:
        checks.wrong("delivery.consultant", "STAFF_OF_OTHER_STORE", "must be somebody who works for this store")


def _buyer(checks: Checks, delivery: deliveries_pb2.Delivery, before: Before | None) -> Buyer | None:
    known = None if before is None else before.buyer
    if not delivery.HasField("customer"):
        if before is None or known is not None:
            checks.wrong("delivery.customer", "CUSTOMER_REQUIRED", "must be given")
        return None
    customer = delivery.customer
    consents = _consents(checks, customer.consents)
    same_name = known is not None and customer.display_name == known.person.display_name
    name = customer.display_name if same_name else checks.text(NAME, customer.display_name, LONGEST_NAME)
    if known is not None and customer.phone == known.person.phone:
        return Buyer(Person(name, customer.phone), known.phone_verified, consents)
    number = checks.phone(customer.phone)
    return Buyer(Person(name, number.e164), number.verified, consents)


def _consents(checks: Checks, given: Iterable[customers_pb2.ChannelConsent]) -> dict[str, bool]:
    from dealerloop.sales.v1 import customers_pb2

    consents: dict[str, bool] = {}
    for consent in given:
        channel = customers_pb2.Channel.Name(consent.channel).removeprefix(_CONSENT_PREFIX)
        if channel in consents:
            checks.wrong("delivery.customer.consents", "CONSENT_TWICE", f"{channel} is given twice")
        consents[channel] = consent.granted
    return consents


def _instant(delivery: deliveries_pb2.Delivery) -> datetime | None:
    try:
        return delivery.delivery_time.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _require_none(checks: Checks) -> None:
    if checks.found:
        raise InvalidDelivery(checks.found[0].description, violations=checks.found)
