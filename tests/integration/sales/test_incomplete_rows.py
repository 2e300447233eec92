"""What a list does not know is taken all the same, and completed later (GRP-05)."""

from __future__ import annotations

from collections import Counter

import pytest

from dealerloop.sales.events.v1.events_pb2 import DeliveryCorrected, DeliveryRecorded
from dealerloop.sales.v1.deliveries_pb2 import Delivery
from kit.errors import InvalidArgument
from tests.support.deliveries import STORE, customer, vin_of
from tests.support.delivery_lists import HEADERS, open_corrections, row
from tests.support.list_desk import Desk, counts
from tests.support.one_service import OneService
from tests.support.sales_desk import cancel, get, page, update


async def test_what_a_list_does_not_know_is_taken_with_a_data_correction_for_each(sales: OneService) -> None:
    desk = Desk(sales)

    found = await desk.rows(
        HEADERS,
        row(1, name="", phone=""),
        row(2, consultant=""),
        row(3, consultant="李雷"),
        row(4, phone=""),
        row(5, phone="8264678"),
        row(6, phone="on request"),
        row(7, name=""),
    )

    assert counts(found) == (7, 0, 0)
    told = {
        (one.source.removeprefix(f"{found.name}/rows/"), one.field, one.reason) for one in await open_corrections(sales)
    }
    assert told == {
        ("2", "customer", "CUSTOMER_MISSING"),
        ("3", "consultant", "CONSULTANT_MISSING"),
        ("4", "consultant", "CONSULTANT_MISSING"),
        ("5", "customer.phone", "PHONE_MISSING"),
        ("6", "customer.phone", "PHONE_UNVERIFIED"),
        ("7", "customer.phone", "PHONE_MISSING"),
        ("8", "customer.displayName", "NAME_MISSING"),
    }
    assert await desk.remarks(found) == [
        (2, "customer.displayName", "CUSTOMER_MISSING"),
        (3, "consultant", "CONSULTANT_MISSING"),
        (4, "consultant", "CONSULTANT_UNKNOWN"),
        (4, "consultant", "CONSULTANT_MISSING"),
        (5, "customer.phone", "PHONE_MISSING"),
        (6, "customer.phone", "PHONE_UNVERIFIED"),
        (7, "customer.phone", "PHONE_INVALID"),
        (7, "customer.phone", "PHONE_MISSING"),
        (8, "customer.displayName", "NAME_MISSING"),
    ]
    listed = {one.vin: one for one in (await page(sales)).deliveries}
    assert not listed[vin_of(1)].HasField("customer")
    assert listed[vin_of(2)].consultant == listed[vin_of(3)].consultant == ""
    assert listed[vin_of(4)].customer.phone == ""
    assert not listed[vin_of(5)].customer.phone_verified
    assert listed[vin_of(5)].customer.phone.endswith("78")
    events = {event.delivery.vin: event.delivery for event in await sales.told(DeliveryRecorded)}
    assert (events[vin_of(1)].customer_id, events[vin_of(3)].consultant_id) == ("", "")


async def test_a_customer_without_a_number_is_nobody_else_and_one_with_a_doubtful_number_is_found_again(
    sales: OneService,
) -> None:
    await Desk(sales).rows(
        HEADERS,
        row(1, name="Emma", phone=""),
        row(2, name="Emma", phone=""),
        row(3, name="Emma", phone="826-4678"),
        row(4, name="EMMA", phone="8264678"),
        row(5, name="Emma", phone="8264679"),
    )

    people = {one.vin: one.customer.name for one in (await page(sales)).deliveries}
    assert people[vin_of(3)] == people[vin_of(4)]
    assert len(set(people.values())) == 4
    # Once for each person, not for each of his deliveries.
    assert Counter(one.reason for one in await open_corrections(sales)) == {"PHONE_MISSING": 2, "PHONE_UNVERIFIED": 2}


async def test_what_was_missing_is_added_by_a_correction_and_ends_its_data_correction(sales: OneService) -> None:
    await Desk(sales).rows(HEADERS, row(1, name="", phone="", consultant=""))
    (bare,) = (await page(sales)).deliveries

    other = await update(sales, Delivery(name=bare.name, odometer_km=30), "odometer_km")
    assert (other.odometer_km, other.HasField("customer"), other.consultant) == (30, False, "")
    assert len(await open_corrections(sales)) == 2

    staffed = await update(sales, Delivery(name=bare.name, consultant=f"stores/{STORE}/staff/li-lei"), "consultant")
    assert [one.reason for one in await open_corrections(sales)] == ["CUSTOMER_MISSING"]
    assert not staffed.HasField("customer")

    whole = await update(sales, Delivery(name=bare.name, customer=customer()), "customer")
    assert whole.customer.display_name == "王**"
    assert await open_corrections(sales) == []
    last = (await sales.told(DeliveryCorrected))[-1].delivery
    assert (last.customer_id, last.consultant_id) == (whole.customer.name.rpartition("/")[2], "li-lei")
    for path, rule in (("customer", "CUSTOMER_REQUIRED"), ("consultant", "CONSULTANT_REQUIRED")):
        with pytest.raises(InvalidArgument) as refused:
            await update(sales, Delivery(name=bare.name), path)
        assert [(one.field, one.rule) for one in refused.value.violations] == [(f"delivery.{path}", rule)]


async def test_a_doubtful_number_stays_through_other_corrections_until_it_is_put_right(sales: OneService) -> None:
    await Desk(sales).rows(HEADERS, row(1, name="Emma", phone="8264678"), row(2, name="Emma", phone="8264678"))
    first, second = (await page(sales)).deliveries

    moved = await update(sales, Delivery(name=first.name, odometer_km=30), "odometer_km")
    renamed = await update(
        sales, Delivery(name=first.name, customer=customer(display_name="Ema")), "customer.display_name"
    )
    assert (moved.customer.phone, renamed.customer.phone) == (first.customer.phone, first.customer.phone)
    assert not renamed.customer.phone_verified
    assert [one.reason for one in await open_corrections(sales)] == ["PHONE_UNVERIFIED"]

    right = await update(sales, Delivery(name=second.name, customer=customer(phone="13800138000")), "customer.phone")

    assert right.customer.phone_verified
    assert await open_corrections(sales) == []
    assert (await get(sales, first.name)).customer == right.customer


async def test_a_cancelled_delivery_has_nothing_left_to_complete(sales: OneService) -> None:
    await Desk(sales).rows(HEADERS, row(1, name="", phone="", consultant=""))
    (bare,) = (await page(sales)).deliveries

    gone = await cancel(sales, bare.name)

    assert gone.state == Delivery.STATE_CANCELLED
    assert await open_corrections(sales) == []
