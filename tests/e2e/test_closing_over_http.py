"""A month is closed over the public API when it has passed, and shown as it was closed (SCR-08)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.postgres import Cloner
from tests.support.system import System, system
from tools.demo import vehicle

STORE = "stores/bj-01"
MARCH, APRIL = "2026-03", "2026-04"
Json = dict[str, Any]


class March:
    """A store in March 2026, its people, and one customer after the other."""

    def __init__(self, whole: System) -> None:
        self.whole = whole
        self.seed = random.Random(3)
        self.clerk = whole.client("ROLE_INFORMATION_CLERK", "bj-01")
        self.specialist = whole.client("ROLE_CARE_SPECIALIST", "bj-01")
        self.manager = whole.client("ROLE_GENERAL_MANAGER", "bj-01")
        self.quality = whole.client("ROLE_GROUP_QUALITY_MANAGER", staff="q")

    async def answers(self, mark: int) -> str:
        """A car is delivered and its buyer answers by telephone; returns the id of the response."""
        body = {
            "vin": vehicle.vin(self.seed),
            "brand": "Nissan",
            "series": "Paladin",
            "customer": {"displayName": "王小明", "phone": vehicle.phone(self.seed)},
            "consultant": f"{STORE}/staff/li.lei",
            "deliveryTime": self.whole.clock.now().isoformat(),
            "odometerKm": 12,
        }
        delivery = await must(self.clerk.post(f"/v1/{STORE}/deliveries", json=body))
        await self.whole.drain()
        query = {"delivery": delivery["name"]}
        (survey,) = (await must(self.specialist.get(f"/v1/{STORE}/surveys", params=query)))["surveys"]
        marks = [{"question": question, "mark": mark} for question in ("SSI.INIT.GREETED", "SSI.OVERALL")]
        sheet = {"answers": marks, "mode": "INTERVIEW_MODE_PHONE"}
        await must(self.specialist.post(f"/v1/{survey['name']}:submit", json=sheet))
        await self.whole.drain()
        return str(survey["name"]).rpartition("/")[2]

    async def april(self) -> None:
        """March ends."""
        await self.whole.pass_time(datetime(2026, 4, 2, tzinfo=UTC) - self.whole.clock.now())

    async def close(self, month: str = MARCH, key: str = "") -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.quality.post(f"/v1/months/{month}:close", json={}, headers=headers)

    async def grade(self, month: str = MARCH) -> Json:
        return await must(self.manager.get(f"/v1/{STORE}/grades/{month}"))


async def must(call: Any) -> Json:
    answer: httpx.Response = await call
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def problem(answer: httpx.Response, status: int) -> Json:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    return dict(answer.json())


@pytest.fixture
async def march(database_urls: Cloner, nats_url: str, tmp_path: Path) -> AsyncIterator[March]:
    async with system(database_urls, nats_url, tmp_path, ("gateway", "sales", "customer_care", "scoring")) as whole:
        admin = whole.client("ROLE_ADMINISTRATOR")
        store = {"displayName": "北京一店", "timeZone": "Asia/Shanghai"}
        await must(admin.post("/v1/stores", params={"storeId": "bj-01"}, json=store))
        person = {
            "displayName": "李雷",
            "password": "a-long-enough-password",
            "roles": [{"role": "ROLE_SALES_CONSULTANT"}],
        }
        await must(admin.post(f"/v1/{STORE}/staff", params={"staffId": "li.lei"}, json=person))
        await whole.drain()
        yield March(whole)


async def test_a_month_that_has_passed_is_closed_once(march: March) -> None:
    await march.answers(7)
    await march.april()

    first, second = await asyncio.gather(march.close(), march.close())

    assert sorted((first.status_code, second.status_code)) == [200, 409]
    closed, refused = (first, second) if first.status_code == 200 else (second, first)
    assert problem(refused, 409)["reason"] == "MONTH_CLOSED"
    month = closed.json()
    assert (month["state"], month["endTime"]) == ("STATE_CLOSED", "2026-03-31T16:00:00Z")
    (revision,) = month["revisions"]
    assert (revision["stores"], revision["responses"], revision["creator"]) == ("1", "1", "staff/q")
    assert await must(march.manager.get(f"/v1/months/{MARCH}")) == month
    grade = await march.grade()
    assert (grade["state"], grade["revision"], grade["models"][0]["index"]["mean"]) == ("STATE_CLOSED", 1, 100)


async def test_a_repetition_with_the_same_key_gets_the_same_answer(march: March) -> None:
    await march.april()

    answers = await asyncio.gather(march.close(key="march"), march.close(key="march"))
    again = await march.close(key="march")

    assert [one.status_code for one in (*answers, again)] == [200, 200, 200]
    assert answers[0].json() == answers[1].json() == again.json()


async def test_a_month_that_is_not_over_or_no_month_is_a_problem(march: March) -> None:
    running = problem(await march.close(MARCH), 409)
    future = problem(await march.close("2099-12"), 409)

    assert (running["reason"], future["reason"]) == ("MONTH_NOT_OVER", "MONTH_NOT_OVER")
    for malformed in ("2026-13", "2026-3", "march", "1999-12", "2026-03-01"):
        assert problem(await march.close(malformed), 400)["errors"][0]["field"] == "name"
    assert problem(await march.close("2000-01"), 400)["errors"][0]["rule"] == "MONTH_TOO_EARLY"
    assert (await must(march.quality.get(f"/v1/months/{MARCH}")))["state"] == "STATE_OPEN"
    for who in (march.manager, march.specialist, march.whole.client("ROLE_ADMINISTRATOR")):
        problem(await who.post(f"/v1/months/{MARCH}:close", json={}), 403)


async def test_what_comes_later_is_counted_by_a_re_opening_with_a_reason(march: March) -> None:
    kept = await march.answers(7)
    doubtful = await march.answers(1)
    await march.april()
    month = (await march.close()).json()

    decision = await must(
        march.quality.post(f"/v1/{STORE}/responses/{doubtful}:exclude", json={"reason": "the consultant's own number"})
    )
    late = await march.grade()
    reopened = await must(
        march.quality.post(
            f"/v1/months/{MARCH}:reopen", json={"reason": "one answer is not a customer's", "etag": month["etag"]}
        )
    )

    assert (decision["excluded"], decision["late"]) == (True, True)
    assert (late["models"][0]["index"]["n"], late["lateChanges"], late["revision"]) == ("2", "1", 1)
    assert [one["name"] for one in reopened["revisions"]] == [
        f"months/{MARCH}/revisions/2",
        f"months/{MARCH}/revisions/1",
    ]
    (change,) = (await must(march.manager.get(f"/v1/months/{MARCH}/revisions/2/changes")))["changes"]
    assert change["removedResponses"] == [doubtful]
    assert (change["before"]["mean"], change["after"]["mean"]) == (50, 100)
    path = f"/v1/{STORE}/grades/{MARCH}/revisions"
    (counted,) = (await must(march.manager.get(f"{path}/2/countedResponses")))["countedResponses"]
    assert (counted["responseId"], counted["index"]) == (kept, 100)
    assert (await must(march.manager.get(f"{path}/1")))["models"][0]["index"]["mean"] == 50
    nothing = await march.quality.post(f"/v1/months/{MARCH}:reopen", json={"reason": "once more"})
    assert problem(nothing, 409)["reason"] == "MONTH_UNCHANGED"
    assert (
        problem(await march.quality.post(f"/v1/months/{MARCH}:reopen", json={}), 400)["errors"][0]["field"] == "reason"
    )
    unread = {"reason": "once more", "etag": month["etag"]}
    problem(await march.quality.post(f"/v1/months/{MARCH}:reopen", json=unread), 412)
    await march.whole.drain()


async def test_the_next_month_stays_live(march: March) -> None:
    await march.april()
    await march.close()
    await march.answers(4)

    grade = await march.grade(APRIL)

    assert (grade["state"], grade["models"][0]["index"]["mean"]) == ("STATE_LIVE", 50)
    assert (await march.grade())["models"][0]["index"].get("n", "0") == "0"
