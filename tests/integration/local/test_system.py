"""All five services in one process, with time in the test's hand."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import Cloner
from tests.support.system import System, system
from tools.demo import vehicle

DELIVERY = {
    "vin": vehicle.vin(random.Random(1)),
    "brand": "Nissan",
    "series": "Paladin",
    "customer": {"displayName": "王小明", "phone": "13900007950"},
    "consultant": "stores/bj-01/staff/li.lei",
    "odometerKm": 12,
}


@pytest.fixture
async def whole(database_urls: Cloner, nats_url: str, tmp_path: Path) -> AsyncIterator[System]:
    async with system(database_urls, nats_url, tmp_path) as made:
        admin = made.client("ROLE_ADMINISTRATOR")
        await must(admin.post("/v1/stores", params={"storeId": "bj-01"}, json=store()))
        await must(admin.post("/v1/stores/bj-01/staff", params={"staffId": "li.lei"}, json=person()))
        await made.drain()
        yield made


def store() -> dict[str, Any]:
    return {"displayName": "北京一店", "timeZone": "Asia/Shanghai"}


def person() -> dict[str, Any]:
    return {"displayName": "李雷", "password": "a-long-enough-password", "roles": [{"role": "ROLE_SALES_CONSULTANT"}]}


async def must(call: Any) -> dict[str, Any]:
    answer = await call
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_delivery_reaches_every_service_when_the_test_says_so(whole: System) -> None:
    clerk = whole.client("ROLE_INFORMATION_CLERK", "bj-01")
    body = DELIVERY | {"deliveryTime": whole.clock.now().isoformat()}

    delivery = await must(clerk.post("/v1/stores/bj-01/deliveries", json=body))

    manager = whole.client("ROLE_CARE_MANAGER", "bj-01")
    query = {"delivery": delivery["name"], "pageSize": 200}
    before = await must(manager.get("/v1/stores/bj-01/followUps", params=query))
    assert before.get("followUps", []) == []

    await whole.drain()

    after = await must(manager.get("/v1/stores/bj-01/followUps", params=query))
    assert len(after["followUps"]) > 8
    for service, table in (("aftersales", "vehicle"), ("scoring", "sample_frame")):
        assert await whole.rows(service, f"select 1 from {table}"), service


async def test_a_missed_window_closes_when_time_passes(whole: System) -> None:
    clerk = whole.client("ROLE_INFORMATION_CLERK", "bj-01")
    body = DELIVERY | {"deliveryTime": whole.clock.now().isoformat()}
    delivery = await must(clerk.post("/v1/stores/bj-01/deliveries", json=body))
    await whole.drain()

    await whole.pass_time(timedelta(days=60))

    manager = whole.client("ROLE_CARE_MANAGER", "bj-01")
    query = {"delivery": delivery["name"], "pageSize": 200}
    plan = (await must(manager.get("/v1/stores/bj-01/followUps", params=query)))["followUps"]
    states = {one["step"]: one["state"] for one in plan if one["occurrence"] == 1}
    assert states["CAD-04"] == "STATE_MISSED"
    assert states["CAD-09"] == "STATE_PLANNED"
