"""The contact projection, filled by the real sales service and read without it (GRP-02, GRP-06)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.message import Message

from customer_care.clients import Sales
from customer_care.contacts.service import ContactProjection
from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from dealerloop.customer_care.v1.follow_ups_pb2 import FollowUp, RevealContactRequest, RevealContactResponse
from dealerloop.sales.events.v1 import events_pb2 as sales_events
from dealerloop.sales.v1 import customers_pb2
from kit.db.scope import Scope
from kit.errors import NotFound, Unavailable
from kit.service import Running
from kit.service.running import Parts
from tests.support import sales_desk
from tests.support.care_desk import CareDesk, care_desk
from tests.support.deliveries import NOW, STORE, customer, recorded
from tests.support.one_service import OneService
from tests.support.postgres import Cloner

TOLD = (sales_events.DeliveryRecorded, sales_events.DeliveryCorrected)
CHANGED = (sales_events.CustomerChanged, sales_events.CustomerErased)
_EVENTS: dict[str, tuple[type[Message], ...]] = {"deliveries": TOLD, "contacts": CHANGED}


class Pair:
    """Sales and customer care, with the events carried by hand; sales can go away."""

    def __init__(self, sales: OneService, care: CareDesk) -> None:
        self.sales = sales
        self.care = care
        self._carried = dict.fromkeys(_EVENTS, 0)

    async def carry(self, *subscriptions: str) -> None:
        """What sales told since the last time."""
        for name in subscriptions or _EVENTS:
            events = await self.sales.told(*_EVENTS[name])
            await self.care.told_of(name, *events[self._carried[name] :])
            self._carried[name] = len(events)

    async def call(self) -> FollowUp:
        return (await self.care.follow_ups())["CAD-01/1"]

    async def reveal(self) -> RevealContactResponse:
        request = RevealContactRequest(name=(await self.call()).name)
        return await self.care.ask("FollowUpService/RevealContact", request, RevealContactResponse)

    async def erase(self) -> None:
        [row] = await self.sales.rows("select id from customer")
        request = customers_pb2.EraseCustomerRequest(name=f"stores/{STORE}/customers/{row['id']}")
        token = self.sales.token("ROLE_GENERAL_MANAGER", STORE)
        await self.sales.call("CustomerService/EraseCustomer", request, customers_pb2.Customer, token=token)


@pytest.fixture
async def pair(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[Pair]:
    sales = await OneService("sales", database_urls("sales"), tmp_path, NOW).start(STORE)
    care = care_desk(database_urls, tmp_path)
    care.settings = care.settings.model_copy(update={"sales_target": f"127.0.0.1:{sales.server.port}"})
    await care.open()
    try:
        yield Pair(sales, care)
    finally:
        await care.stop()
        await sales.stop()


async def test_a_caller_sees_masks_and_reveals_what_the_call_needs(pair: Pair) -> None:
    await sales_desk.create(pair.sales)
    await pair.carry("deliveries")
    unknown = await pair.call()
    await pair.carry("contacts")

    call = await pair.call()

    assert (unknown.customer_display_name, unknown.customer_phone) == ("", "")
    assert (call.customer_display_name, call.customer_phone) == ("王**", "138****8000")
    clear = await pair.reveal()
    assert (clear.display_name, clear.phone) == ("王小明", "+8613800138000")
    [audited] = await pair.care.told(ActionRecorded)
    assert audited.method.endswith("FollowUpService/RevealContact")


async def test_whoever_calls_before_the_contact_has_arrived_gets_it_from_sales(pair: Pair) -> None:
    await sales_desk.create(pair.sales)
    await pair.carry("deliveries")

    clear = await pair.reveal()

    assert (clear.display_name, clear.phone) == ("王小明", "+8613800138000")
    assert (await pair.call()).customer_display_name == "王**"


async def test_a_contact_that_has_not_arrived_can_be_asked_for_again_when_sales_is_back(pair: Pair) -> None:
    await sales_desk.create(pair.sales)
    await pair.carry("deliveries")
    await pair.sales.server.stop(0)

    with pytest.raises(Unavailable):
        await pair.reveal()


async def test_nothing_personal_lies_open_in_the_database(pair: Pair) -> None:
    await sales_desk.create(pair.sales)
    await pair.carry()

    [row] = await pair.care.rows("select string_agg(c::text, '') as content from contact c")
    for word in ("王", "13800138000"):
        assert word not in row["content"].replace(str((await pair.call()).delivery), "")
        assert word.encode().hex() not in row["content"].split(",")[3]


async def test_the_projection_answers_while_sales_is_away_and_loses_no_change(pair: Pair) -> None:
    delivery = await sales_desk.create(pair.sales)
    await pair.carry()
    delivery.customer.CopyFrom(customer(display_name="李雷"))
    delivery.customer.phone = "13900139000"
    await sales_desk.update(pair.sales, delivery, "customer.display_name", "customer.phone")
    await pair.sales.server.stop(0)

    with pytest.raises(Unavailable):
        await pair.carry("contacts")

    assert (await pair.call()).customer_display_name == "王**"
    assert (await pair.reveal()).display_name == "王小明"


async def test_a_correction_of_the_customer_reaches_the_next_call(pair: Pair) -> None:
    delivery = await sales_desk.create(pair.sales)
    await pair.carry()
    delivery.customer.CopyFrom(customer(display_name="李雷"))
    delivery.customer.phone = "13900139000"
    await sales_desk.update(pair.sales, delivery, "customer.display_name", "customer.phone")

    await pair.carry()

    assert (await pair.reveal()).phone == "+8613900139000"


async def test_an_erased_customer_leaves_nothing_personal_behind(pair: Pair) -> None:
    await sales_desk.create(pair.sales)
    await pair.carry()
    await pair.care.record((await pair.call()).name, "NO_ANSWER", note="打给了王先生的妻子")
    await pair.care.deliveries()
    events = await pair.sales.told(*CHANGED)
    await pair.erase()
    await pair.carry("contacts")

    # Late, and out of order: the person does not come back.
    await pair.care.told_of("contacts", *events)

    call = await pair.call()
    assert (call.customer_display_name, call.customer_phone) == ("", "")
    assert [attempt.note for attempt in call.attempts] == [""]
    with pytest.raises(NotFound) as caught:
        await pair.reveal()
    assert caught.value.reason == "CONTACT_UNKNOWN"
    [row] = await pair.care.rows("select sealed_display_name, sealed_phone, erased from contact")
    assert row == {"sealed_display_name": None, "sealed_phone": None, "erased": True}


async def test_an_older_answer_of_sales_does_not_undo_a_newer_one(care: CareDesk) -> None:
    projection = ContactProjection(care.context.vault, Sales(care.context.peer("sales")))
    newer = customers_pb2.Contact(customer_id=recorded().delivery.customer_id, store_id=STORE, phone="+8613900139000")
    newer.display_name, newer.version = "李雷", 2
    older = customers_pb2.Contact()
    older.CopyFrom(newer)
    older.display_name, older.version = "王小明", 1
    await care.deliveries(recorded())

    for one in (newer, older):
        async with care.database.transaction(Scope.system("test")) as session:
            await projection.keep(session, [one])

    assert (await care.follow_ups())["CAD-01/1"].customer_display_name == "李*"


async def test_everything_is_rebuilt_from_the_snapshots_of_sales(pair: Pair) -> None:
    await sales_desk.create(pair.sales, 1)
    await sales_desk.create(pair.sales, 2)

    for name in ("deliveries", "contacts"):
        await pair.care.rewound(name)
        await pair.care.rewound(name)

    assert len((await pair.care.page(page_size=200)).follow_ups) == 22
    assert (await pair.reveal()).display_name == "王小明"


async def test_a_restored_source_wins_over_what_is_newer_here(pair: Pair) -> None:
    delivery = await sales_desk.create(pair.sales)
    [event] = await pair.sales.told(*TOLD)
    lost = sales_events.DeliveryCorrected()
    lost.MergeFromString(event.SerializeToString())
    lost.delivery.version, lost.delivery.consultant_id = 9, "han-mei"
    await pair.care.deliveries(event, lost)
    assert (await pair.call()).owner.endswith("han-mei")

    await pair.care.rewound("deliveries")

    assert (await pair.call()).owner.endswith("li-lei")
    delivery.consultant = f"stores/{STORE}/staff/lucy"
    await sales_desk.update(pair.sales, delivery, "consultant")
    await pair.carry("deliveries")
    assert (await pair.call()).owner.endswith("lucy")


async def test_first_services_are_rebuilt_from_the_snapshot_of_after_sales(
    database_urls: Cloner, tmp_path: Path
) -> None:
    aftersales = await OneService("aftersales", database_urls("aftersales"), tmp_path, NOW).start(STORE)
    care = care_desk(database_urls, tmp_path)
    care.settings = care.settings.model_copy(update={"aftersales_target": f"127.0.0.1:{aftersales.server.port}"})
    await care.open()
    try:
        for subscription in aftersales.service.subscriptions:
            if sales_events.DeliveryRecorded in subscription.events:
                await aftersales.hear(subscription.handle, [recorded()])
        await care.deliveries(recorded())
        assert "CAD-07b/1" not in await care.follow_ups()

        await care.rewound("workshop")

        assert "CAD-07b/1" in await care.follow_ups()
    finally:
        await care.stop()
        await aftersales.stop()


async def test_the_service_runs_as_a_process_would_run_it(care: CareDesk) -> None:
    running = Running(care.service, care.context, Parts.RPC)
    await running.start(pump=False)
    await running.stop(grace=1)

    assert running.rpc_port
