from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from dealerloop.sales.v1 import customers_pb2, deliveries_pb2
from kit.rpc import validation
from sales.customers.values import Buyer, Person
from sales.deliveries import rules
from sales.deliveries.values import Before, Draft, State
from tests.support.deliveries import NOW, OTHER_STORE, BeijingStore, customer, delivery, vin_of


def read(**changes: Any) -> Draft:
    return rules.read(delivery(**changes), store=BeijingStore(), now=NOW)


def violations(**changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(rules.InvalidDelivery) as refused:
        read(**changes)
    return [(violation.field, violation.rule) for violation in refused.value.violations]


def test_a_valid_delivery_is_normalised() -> None:
    draft = read(vin=f" {vin_of(1).lower()} ", series=" Paladin ", plate="京a 12345")

    assert draft.handover.vin == vin_of(1)
    assert draft.handover.series == "Paladin"
    assert draft.handover.plate == "京A12345"
    assert draft.handover.consultant_id == "li-lei"
    assert draft.buyer == Buyer(Person("王小明", "+8613800138000"), phone_verified=True)


def test_the_invoice_date_defaults_to_the_stores_day_of_the_handover() -> None:
    late_in_beijing = datetime(2026, 5, 19, 16, 30, tzinfo=UTC)

    draft = read(delivery_time=late_in_beijing)

    assert draft.handover.delivery_date == date(2026, 5, 20)
    assert draft.handover.invoice_date == date(2026, 5, 20)


@pytest.mark.parametrize(
    ("vin", "rule"),
    [("LJN", "VIN_LENGTH"), ("LJNTGUBSO00000001", "VIN_CHARACTERS"), (vin_of(1)[:-1] + "2", "VIN_CHECK_DIGIT")],
)
def test_a_wrong_vin_is_refused_on_its_field(vin: str, rule: str) -> None:
    assert violations(vin=vin) == [("delivery.vin", rule)]


def test_a_check_digit_of_a_foreign_maker_is_only_a_warning() -> None:
    draft = read(vin="WVWZZZ1JZ3W386752")

    assert draft.handover.warnings == ("VIN_CHECK_DIGIT",)


@pytest.mark.parametrize("phone", ["12", "not a number", "+86 999", "138****8000"])
def test_a_wrong_phone_is_refused_on_its_field(phone: str) -> None:
    assert violations(customer=customer(phone=phone)) == [("delivery.customer.phone", "PHONE_INVALID")]


@pytest.mark.parametrize("text", ["2026-02-29", "2026-13-01", "2026-00-10", "20260520", "2026-W21-3", "0000-01-01"])
def test_a_day_that_is_none_is_refused(text: str) -> None:
    assert violations(invoice_date=text) == [("delivery.invoice_date", "DATE_INVALID")]


def test_a_leap_day_is_a_day() -> None:
    assert read(invoice_date="2024-02-29").handover.invoice_date == date(2024, 2, 29)


def test_every_problem_is_told_at_once() -> None:
    found = violations(
        vin="X",
        brand="  ",
        customer=customer(phone="1", display_name="\t"),
        insurance_expiry_date="2026-02-30",
        consultant=f"stores/{OTHER_STORE}/staff/li-lei",
    )

    assert found == [
        ("delivery.vin", "VIN_LENGTH"),
        ("delivery.insurance_expiry_date", "DATE_INVALID"),
        ("delivery.brand", "TEXT_EMPTY"),
        ("delivery.consultant", "STAFF_OF_OTHER_STORE"),
        ("delivery.customer.display_name", "TEXT_EMPTY"),
        ("delivery.customer.phone", "PHONE_INVALID"),
    ]


def test_a_handover_later_today_in_the_store_is_accepted_and_tomorrow_is_not() -> None:
    end_of_day = datetime(2026, 5, 20, 15, 59, tzinfo=UTC)

    assert read(delivery_time=end_of_day).handover.delivery_date == date(2026, 5, 20)
    assert violations(delivery_time=end_of_day + timedelta(minutes=1)) == [("delivery.delivery_time", "DATE_IN_FUTURE")]


def test_a_clock_that_is_five_minutes_ahead_is_forgiven_at_midnight() -> None:
    just_before_midnight = datetime(2026, 5, 20, 15, 56, tzinfo=UTC)
    message = delivery(delivery_time=just_before_midnight + timedelta(minutes=5))

    draft = rules.read(message, store=BeijingStore(), now=just_before_midnight)

    assert draft.handover.delivery_date == date(2026, 5, 21)


@pytest.mark.parametrize(
    ("seconds", "rule"),
    [(-62135596800, "DATE_TOO_EARLY"), (253402300799, "DATE_IN_FUTURE"), (10**15, "DATE_INVALID")],
)
def test_the_ends_of_the_calendar_are_refused(seconds: int, rule: str) -> None:
    assert violations(delivery_time=Timestamp(seconds=seconds)) == [("delivery.delivery_time", rule)]


def test_an_invoice_far_from_the_delivery_is_a_warning_and_one_in_the_future_an_error() -> None:
    assert read(invoice_date="2025-05-19").handover.warnings == ()
    assert read(invoice_date="2025-05-18").handover.warnings == ("INVOICE_DATE_FAR_FROM_DELIVERY",)
    assert violations(invoice_date="2026-05-21") == [("delivery.invoice_date", "DATE_IN_FUTURE")]


def test_contracts_that_ended_before_the_delivery_are_warnings() -> None:
    warnings = read(insurance_expiry_date="2026-05-19", finance_end_date="2026-05-19").handover.warnings

    assert warnings == ("INSURANCE_EXPIRED_BEFORE_DELIVERY", "FINANCE_ENDED_BEFORE_DELIVERY")


def test_a_contract_of_a_century_is_a_typing_error() -> None:
    assert violations(finance_end_date="2126-05-20") == [("delivery.finance_end_date", "DATE_TOO_LATE")]


def test_pasted_tabs_and_line_breaks_become_blanks() -> None:
    assert read(model=" Paladin\t2.5\n4WD ").handover.model == "Paladin 2.5 4WD"


@pytest.mark.parametrize("field", ["brand", "series", "model", "plate"])
def test_control_characters_are_refused(field: str) -> None:
    assert violations(**{field: "a\x00b"}) == [(f"delivery.{field}", "TEXT_CHARACTERS")]


def test_consents_are_kept_by_channel_and_none_is_given_twice() -> None:
    yes = customers_pb2.ChannelConsent(channel=customers_pb2.CHANNEL_PHONE, granted=True)
    no = customers_pb2.ChannelConsent(channel=customers_pb2.CHANNEL_SMS, granted=False)

    buyer = read(customer=customer(consents=[yes, no])).buyer
    assert buyer is not None
    assert buyer.consents == {"PHONE": True, "SMS": False}
    assert violations(customer=customer(consents=[yes, yes])) == [("delivery.customer.consents", "CONSENT_TWICE")]


def test_a_call_names_buyer_and_consultant() -> None:
    bare = delivery(consultant="")
    bare.ClearField("customer")

    with pytest.raises(rules.InvalidDelivery) as refused:
        rules.read(bare, store=BeijingStore(), now=NOW)

    found = [(violation.field, violation.rule) for violation in refused.value.violations]
    assert found == [("delivery.consultant", "CONSULTANT_REQUIRED"), ("delivery.customer", "CUSTOMER_REQUIRED")]


def corrected(before: Before, **changes: Any) -> Draft:
    message = delivery(**changes)
    if "customer" in changes and changes["customer"] is None:
        message.ClearField("customer")
    return rules.read(message, store=BeijingStore(), now=NOW, before=before)


def test_what_a_list_did_not_know_may_stay_missing_and_may_be_added() -> None:
    unknown = Before(buyer=None, consultant_id="")

    still = corrected(unknown, customer=None, consultant="")
    added = corrected(unknown)

    assert (still.buyer, still.handover.consultant_id) == (None, "")
    assert added.buyer == Buyer(Person("王小明", "+8613800138000"), phone_verified=True)
    assert added.handover.consultant_id == "li-lei"


def test_a_correction_takes_nobody_away() -> None:
    known = Before(Buyer(Person("王小明", "+8613800138000"), phone_verified=True), "li-lei")

    with pytest.raises(rules.InvalidDelivery) as refused:
        corrected(known, customer=None, consultant="")

    found = [violation.rule for violation in refused.value.violations]
    assert found == ["CONSULTANT_REQUIRED", "CUSTOMER_REQUIRED"]


@pytest.mark.parametrize(
    "person", [Person("", ""), Person("王小明", ""), Person("王小明", "8264678"), Person("", "8264678")]
)
def test_a_name_and_a_number_that_do_not_change_are_taken_as_they_are(person: Person) -> None:
    before = Before(Buyer(person, phone_verified=False), "li-lei")

    draft = corrected(before, customer=customer(display_name=person.display_name, phone=person.phone))

    assert draft.buyer == before.buyer


def test_a_doubtful_number_is_not_replaced_by_another_one() -> None:
    before = Before(Buyer(Person("王小明", "8264678"), phone_verified=False), "li-lei")

    with pytest.raises(rules.InvalidDelivery) as refused:
        corrected(before, customer=customer(phone="8264679"))

    assert [violation.rule for violation in refused.value.violations] == ["PHONE_INVALID"]


def test_a_correction_says_which_fields_it_puts_right() -> None:
    unknown = Before(buyer=None, consultant_id="")
    doubtful = Before(Buyer(Person("王小明", "8264678"), phone_verified=False), "li-lei")

    assert rules.put_right(unknown, corrected(unknown, customer=None)) == {"consultant"}
    assert rules.put_right(unknown, corrected(unknown, consultant="")) == {
        *("customer", "customer.displayName", "customer.phone"),
    }
    assert rules.put_right(doubtful, corrected(doubtful)) == {"customer.phone"}
    assert rules.put_right(doubtful, corrected(doubtful, customer=customer(phone="8264678"))) == set()


def test_texts_and_odometers_have_the_limits_of_the_contract() -> None:
    for field, longest in (("brand", 60), ("series", 60), ("model", 100), ("plate", 20)):
        assert getattr(read(**{field: "x" * longest}).handover, field).lower() == "x" * longest
        assert violations(**{field: "x" * (longest + 1)}) == [(f"delivery.{field}", "TEXT_TOO_LONG")]
        contract = {violation.field for violation in validation.violations(delivery(1, **{field: "x" * (longest + 1)}))}
        assert contract == {field}
    assert validation.violations(delivery(odometer_km=2_000_000)) == []
    assert violations(odometer_km=2_000_001) == [("delivery.odometer_km", "NUMBER_OUT_OF_RANGE")]
    assert [violation.field for violation in validation.violations(delivery(odometer_km=2_000_001))] == ["odometer_km"]


def test_the_refusal_of_a_second_delivery_names_no_store() -> None:
    error = rules.already_delivered(vin_of(1))

    assert error.reason == "VIN_ALREADY_DELIVERED"
    assert error.metadata == {"vin": vin_of(1)}
    assert [violation.field for violation in error.violations] == ["delivery.vin"]


def test_a_cancelled_delivery_stays_cancelled() -> None:
    rules.require_open(State.COMPLETED)

    with pytest.raises(rules.DeliveryAlreadyCancelled):
        rules.require_open(State.CANCELLED)


def test_a_blank_reason_is_refused() -> None:
    assert rules.cancel_reason(" wrong car ") == "wrong car"
    with pytest.raises(rules.InvalidDelivery) as refused:
        rules.cancel_reason(" \n ")
    assert refused.value.violations[0].field == "reason"


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40), st.text(max_size=12))
def test_no_text_makes_the_rules_fail_in_another_way(vin: str, name: str, phone: str, day: str) -> None:
    message = delivery(vin=vin, customer=customer(display_name=name, phone=phone), invoice_date=day)

    assert outcome(message) != []


@given(st.integers(-62135596800, 253402300799), st.integers(0, 999_999_999))
def test_no_instant_makes_the_rules_fail_in_another_way(seconds: int, nanos: int) -> None:
    found = outcome(delivery(delivery_time=Timestamp(seconds=seconds, nanos=nanos)))

    assert found is None or found == ["delivery.delivery_time"]


def outcome(message: deliveries_pb2.Delivery) -> list[str] | None:
    """The refused fields, or nothing when the delivery is accepted; any other error is a failure."""
    try:
        rules.read(message, store=BeijingStore(), now=NOW)
    except rules.InvalidDelivery as refused:
        return [violation.field for violation in refused.violations]
    return None
