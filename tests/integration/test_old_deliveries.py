"""A delivery of years ago, from a list without customer and consultant, goes through every service (GRP-05)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from dealerloop.sales.events.v1.events_pb2 import DeliveryCorrected, DeliveryRecorded
from kit.db.scope import Scope
from kit.messaging import outbox
from tests.support.deliveries import facts, vin_of
from tests.support.postgres import Cloner
from tests.support.system import System, system

STORE = "bj-01"
DELIVERY = UUID(int=1)
EVERY_SERVICE_BUT_SALES = ("customer_care", "aftersales", "scoring")


@pytest.fixture
async def loop(database_urls: Cloner, nats_url: str, tmp_path: Path) -> AsyncIterator[System]:
    """A group with one store."""
    async with system(database_urls, nats_url, tmp_path) as made:
        admin = made.client("ROLE_ADMINISTRATOR")
        body = {"displayName": "北京一店", "timeZone": "Asia/Shanghai"}
        answer = await admin.post("/v1/stores", params={"storeId": STORE}, json=body)
        assert answer.status_code == 200, answer.text
        await made.drain()
        yield made


async def tell(loop: System, version: int = 1, **changes: object) -> None:
    """Sales tells of the delivery as a list gave it, or as it was corrected later."""
    told = facts(
        1,
        **{
            "store_id": STORE,
            "version": version,
            "customer_id": "",
            "consultant_id": "",
            "delivery_time": datetime(2014, 6, 11, 4, tzinfo=UTC),
            "delivery_date": "2014-06-11",
            "invoice_date": "2014-06-11",
            "record_time": loop.clock.now(),
        }
        | changes,
    )
    kind = DeliveryRecorded if version == 1 else DeliveryCorrected
    event = kind(delivery_id=told.delivery_id, delivery=told)
    async with loop.parts["sales"].database.transaction(Scope.system("test")) as session:
        await outbox.add(session, event, key=told.delivery_id, now=loop.clock.now())
    await loop.drain()


async def follow_up_states(loop: System) -> set[str]:
    return {row["state"] for row in await loop.rows("customer_care", "select state from follow_up")}


async def test_it_is_known_everywhere_and_nobody_is_called_blamed_or_alerted(loop: System) -> None:
    await tell(loop)

    plan = await loop.rows("customer_care", "select vin, customer_id from care_plan")
    assert plan == [{"vin": vin_of(1), "customer_id": None}]
    assert await follow_up_states(loop) == {"EXPIRED_ON_ARRIVAL"}
    finished = "select 1 from outbox where type like '%FollowUpFinished' or type like '%DataCorrectionRequested'"
    assert await loop.rows("customer_care", finished) == []
    assert await loop.rows("customer_care", "select key from timer where kind = 'care.window'") == []
    vehicles = await loop.rows("aftersales", "select vin from vehicle")
    assert vehicles == [{"vin": vin_of(1)}]
    frame = await loop.rows("scoring", "select store_id, month, consultant_id, cancelled from sample_frame")
    assert frame == [{"store_id": STORE, "month": "2014-06", "consultant_id": "", "cancelled": False}]
    for name in EVERY_SERVICE_BUT_SALES:
        assert await loop.rows(name, "select 1 from outbox where attempts > 0") == []
        for consumer in loop.parts[name].running.consumers:
            assert await consumer.drain_once() == 0


async def test_it_is_read_in_the_worklist_without_a_customer(loop: System) -> None:
    await tell(loop)

    answer = await loop.client("ROLE_CARE_MANAGER", STORE).get(
        f"/v1/stores/{STORE}/followUps", params={"delivery": str(DELIVERY)}
    )

    assert answer.status_code == 200, answer.text
    shown = answer.json()["followUps"]
    assert shown
    assert {one.get("customerPhone", "") for one in shown} == {""}


async def test_a_customer_and_a_consultant_who_are_found_later_wake_nothing(loop: System) -> None:
    await tell(loop)

    await tell(loop, 2, customer_id=str(UUID(int=1001)), consultant_id="li-lei")

    (plan,) = await loop.rows("customer_care", "select customer_id from care_plan")
    assert plan["customer_id"] == UUID(int=1001)
    assert await follow_up_states(loop) == {"EXPIRED_ON_ARRIVAL"}
    (frame,) = await loop.rows("scoring", "select consultant_id, version from sample_frame")
    assert frame == {"consultant_id": "li-lei", "version": 2}


async def test_a_delivery_of_today_without_a_customer_is_followed_up_all_the_same(loop: System) -> None:
    """The window is open: whoever completes the record in time can still make the call."""
    today = loop.clock.now().date().isoformat()
    await tell(loop, delivery_time=loop.clock.now(), delivery_date=today, invoice_date=today)

    assert "PLANNED" in await follow_up_states(loop)
    answer = await loop.client("ROLE_CARE_MANAGER", STORE).get(f"/v1/stores/{STORE}/followUps")
    assert answer.status_code == 200, answer.text
    worklist = [one for one in answer.json()["followUps"] if one["state"] == "STATE_PLANNED"]
    name = worklist[0]["name"]

    contact = await loop.client("ROLE_CARE_SPECIALIST", STORE).post(f"/v1/{name}:revealContact", json={})

    assert contact.status_code == 404, contact.text
