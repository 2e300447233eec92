"""The real lists of ../shared/data, from the file to the last event (GRP-05)."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from dealerloop.imports.v1.imports_pb2 import Import, Mapping
from dealerloop.sales.events.v1.events_pb2 import CustomerChanged, DeliveryRecorded
from sales.imports.places import folded
from tests.support.list_desk import Desk, counts, open_stores, snapshot
from tests.support.one_service import OneService

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
CARS = SHARED / "vehicle_sales" / "honda_odyssey_sales.csv"
PEOPLE = SHARED / "dealer_customers" / "car_sales_3500.csv"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the real lists of ../shared/data are not here")


async def open_all(sales: OneService, file: Path, column: str) -> None:
    """Let sales know everybody who sells in this file as a store."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        names = {folded(row[column]): row[column] for row in csv.DictReader(lines)}
    await open_stores(sales, {f"real-{number}": name for number, name in enumerate(names.values())})


async def test_real_sales_are_taken_once_whatever_is_odd_about_them(sales: OneService) -> None:
    await open_all(sales, CARS, "SELLER")
    columns = {
        "vin": "VIN",
        "brand": "MAKE",
        "series": "MODEL",
        "model": "TRIM",
        "store": "SELLER",
        "deliveryTime": "SALEDATE",
        "odometerKm": "ODOMETER",
    }
    desk, mapping = Desk(sales, store=""), Mapping(columns=columns)

    dry = await desk.bring(CARS.read_bytes(), mapping=mapping, validate_only=True)

    assert (dry.state, dry.row_count) == (Import.STATE_CHECKED, 3500)
    assert (dry.taken, dry.unchanged, dry.rejected) == (3436, 0, 64)
    assert dict(dry.rejected_by_reason) == {"ALREADY_DELIVERED": 64}
    # Four cars of 2001 to 2007 that were sold in 2015 with one kilometre on them.
    assert dict(dry.warnings_by_reason) == {
        "CUSTOMER_MISSING": 3436,
        "CONSULTANT_MISSING": 3436,
        "ODOMETER_SENTINEL": 4,
    }
    assert await sales.rows("select 1 from delivery") == []

    done = await desk.confirm(dry.name)

    assert counts(done) == (3436, 0, 64)
    found = await sales.rows("select vin, store_id, odometer_km, delivery_time, customer_id from delivery")
    assert len({row["vin"] for row in found}) == len(found) == 3436
    assert len({row["store_id"] for row in found}) == len(earliest_sellers())
    assert {row["customer_id"] for row in found} == {None}
    assert sum(row["odometer_km"] == 0 for row in found) == 5  # four sentinels and one empty cell
    times = {row["vin"].lower(): row["delivery_time"] for row in found}
    assert times["5fnrl5h24cb009338"].isoformat() == "2014-12-18T20:00:00+00:00"
    asked = Counter(row["reason"] for row in await sales.rows("select reason from data_correction"))
    assert asked == {"CUSTOMER_MISSING": 3436, "CONSULTANT_MISSING": 3436}
    assert len(await sales.told(DeliveryRecorded)) == 3436

    before = await snapshot(sales)
    again = await desk.bring(CARS.read_bytes(), mapping=mapping)

    assert counts(again) == (0, 3436, 64)
    assert dict(again.rejected_by_reason) == {"ALREADY_DELIVERED": 64}
    assert await snapshot(sales) == before


def earliest_sellers() -> set[str]:
    """Who sold each car first."""
    first: dict[str, tuple[datetime, str]] = {}
    with CARS.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            text, _, _ = row["SALEDATE"].partition(" (")
            when = datetime.strptime(text, "%a %b %d %Y %H:%M:%S GMT%z")
            told = (when, folded(row["SELLER"]))
            known = first.setdefault(row["VIN"], told)
            if when < known[0]:
                first[row["VIN"]] = told
    return {seller for _, seller in first.values()}


async def test_real_customers_keep_their_seven_digit_numbers_unverified(sales: OneService) -> None:
    await open_all(sales, PEOPLE, "Dealer_Name")
    columns = {"displayName": "Customer Name", "phone": "Phone", "store": "Dealer_Name"}
    desk, mapping = Desk(sales, "Customer", store=""), Mapping(columns=columns)

    found = await desk.bring(PEOPLE.read_bytes(), mapping=mapping)

    assert counts(found) == (3500, 0, 0)
    assert dict(found.warnings_by_reason) == {"PHONE_UNVERIFIED": 3500}
    people = await sales.rows("select id, store_id, phone_verified from customer")
    assert (len(people), {one["phone_verified"] for one in people}) == (3500, {False})
    assert len({one["store_id"] for one in people}) == 28
    asked = await sales.rows("select customer_id, delivery_id, field, reason from data_correction")
    assert {one["customer_id"] for one in asked} == {one["id"] for one in people}
    assert {(one["delivery_id"], one["field"], one["reason"]) for one in asked} == {
        (None, "customer.phone", "PHONE_UNVERIFIED")
    }
    assert len(await sales.told(CustomerChanged)) == 3500

    before = await snapshot(sales)
    again = await desk.bring(PEOPLE.read_bytes(), mapping=mapping)

    assert counts(again) == (0, 3500, 0)
    assert await snapshot(sales) == before


async def test_a_list_without_vehicle_numbers_gives_no_deliveries_and_says_so_row_by_row(sales: OneService) -> None:
    await open_all(sales, PEOPLE, "Dealer_Name")
    columns = {"brand": "Company", "series": "Model", "deliveryTime": "Date", "store": "Dealer_Name"}
    desk = Desk(sales, store="")

    without = await desk.bring(PEOPLE.read_bytes(), mapping=Mapping(columns=columns, date_order=Mapping.DATE_ORDER_MDY))
    mistaken = await desk.bring(
        PEOPLE.read_bytes(),
        mapping=Mapping(columns={**columns, "vin": "Car_id"}, date_order=Mapping.DATE_ORDER_MDY),
    )

    assert (without.state, without.refusal_reason) == (Import.STATE_REFUSED, "FIELD_UNMAPPED")
    assert counts(mistaken) == (0, 0, 3500)
    # Every date such as 1/2/2022 was read; nothing but the number is wrong.
    assert dict(mistaken.rejected_by_reason) == {"VIN_LENGTH": 3500}
