"""Lists of deliveries through the real server (GRP-05, SAL-10)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from dealerloop.imports.v1.imports_pb2 import Import, ImportRow, Mapping, Replacement
from dealerloop.sales.events.v1.events_pb2 import CustomerChanged, DeliveryRecorded
from dealerloop.sales.v1.deliveries_pb2 import Delivery
from dealership import vin
from dealership.people import Names
from kit.db.scope import Scope
from kit.errors import AlreadyExists, PermissionDenied
from kit.imports.values import Draft as ListDraft
from kit.imports.values import Row, Value
from sales.deliveries import bulk
from sales.imports.checkers import DeliveryChecker
from sales.imports.deliveries import DeliveryImporter
from sales.imports.places import Place, Places
from sales.imports.values import unpack_delivery
from tests.support.deliveries import OTHER_STORE, STORE, customer, vin_of
from tests.support.delivery_lists import DAY, HEADERS, open_corrections, row
from tests.support.list_desk import Desk, counts, open_stores, snapshot
from tests.support.one_service import OneService
from tests.support.sales_desk import cancel, create, page, update


async def test_a_list_in_chinese_is_recognised_and_taken_like_calls_would_be(sales: OneService) -> None:
    found = await Desk(sales).rows(HEADERS, row(1), row(2))

    assert counts(found) == (2, 0, 0)
    listed = {one.vin: one for one in (await page(sales)).deliveries}
    first = listed[vin_of(1)]
    assert (first.brand, first.series, first.model) == ("Nissan", "Paladin", "2.5 4WD")
    assert (first.customer.display_name, first.customer.phone) == ("王*", "138****0001")
    assert first.customer.phone_verified
    assert first.consultant == f"stores/{STORE}/staff/li-lei"
    assert (first.invoice_date, first.odometer_km, first.plate) == (DAY, 12, "京A***45")
    assert first.delivery_time.ToJsonString() == "2026-05-18T04:00:00Z"  # noon in the store
    recorded = await sales.told(DeliveryRecorded)
    assert {event.delivery.vin for event in recorded} == set(listed)
    assert {event.delivery.customer_id for event in recorded} == {
        event.customer_id for event in await sales.told(CustomerChanged)
    }
    assert await open_corrections(sales) == []
    assert await Desk(sales).remarks(found) == []


async def test_an_imported_delivery_tells_what_a_recorded_one_tells(sales: OneService) -> None:
    made = await create(sales, 1, customer=customer(display_name="王2", phone="13800000002"))
    await cancel(sales, made.name)

    await Desk(sales).rows(HEADERS, row(1, name="王2", phone="13800000002", day="2026-05-20 10:30", invoiced=""))

    by_call, by_list = (event.delivery for event in await sales.told(DeliveryRecorded))
    assert by_list.delivery_id != by_call.delivery_id
    for field in ("delivery_id", "model"):
        by_call.ClearField(field)
        by_list.ClearField(field)
    assert by_list == by_call
    # The customer is found again and not told twice.
    assert len(await sales.told(CustomerChanged)) == 1


async def test_a_dry_run_shows_every_bad_row_and_changes_nothing_until_it_is_confirmed(sales: OneService) -> None:
    await create(sales, 9)
    before = await snapshot(sales)
    desk = Desk(sales)

    found = await desk.rows(
        HEADERS,
        row(1),
        row(2, vin="LJN"),
        row(3, vin=vin_of(3)[:-1] + ("1" if vin_of(3)[-1] != "1" else "2")),
        row(4, day="2026-05-22"),
        row(5, brand=""),
        row(6, series="x" * 61),
        row(7, km=2_000_001),
        row(8, invoiced="2026-02-30"),
        row(9),
        row(10, day="2026-05-17"),
        row(10, day="2026-05-16"),
        validate_only=True,
    )

    assert found.state == Import.STATE_CHECKED
    assert (found.row_count, found.taken, found.rejected) == (11, 2, 9)
    assert await desk.remarks(found) == [
        (3, "vin", "VIN_LENGTH"),
        (4, "vin", "VIN_CHECK_DIGIT"),
        (5, "deliveryTime", "DATE_IN_FUTURE"),
        (6, "brand", "CELL_MISSING"),
        (7, "series", "TEXT_TOO_LONG"),
        (8, "odometerKm", "NUMBER_OUT_OF_RANGE"),
        (9, "invoiceDate", "DATE_INVALID"),
        (10, "vin", "ALREADY_DELIVERED"),
        # Of one car in one list the earliest hand-over is the first customer's.
        (11, "vin", "ALREADY_DELIVERED"),
    ]
    assert await snapshot(sales) == before

    done = await desk.confirm(found.name)

    assert counts(done) == (2, 0, 9)
    taken = {one.vin: one.delivery_time.ToJsonString()[:10] for one in (await page(sales)).deliveries}
    assert taken == {vin_of(9): "2026-05-20", vin_of(1): DAY, vin_of(10): "2026-05-16"}


async def test_a_refusal_never_says_where_the_vehicle_was_delivered(sales: OneService) -> None:
    await create(sales, 1, store=OTHER_STORE)

    found = await Desk(sales).rows(HEADERS, row(1))

    assert dict(found.rejected_by_reason) == {"ALREADY_DELIVERED": 1}
    assert found.rows[0].severity == ImportRow.SEVERITY_REJECTED
    assert OTHER_STORE not in str(found)


async def test_the_same_list_twice_changes_nothing_whatever_happened_to_its_deliveries(sales: OneService) -> None:
    desk, table = Desk(sales), (HEADERS, row(1), row(2, consultant=""), row(3, name="", phone=""))
    await desk.rows(*table)
    first = (await page(sales)).deliveries[0]
    await update(sales, Delivery(name=first.name, odometer_km=77), "odometer_km")
    before = await snapshot(sales)

    again = await desk.rows(*table)

    assert counts(again) == (0, 3, 0)
    assert await snapshot(sales) == before


async def test_personal_data_stands_in_no_remark(sales: OneService) -> None:
    found = await Desk(sales).rows(HEADERS, row(1, name="韩梅梅" * 40, phone="8264678", plate="京A1234567890123456789"))

    assert {one.reason for one in found.rows} == {"TEXT_TOO_LONG"}
    assert "韩梅梅" not in str(found)
    assert "8264678" not in str(found)


async def test_a_replacement_says_who_a_consultant_is(sales: OneService) -> None:
    mapping = Mapping(replacements=[Replacement(**{"field": "consultant", "from": "李雷", "to": "li-lei"})])

    found = await Desk(sales).rows(HEADERS, row(1, consultant=" 李雷 "), mapping=mapping)

    assert counts(found) == (1, 0, 0)
    assert (await page(sales)).deliveries[0].consultant == f"stores/{STORE}/staff/li-lei"


async def test_an_odometer_that_shows_what_people_type_when_they_do_not_know_is_unknown(sales: OneService) -> None:
    # Model year 2016 by its 10th character, and new in 2016.
    used, new = "5FNRL5H24GB009338", "5FNRL5H28GB009339"
    cars = [car[:8] + vin.check_digit(car) + car[9:] for car in (used, new)]

    found = await Desk(sales).rows(
        HEADERS,
        row(1, vin=cars[0], km=1),
        row(2, vin=cars[1], km=1, day="2016-05-18", invoiced=""),
        row(3, km=999_999),
        row(4, km=99_999),
        row(5, km=""),
    )

    assert [remark for remark in await Desk(sales).remarks(found) if remark[2] == "ODOMETER_SENTINEL"] == [
        (2, "odometerKm", "ODOMETER_SENTINEL"),
        (4, "odometerKm", "ODOMETER_SENTINEL"),
    ]
    shown = {one.vin: one.odometer_km for one in (await page(sales)).deliveries}
    assert shown == {cars[0]: 0, cars[1]: 1, vin_of(3): 0, vin_of(4): 99_999, vin_of(5): 0}


async def test_a_file_of_the_group_names_the_store_by_id_name_or_resource_name(sales: OneService) -> None:
    await open_stores(sales, {STORE: "Beijing  Chaoyang", OTHER_STORE: "Shanghai", "gz-01": "Twin", "gz-02": "TWIN"})
    headers = (*HEADERS, "门店")

    group = Desk(sales, store="")
    found = await group.rows(
        headers,
        [*row(1), STORE],
        [*row(2), f"stores/{OTHER_STORE}"],
        [*row(3), "ｂｅｉｊｉｎｇ chaoyang "],
        [*row(4), "Nowhere"],
        [*row(5), "twin"],
        [*row(6), ""],
    )

    assert counts(found) == (3, 0, 3)
    assert await group.remarks(found) == [
        (5, "store", "STORE_UNKNOWN"),
        (6, "store", "STORE_UNKNOWN"),
        (7, "store", "CELL_MISSING"),
    ]
    rows = await sales.rows("select vin, store_id from delivery")
    assert {row["vin"]: row["store_id"] for row in rows} == {
        vin_of(1): STORE,
        vin_of(2): OTHER_STORE,
        vin_of(3): STORE,
    }


async def test_another_store_is_as_unknown_in_a_stores_list_as_one_that_does_not_exist(sales: OneService) -> None:
    found = await Desk(sales).rows(
        (*HEADERS, "门店"), [*row(1), OTHER_STORE], [*row(2), "nowhere"], [*row(3), STORE], [*row(4), ""]
    )

    assert counts(found) == (2, 0, 2)
    assert len({(one.reason, one.message) for one in found.rows}) == 1


async def test_a_list_of_the_group_is_for_those_who_see_the_whole_group(sales: OneService) -> None:
    group = Desk(sales, store="")
    refused = sales.token("ROLE_INFORMATION_CLERK", STORE)
    object.__setattr__(group, "_token", lambda: refused)

    with pytest.raises(PermissionDenied):
        await group.rows(HEADERS, row(1))


def drafts(sales: OneService, *numbers: int) -> list[ListDraft]:
    """Rows as the dry run has put them aside."""
    places = Places([Place(STORE, STORE, ZoneInfo("Asia/Shanghai"))], own=STORE)
    checker = DeliveryChecker(places, {STORE: Names(STORE, [])}, sales.clock.now())
    found = []
    for number in numbers:
        values: dict[str, Value] = {
            "vin": vin_of(number),
            "brand": "Nissan",
            "series": "Paladin",
            "deliveryTime": date(2026, 5, 18),
            "customer.displayName": f"王{number}",
            "customer.phone": f"138{number:08d}",
        }
        draft, _ = checker.check(Row(number, values))
        assert draft is not None
        found.append(draft)
    return found


async def test_a_vehicle_that_somebody_else_records_meanwhile_is_left_to_him_and_the_batch_is_not_lost(
    sales: OneService,
) -> None:
    importer = DeliveryImporter(sales.context.vault, sales.context.peer("gateway"))
    waiting = drafts(sales, 1, 2, 3)

    # The other store has written the second car and not committed yet: the batch waits for it.
    async with sales.database.transaction(Scope.store(OTHER_STORE)) as theirs:
        listed = unpack_delivery(waiting[1].payload)
        await bulk.record(theirs, sales.context.vault, [(OTHER_STORE, listed.draft)], sales.clock.now())

        async def take() -> dict[int, str]:
            async with sales.database.transaction(Scope.store(STORE)) as ours:
                left = await importer.take(ours, waiting, f"stores/{STORE}/deliveryImports/1", sales.clock.now())
                return {row: remark.reason for row, remark in left.items()}

        taking = asyncio.create_task(take())
        while not await sales.rows("select 1 from pg_stat_activity where wait_event_type = 'Lock'"):  # noqa: ASYNC110 - the server tells nobody who waits
            await asyncio.sleep(0.01)

    assert await taking == {2: "ALREADY_DELIVERED"}
    cars = {row["vin"]: row["store_id"] for row in await sales.rows("select vin, store_id from delivery")}
    assert cars == {vin_of(1): STORE, vin_of(2): OTHER_STORE, vin_of(3): STORE}
    # Whoever was made for the lost row alone is taken back, and nobody is told of him.
    people = await sales.rows("select id, store_id from customer")
    assert Counter(one["store_id"] for one in people) == {STORE: 2, OTHER_STORE: 1}
    assert {event.customer_id for event in await sales.told(CustomerChanged)} == {str(one["id"]) for one in people}


async def test_calls_and_lists_at_once_record_each_vehicle_once_and_nobody_fails(sales: OneService) -> None:
    async def call(number: int) -> bool:
        person = customer(display_name=f"王{number}", phone=f"138{number:08d}")
        try:
            await create(sales, number, customer=person)
        except AlreadyExists:
            return False
        return True

    table = (HEADERS, *(row(number) for number in range(1, 31)))
    calls = asyncio.gather(*(call(number) for number in (30, 3, 17, 1, 22, 9)))
    taken, unchanged, refused = counts(await Desk(sales).rows(*table))
    called = await calls

    assert (taken + sum(called), unchanged) == (30, 0)
    assert refused == sum(called)
    assert len(await sales.rows("select 1 from delivery")) == 30
    assert len(await sales.rows("select 1 from customer")) == 30
