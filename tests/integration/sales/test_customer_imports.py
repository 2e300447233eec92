"""Lists of customers through the real server (GRP-05, GRP-06)."""

from __future__ import annotations

from dealerloop.imports.v1.imports_pb2 import Import
from dealerloop.sales.events.v1.events_pb2 import CustomerChanged
from dealerloop.sales.v1 import customers_pb2
from dealerloop.sales.v1.corrections_pb2 import DataCorrection
from dealerloop.sales.v1.customers_pb2 import (
    BatchGetContactsRequest,
    BatchGetContactsResponse,
    Contact,
    Customer,
    EraseCustomerRequest,
)
from dealerloop.sales.v1.deliveries_pb2 import Delivery
from tests.support.corrections_desk import inbox
from tests.support.deliveries import OTHER_STORE, STORE, customer
from tests.support.list_desk import Desk, counts, open_stores, snapshot
from tests.support.one_service import OneService
from tests.support.sales_desk import create, update

HEADERS = ("姓名", "手机号码")
AGREED = customers_pb2.ChannelConsent(channel=customers_pb2.CHANNEL_PHONE, granted=True)


async def contacts(sales: OneService) -> dict[str, Contact]:
    """Everybody by name."""
    ids = [str(row["id"]) for row in await sales.rows("select id from customer")]
    request = BatchGetContactsRequest(customer_ids=ids)
    answer = await sales.call("CustomerService/BatchGetContacts", request, BatchGetContactsResponse)
    return {one.display_name: one for one in answer.contacts}


async def open_reasons(sales: OneService) -> list[tuple[str, str]]:
    found = await inbox(sales, state=DataCorrection.STATE_OPEN)
    return sorted((one.customer.rpartition("/")[2], one.reason) for one in found.data_corrections)


async def test_customers_are_taken_with_the_numbers_that_the_list_has(sales: OneService) -> None:
    desk = Desk(sales, "Customer")

    found = await desk.rows(
        HEADERS, ["王小明", "138 0013 8000"], ["Emma", 8264678], ["Noah", ""], ["x" * 101, "13800138001"]
    )

    assert counts(found) == (3, 0, 1)
    assert await desk.remarks(found) == [
        (3, "phone", "PHONE_UNVERIFIED"),
        (4, "phone", "PHONE_MISSING"),
        (5, "displayName", "TEXT_TOO_LONG"),
    ]
    people = await contacts(sales)
    assert {name: (one.phone, one.phone_verified) for name, one in people.items()} == {
        "王小明": ("+8613800138000", True),
        "Emma": ("8264678", False),
        "Noah": ("", False),
    }
    assert all(not one.consents for one in people.values())
    assert await open_reasons(sales) == sorted(
        [(people["Emma"].customer_id, "PHONE_UNVERIFIED"), (people["Noah"].customer_id, "PHONE_MISSING")]
    )
    told = {event.customer_id for event in await sales.told(CustomerChanged)}
    assert told == {one.customer_id for one in people.values()}


async def test_who_bought_here_already_stays_as_he_is(sales: OneService) -> None:
    await create(sales, customer=customer(consents=[AGREED]))
    before = await snapshot(sales)
    desk = Desk(sales, "Customer")

    dry = await desk.rows(HEADERS, ["王小明", "+86 138-0013-8000"], validate_only=True)
    assert (dry.state, dry.taken, dry.unchanged) == (Import.STATE_CHECKED, 0, 1)
    found = await desk.rows(HEADERS, [" 王小明", "13800138000"], all_or_nothing=True)

    assert counts(found) == (0, 1, 0)
    assert await snapshot(sales) == before
    assert [one.channel for one in (await contacts(sales))["王小明"].consents] == [customers_pb2.CHANNEL_PHONE]


async def test_a_person_who_comes_between_dry_run_and_confirmation_is_nobody_twice(sales: OneService) -> None:
    desk = Desk(sales, "Customer")
    dry = await desk.rows(
        HEADERS, ["王小明", "13800138000"], ["EMMA", "8264678"], ["Emma", "826 4678"], validate_only=True
    )
    await create(sales, customer=customer())

    found = await desk.confirm(dry.name)

    assert counts(found) == (1, 2, 0)
    assert len(await sales.rows("select 1 from customer")) == 2


async def test_a_customer_of_one_store_is_not_one_of_another(sales: OneService) -> None:
    await open_stores(sales, {STORE: "Beijing", OTHER_STORE: "Shanghai"})

    found = await Desk(sales, "Customer", store="").rows(
        (*HEADERS, "门店"), ["Emma", "8264678", "Beijing"], ["Emma", "8264678", "Shanghai"], ["Emma", "1", "Nowhere"]
    )

    assert counts(found) == (2, 0, 1)
    stores = [row["store_id"] for row in await sales.rows("select store_id from customer order by store_id")]
    assert stores == [STORE, OTHER_STORE]


async def test_an_erased_customer_is_written_again_only_as_somebody_new(sales: OneService) -> None:
    desk = Desk(sales, "Customer")
    await desk.rows(HEADERS, ["Emma", "8264678"])
    first = (await contacts(sales))["Emma"].customer_id
    request = EraseCustomerRequest(name=f"stores/{STORE}/customers/{first}")
    token = sales.token("ROLE_GENERAL_MANAGER", STORE)
    await sales.call("CustomerService/EraseCustomer", request, Customer, token=token)
    assert await open_reasons(sales) == []

    # The very same row was taken once: whoever was erased does not come back by the same list.
    assert counts(await desk.rows(HEADERS, ["Emma", "8264678"])) == (0, 1, 0)
    assert counts(await desk.rows(HEADERS, ["emma", "8264678"])) == (1, 0, 0)
    assert (await contacts(sales))["emma"].customer_id != first


async def test_a_listed_customer_who_buys_is_found_by_his_number_and_name(sales: OneService) -> None:
    await Desk(sales, "Customer").rows(HEADERS, ["王小明", "13800138000"])

    made = await create(sales, customer=customer(consents=[AGREED]))

    assert len(await sales.rows("select 1 from customer")) == 1
    renamed = await update(
        sales, Delivery(name=made.name, customer=customer(display_name="王小民")), "customer.display_name"
    )
    assert renamed.customer.name == made.customer.name
