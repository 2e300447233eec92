"""Customers through the real server: masks, reveal, erasure and the contact projection."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from dealerloop.sales.events.v1.events_pb2 import CustomerErased, DeliveryCorrected
from dealerloop.sales.v1.customers_pb2 import (
    BatchGetContactsRequest,
    BatchGetContactsResponse,
    Contact,
    Customer,
    EraseCustomerRequest,
    GetCustomerRequest,
    ListContactsForProjectionRequest,
    RevealCustomerRequest,
)
from dealerloop.sales.v1.deliveries_pb2 import Delivery
from kit.db.scope import Scope
from kit.errors import Conflict, NotFound, PermissionDenied
from tests.support.deliveries import OTHER_STORE, STORE, customer
from tests.support.one_service import OneService
from tests.support.sales_desk import create, get, update


async def erase(sales: OneService, name: str) -> Customer:
    token = sales.token("ROLE_GENERAL_MANAGER", STORE)
    return await sales.call("CustomerService/EraseCustomer", EraseCustomerRequest(name=name), Customer, token=token)


async def contacts(sales: OneService, *ids: str) -> list[Contact]:
    request = BatchGetContactsRequest(customer_ids=ids)
    answer = await sales.call("CustomerService/BatchGetContacts", request, BatchGetContactsResponse)
    return list(answer.contacts)


async def test_a_customer_is_masked_and_revealed_with_an_entry_in_the_audit(sales: OneService) -> None:
    name = (await create(sales)).customer.name
    token = sales.token("ROLE_SALES_MANAGER", STORE)

    masked = await sales.call("CustomerService/GetCustomer", GetCustomerRequest(name=name), Customer, token=token)
    request = RevealCustomerRequest(name=name, reason="call back", request_id="r-1")
    clear = await sales.call("CustomerService/RevealCustomer", request, Customer, token=token)

    assert (masked.display_name, masked.phone) == ("王**", "138****8000")
    assert (clear.display_name, clear.phone) == ("王小明", "+8613800138000")
    actions = [(action.method, action.reason) for action in await sales.told(ActionRecorded)]
    assert actions == [
        ("dealerloop.sales.v1.DeliveryService/CreateDelivery", ""),
        ("dealerloop.sales.v1.CustomerService/RevealCustomer", "call back"),
    ]
    assert "王小明".encode() not in str(await sales.rows("select response from idempotency")).encode()


async def test_an_erased_customer_leaves_deliveries_and_facts_but_no_data(sales: OneService) -> None:
    made = await create(sales, plate="京A12345")

    erased = await erase(sales, made.customer.name)
    again = await erase(sales, made.customer.name)

    assert (erased.display_name, erased.phone) == ("", "")
    assert erased.HasField("erase_time")
    assert again == erased
    kept = await get(sales, made.name)
    assert (kept.vin, kept.plate, kept.customer.display_name) == (made.vin, "", "")
    events = await sales.told(CustomerErased)
    assert [(event.customer_id, event.version) for event in events] == [(made.customer.name.rpartition("/")[2], 2)]
    assert (await contacts(sales, made.customer.name.rpartition("/")[2]))[0].erased


async def test_the_facts_of_an_erased_customers_delivery_can_still_be_corrected(sales: OneService) -> None:
    made = await create(sales)
    await erase(sales, made.customer.name)

    corrected = await update(sales, Delivery(name=made.name, invoice_date="2026-05-19"), "invoice_date")

    assert corrected.invoice_date == "2026-05-19"
    assert len(await sales.told(DeliveryCorrected)) == 1
    with pytest.raises(Conflict) as refused:
        await update(sales, Delivery(name=made.name, customer=customer()), "customer")
    assert refused.value.reason == "CUSTOMER_ERASED"


async def test_an_erased_person_who_buys_again_is_a_new_customer(sales: OneService) -> None:
    first = await create(sales, 1)
    await erase(sales, first.customer.name)

    second = await create(sales, 2)

    assert second.customer.name != first.customer.name


async def test_contacts_are_for_services_only_and_in_the_clear(sales: OneService) -> None:
    here, there = await create(sales, 1), await create(sales, 2, store=OTHER_STORE)
    ids = [one.customer.name.rpartition("/")[2] for one in (here, there)]

    found = await contacts(sales, *ids, "no-id", "00000000-0000-0000-0000-000000000000")

    assert {contact.customer_id for contact in found} == set(ids)
    assert {(contact.display_name, contact.phone) for contact in found} == {("王小明", "+8613800138000")}
    with pytest.raises(PermissionDenied):
        await sales.call(
            "CustomerService/BatchGetContacts",
            BatchGetContactsRequest(customer_ids=ids),
            BatchGetContactsResponse,
            token=sales.token("ROLE_GENERAL_MANAGER"),
        )
    streamed = await sales.stream(
        "CustomerService/ListContactsForProjection", ListContactsForProjectionRequest(), Contact
    )
    assert {contact.customer_id: contact for contact in streamed} == {c.customer_id: c for c in found}


async def test_a_customer_of_another_store_does_not_exist_here(sales: OneService) -> None:
    theirs = (await create(sales, store=OTHER_STORE)).customer.name.rpartition("/")[2]

    with pytest.raises(NotFound):
        await sales.call(
            "CustomerService/GetCustomer",
            GetCustomerRequest(name=f"stores/{STORE}/customers/{theirs}"),
            Customer,
            token=sales.token("ROLE_SALES_MANAGER", STORE),
        )


async def test_the_service_role_sees_one_stores_rows_in_its_scope(sales: OneService) -> None:
    await create(sales, 1)
    await create(sales, 2, store=OTHER_STORE)

    async with sales.database.transaction(Scope.store(STORE)) as session:
        for table in ("delivery", "customer"):
            stores = (await session.execute(sa.text(f"select distinct store_id from {table}"))).scalars().all()
            assert stores == [STORE]
