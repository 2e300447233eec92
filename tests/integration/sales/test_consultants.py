"""The consultant of a delivery is somebody who works for the store: in a call, and in a list by id or name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dealerloop.sales.v1.deliveries_pb2 import Delivery
from dealership.staff import StaffProjection
from kit.errors import InvalidArgument, Unavailable
from tests.support.deliveries import NOW, OTHER_STORE, STORE, vin_of
from tests.support.list_desk import Desk, counts
from tests.support.one_service import OneService
from tests.support.organisation import Gateway, gateway
from tests.support.people import CONSULTANT, colleague, member
from tests.support.postgres import Cloner
from tests.support.sales_desk import create, page, update

HEADERS = ("车架号", "品牌", "车系", "客户姓名", "手机", "销售顾问", "交车日期", "门店")


@pytest.fixture
async def owner(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(database_urls("gateway"), tmp_path / "keys") as running:
        running.clock.set(NOW)
        yield running


@pytest.fixture
async def asking(database_urls: Cloner, owner: Gateway, tmp_path: Path) -> AsyncIterator[OneService]:
    """Sales with a gateway that answers."""
    service = OneService("sales", database_urls("sales"), tmp_path / "keys", NOW)
    target = {"gateway_target": f"127.0.0.1:{owner.running.rpc_port}"}
    service.settings = service.settings.model_copy(update=target)
    yield await service.start(STORE, OTHER_STORE)
    await service.stop()


def named(staff_id: str, store: str = STORE) -> str:
    return f"stores/{store}/staff/{staff_id}"


async def refusal(sales: OneService, staff_id: str) -> list[tuple[str, str]]:
    with pytest.raises(InvalidArgument) as refused:
        await create(sales, 1, consultant=named(staff_id))
    return [(one.field, one.rule) for one in refused.value.violations]


async def test_a_delivery_names_somebody_who_works_for_the_store_now(sales: OneService) -> None:
    await sales.know_people(
        colleague("gone", STORE, active=False),
        colleague("theirs", OTHER_STORE),
        member("helper", (CONSULTANT, f"stores/{STORE}"), home=OTHER_STORE),
    )

    assert await refusal(sales, "gone") == [("delivery.consultant", "STAFF_INACTIVE")]
    assert await refusal(sales, "theirs") == [("delivery.consultant", "STAFF_OF_OTHER_STORE")]
    made = await create(sales, 1, consultant=named("helper"))

    assert made.consultant == named("helper")
    assert len((await page(sales)).deliveries) == 1


async def test_whom_sales_does_not_know_it_asks_for(asking: OneService, owner: Gateway) -> None:
    await owner.create_store(STORE)
    await owner.create_staff("new", CONSULTANT, store=STORE)

    made = await create(asking, 1, consultant=named("new"))

    assert made.consultant == named("new")
    assert await refusal(asking, "no-such") == [("delivery.consultant", "STAFF_UNKNOWN")]


async def test_nobody_is_taken_blindly_while_the_gateway_is_away(sales: OneService) -> None:
    with pytest.raises(Unavailable):
        await create(sales, 1, consultant=named("no-such"))

    assert not (await page(sales)).deliveries


async def test_a_correction_names_somebody_who_works_here_and_leaves_alone_whoever_left_since(
    sales: OneService,
) -> None:
    made = await create(sales)
    await sales.know_people(colleague("li-lei", STORE, active=False, version=2), colleague("gone", STORE, active=False))

    same = await update(sales, Delivery(name=made.name, odometer_km=77), "odometer_km")
    again = await update(sales, Delivery(name=made.name, consultant=made.consultant), "consultant")
    with pytest.raises(InvalidArgument) as refused:
        await update(sales, Delivery(name=made.name, consultant=named("gone")), "consultant")
    changed = await update(sales, Delivery(name=made.name, consultant=named("han-mei")), "consultant")

    assert same.odometer_km == 77
    assert again.etag == same.etag
    assert [one.rule for one in refused.value.violations] == ["STAFF_INACTIVE"]
    assert changed.consultant == named("han-mei")


def row(number: int, consultant: str, store: str = "") -> tuple[str, ...]:
    phone = f"138{number:08d}"
    return (vin_of(number), "Nissan", "Paladin", f"王{number}", phone, consultant, "2026-05-18", store)


async def know_some(sales: OneService) -> None:
    await sales.know_people(
        colleague("wang.fang", STORE, name="王芳"),
        colleague("their.fang", OTHER_STORE, name="王芳"),
        *(colleague(f"li.na-{number}", STORE, name="李娜") for number in (1, 2)),
        colleague("sun.li", OTHER_STORE, name="孙丽"),
        colleague("zhao.gang", STORE, name="赵刚", active=False),
    )


async def test_a_list_names_consultants_by_id_or_by_a_name_that_one_of_the_store_has(sales: OneService) -> None:
    await know_some(sales)
    written = {
        1: ("王芳", "wang.fang"),
        2: (" 王　芳 ", "wang.fang"),
        3: ("wang.fang", "wang.fang"),
        4: ("李娜", ""),
        5: ("孙丽", ""),
        6: ("赵刚", ""),
        7: ("zhao.gang", ""),
        8: ("no-such", ""),
        9: (named("wang.fang"), "wang.fang"),
        10: (named("sun.li", OTHER_STORE), ""),
    }
    desk = Desk(sales)

    found = await desk.rows(HEADERS, *(row(number, text) for number, (text, _) in written.items()))

    assert counts(found) == (10, 0, 0)
    listed = {one.vin: one.consultant for one in (await page(sales)).deliveries}
    assert listed == {vin_of(number): one and named(one) for number, (_, one) in written.items()}
    said = [(line - 1, reason) for line, _, reason in await desk.remarks(found) if reason != "CONSULTANT_MISSING"]
    assert said == [
        (4, "CONSULTANT_AMBIGUOUS"),
        *((number, "CONSULTANT_UNKNOWN") for number in (5, 6, 7, 8, 10)),
    ]
    corrections = await sales.rows("select source, field, reason from data_correction order by source")
    assert {int(one["source"].rpartition("/")[2]) - 1 for one in corrections} == {4, 5, 6, 7, 8, 10}
    assert {(one["field"], one["reason"]) for one in corrections} == {("consultant", "CONSULTANT_MISSING")}


async def test_in_a_list_of_the_group_a_name_means_somebody_of_the_store_of_its_row(sales: OneService) -> None:
    await know_some(sales)
    table = (row(1, "王芳", STORE), row(2, "王芳", OTHER_STORE), row(3, "孙丽", STORE), row(4, "孙丽", OTHER_STORE))

    found = await Desk(sales, store="").rows(HEADERS, *table)

    assert counts(found) == (4, 0, 0)
    rows = await sales.rows("select vin, store_id, consultant_id from delivery")
    assert {one["vin"]: (one["store_id"], one["consultant_id"]) for one in rows} == {
        vin_of(1): (STORE, "wang.fang"),
        vin_of(2): (OTHER_STORE, "their.fang"),
        vin_of(3): (STORE, ""),
        vin_of(4): (OTHER_STORE, "sun.li"),
    }


async def test_the_people_are_read_once_for_a_list_however_long_it_is(sales: OneService) -> None:
    await know_some(sales)
    lists = [[row(number, "王芳") for number in numbers] for numbers in ((1,), range(2, 602))]

    read = []
    for table in lists:
        with sales.counting() as statements:
            await Desk(sales).rows(HEADERS, *table)
        read.append(sum(f"FROM {StaffProjection.__tablename__}" in one for one in statements))

    assert read == [1, 1]
