"""Data corrections through the real server: the inbox of a store, and what opens and ends its entries."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from dealerloop.sales.v1.corrections_pb2 import DataCorrection
from dealerloop.sales.v1.customers_pb2 import Customer, EraseCustomerRequest
from kit.db.engine import raw_connection
from kit.db.scope import Scope
from kit.errors import Conflict, DomainError, InvalidArgument, NotFound, PermissionDenied, StaleEtag
from tests.support.corrections_desk import FOLLOW_UP, IMPORT, ask, corrected, inbox, open_all, opening, resolve
from tests.support.deliveries import OTHER_STORE, STORE
from tests.support.one_service import OneService
from tests.support.sales_desk import create, update
from tests.support.statements import counted

OPEN, RESOLVED = DataCorrection.STATE_OPEN, DataCorrection.STATE_RESOLVED
STRANGER = UUID(int=4711)
HOUR = timedelta(hours=1)


async def one(sales: OneService) -> DataCorrection:
    (found,) = (await inbox(sales)).data_corrections
    return found


async def customer_of(sales: OneService) -> UUID:
    return UUID((await create(sales)).customer.name.rpartition("/")[2])


async def erase(sales: OneService, customer_id: UUID) -> None:
    request = EraseCustomerRequest(name=f"stores/{STORE}/customers/{customer_id}")
    token = sales.token("ROLE_GENERAL_MANAGER", STORE)
    await sales.call("CustomerService/EraseCustomer", request, Customer, token=token)


async def test_what_an_import_leaves_to_do_is_in_the_inbox(sales: OneService) -> None:
    assert await open_all(sales, opening()) == 1

    found = await one(sales)

    assert found.name.startswith(f"stores/{STORE}/dataCorrections/")
    assert found.delivery == f"stores/{STORE}/deliveries/{UUID(int=1)}"
    assert found.customer == f"stores/{STORE}/customers/{UUID(int=1001)}"
    assert (found.field, found.reason, found.source) == ("customer.phone", "PHONE_MISSING", IMPORT)
    assert (found.state, found.note, found.resolver, found.etag) == (OPEN, "", "", '"1"')
    assert found.create_time.ToJsonString() == "2026-05-20T04:00:00Z"
    assert not found.HasField("resolve_time")


async def test_the_same_thing_to_do_is_there_once(sales: OneService) -> None:
    assert await open_all(sales, opening(), opening(), opening(reason="PHONE_UNVERIFIED")) == 2
    assert await open_all(sales, opening(source="another import"), opening(2)) == 1
    nobody = opening(3, customer_id=None, field="customer", reason="CUSTOMER_MISSING")
    assert await open_all(sales, nobody) == 1
    assert await open_all(sales, nobody) == 0

    assert len((await inbox(sales)).data_corrections) == 4


async def test_imports_at_the_same_time_open_it_once(sales: OneService) -> None:
    openings = [opening(number) for number in range(50)]

    new = await asyncio.gather(open_all(sales, *openings), open_all(sales, *reversed(openings)))

    assert sum(new) == 50


async def test_many_are_opened_in_one_statement(sales: OneService) -> None:
    with counted(sales.database) as statements:
        assert await open_all(sales, *(opening(number) for number in range(1000))) == 1000

    assert len([it for it in statements if "data_correction" in it]) == 1
    assert await open_all(sales) == 0


async def test_a_corrected_field_ends_what_is_open_of_it(sales: OneService) -> None:
    await open_all(sales, opening(), opening(reason="PHONE_UNVERIFIED"), opening(field="consultant"), opening(2))
    # The same customer bought a second vehicle.
    await open_all(sales, opening(3, customer_id=UUID(int=1001)))
    sales.clock.advance(HOUR)

    assert await corrected(sales, "customer.phone", delivery_id=UUID(int=1), customer_id=UUID(int=1001)) == 3
    assert await corrected(sales, "customer.phone", delivery_id=UUID(int=1), customer_id=UUID(int=1001)) == 0
    assert await corrected(sales, "consultant", "customer.phone", delivery_id=UUID(int=1)) == 1

    (left,) = (await inbox(sales, state=OPEN)).data_corrections
    assert left.delivery.endswith(str(UUID(int=2)))
    done = (await inbox(sales, state=RESOLVED)).data_corrections
    assert {(it.resolver, it.resolve_time.ToJsonString(), it.etag) for it in done} == {
        ("staff/li-lei", "2026-05-20T05:00:00Z", '"2"')
    }


async def test_it_is_ended_by_hand_with_what_was_found_out(sales: OneService) -> None:
    await open_all(sales, opening())
    sales.clock.advance(HOUR)

    done = await resolve(sales, (await one(sales)).name, note=" 王小明 has\nno telephone ")

    assert (done.state, done.note, done.resolver, done.etag) == (
        RESOLVED,
        "王小明 has no telephone",
        "staff/tester",
        '"2"',
    )
    assert done.resolve_time.ToJsonString() == "2026-05-20T05:00:00Z"
    assert await one(sales) == done
    (row,) = await sales.rows("select note_sealed from data_correction")
    assert "王小明".encode() not in row["note_sealed"]
    with pytest.raises(Conflict) as again:
        await resolve(sales, done.name, etag=done.etag)
    assert again.value.reason == "DATA_CORRECTION_ALREADY_RESOLVED"


async def test_of_several_at_once_one_ends_it(sales: OneService) -> None:
    await open_all(sales, opening())
    name = (await one(sales)).name

    outcomes = await asyncio.gather(*(resolve(sales, name) for _ in range(6)), return_exceptions=True)

    assert sum(isinstance(it, DataCorrection) for it in outcomes) == 1
    assert sum(isinstance(it, Conflict) for it in outcomes) == 5


async def test_what_came_up_again_after_it_was_ended_is_open_again(sales: OneService) -> None:
    await open_all(sales, opening())
    await resolve(sales, (await one(sales)).name)

    assert await open_all(sales, opening()) == 1

    assert sorted(it.state for it in (await inbox(sales)).data_corrections) == [OPEN, RESOLVED]


@pytest.mark.parametrize("note", ["", " \n ", "a\0b", "x" * 501])
async def test_a_note_must_say_something(sales: OneService, note: str) -> None:
    await open_all(sales, opening())
    name = (await one(sales)).name

    with pytest.raises(InvalidArgument) as refused:
        await resolve(sales, name, note=note)

    assert [violation.field for violation in refused.value.violations] == ["note"]
    assert (await one(sales)).state == OPEN


async def test_an_old_etag_and_an_unknown_correction_are_refused(sales: OneService) -> None:
    await open_all(sales, opening())
    name = (await one(sales)).name

    with pytest.raises(StaleEtag):
        await resolve(sales, name, etag='"7"')
    with pytest.raises(NotFound):
        await resolve(sales, f"stores/{STORE}/dataCorrections/{STRANGER}")
    assert (await resolve(sales, name, etag='"1"')).state == RESOLVED


async def test_the_inbox_is_filtered_and_read_page_by_page(sales: OneService) -> None:
    for number in range(7):
        await open_all(sales, opening(number))
        sales.clock.advance(timedelta(seconds=1))
    await resolve(sales, (await inbox(sales)).data_corrections[0].name)

    seen: list[str] = []
    token = ""
    while True:
        page = await inbox(sales, page_size=2, page_token=token, state=OPEN)
        seen += [it.delivery.rpartition("/")[2] for it in page.data_corrections]
        token = page.next_page_token
        if not token:
            break

    assert seen == [str(UUID(int=number)) for number in (5, 4, 3, 2, 1, 0)]
    for delivery in (str(UUID(int=3)), f"stores/{STORE}/deliveries/{UUID(int=3)}"):
        (found,) = (await inbox(sales, delivery=delivery)).data_corrections
        assert found.delivery == f"stores/{STORE}/deliveries/{UUID(int=3)}"
    with pytest.raises(InvalidArgument):
        await inbox(sales, delivery="nonsense")
    with pytest.raises(InvalidArgument):
        await inbox(sales, delivery=f"stores/{OTHER_STORE}/deliveries/{UUID(int=3)}")


async def test_the_inbox_costs_one_statement_and_no_sort(sales: OneService) -> None:
    await open_all(sales, *(opening(number) for number in range(60)))
    with counted(sales.database) as statements:
        await inbox(sales)

    assert len(statements) == 1
    async with sales.database.transaction(Scope.store(STORE)) as session:
        connection = await raw_connection(session)
        await connection.execute("set local enable_seqscan = off; set local enable_bitmapscan = off")
        base = f"explain select * from data_correction where store_id = '{STORE}'"
        order = "order by create_time desc, id desc limit 51"
        everything = str(await connection.fetch(f"{base} {order}"))
        still_open = str(await connection.fetch(f"{base} and state = 'OPEN' {order}"))
    assert "data_correction_store_time_idx" in everything
    assert "data_correction_store_" in still_open
    assert "Sort" not in everything + still_open


async def test_a_store_sees_its_own_corrections_and_care_may_read_only(sales: OneService) -> None:
    await open_all(sales, opening())
    name = (await one(sales)).name

    assert len((await inbox(sales, role="ROLE_CARE_SPECIALIST")).data_corrections) == 1
    assert (await inbox(sales, store=OTHER_STORE)).data_corrections == []
    for role in ("ROLE_CARE_MANAGER", "ROLE_SALES_CONSULTANT"):
        with pytest.raises(PermissionDenied):
            await resolve(sales, name, role=role)
    async with sales.database.transaction(Scope.store(OTHER_STORE)) as session:
        assert (await session.execute(sa.text("select count(*) from data_correction"))).scalar_one() == 0


async def test_a_wrong_number_that_customer_care_found_is_to_be_corrected(sales: OneService) -> None:
    customer = await customer_of(sales)

    await ask(sales, customer)

    found = await one(sales)
    assert (found.customer, found.delivery) == (f"stores/{STORE}/customers/{customer}", "")
    assert (found.field, found.reason) == ("customer.phone", "WRONG_NUMBER")
    assert found.source == f"stores/{STORE}/followUps/{FOLLOW_UP}"


async def test_the_same_request_again_opens_nothing_however_it_went_on(sales: OneService) -> None:
    customer = await customer_of(sales)
    asked = sales.clock.now()
    await ask(sales, customer, customer, at=asked)
    await ask(sales, customer, at=asked)
    assert len((await inbox(sales)).data_corrections) == 1

    sales.clock.advance(HOUR)
    assert await corrected(sales, "customer.phone", customer_id=customer) == 1
    # Told once more after a loss, and one that was on its way while the number was corrected.
    await ask(sales, customer, at=asked)
    await ask(sales, customer, at=asked + timedelta(minutes=59))
    assert (await one(sales)).state == RESOLVED

    # The new number is wrong as well.
    sales.clock.advance(HOUR)
    await ask(sales, customer)
    assert sorted(it.state for it in (await inbox(sales)).data_corrections) == [OPEN, RESOLVED]


async def test_a_customer_who_is_not_here_is_kept_for_somebody_to_look_at(sales: OneService) -> None:
    await ask(sales, STRANGER)

    assert (await one(sales)).customer == f"stores/{STORE}/customers/{STRANGER}"


async def test_the_store_that_owns_the_customer_gets_it(sales: OneService) -> None:
    customer = await customer_of(sales)

    await ask(sales, customer, store=OTHER_STORE)

    assert (await one(sales)).customer.endswith(str(customer))
    assert (await inbox(sales, store=OTHER_STORE)).data_corrections == []


async def test_a_number_that_is_corrected_in_the_delivery_ends_it_by_itself(sales: OneService) -> None:
    made = await create(sales)
    await ask(sales, made.customer.name.rpartition("/")[2])
    sales.clock.advance(HOUR)

    made.customer.phone = "13900139000"
    await update(sales, made, "customer")

    found = await one(sales)
    assert (found.state, found.resolver) == (RESOLVED, "staff/tester")


async def test_the_erasure_of_a_customer_ends_what_is_open_and_removes_what_was_written(sales: OneService) -> None:
    customer = await customer_of(sales)
    await ask(sales, customer)
    await resolve(sales, (await one(sales)).name, note="his wife has it now")
    sales.clock.advance(HOUR)
    await ask(sales, customer)

    await erase(sales, customer)

    found = (await inbox(sales)).data_corrections
    assert [(it.state, it.note) for it in found] == [(RESOLVED, "")] * 2


async def test_nothing_is_left_to_correct_of_an_erased_customer(sales: OneService) -> None:
    customer = await customer_of(sales)
    await erase(sales, customer)

    await ask(sales, customer)

    assert (await inbox(sales)).data_corrections == []


async def test_a_list_of_another_store_gives_no_page_here(sales: OneService) -> None:
    await open_all(sales, opening(1), opening(2))
    token = (await inbox(sales, page_size=1)).next_page_token

    with pytest.raises(DomainError) as refused:
        await inbox(sales, page_size=1, page_token=token, state=OPEN)

    assert refused.value.violations[0].field == "page_token"
