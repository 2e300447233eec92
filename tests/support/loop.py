"""A small dealer group on a running stack, and the calls of the delivery loop as its people make them."""

from __future__ import annotations

import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.support.stack import Stack
from tools.demo import vehicle

PASSWORD = "a-long-enough-password"
Json = dict[str, Any]


class Group:
    """One store with its staff, each signed in."""

    def __init__(self, stack: Stack, store: str = "bj-01", *, seed: int = 1, time_zone: str = "Asia/Shanghai") -> None:
        self.stack = stack
        self.store = f"stores/{store}"
        self.seed = random.Random(seed)
        self.admin = stack.sign_in()
        self.must(
            self.admin.post("/v1/stores", params={"storeId": store}, json={"displayName": store, "timeZone": time_zone})
        )
        self.people = {
            role: self.hire(role)
            for role in (
                "sales_consultant",
                "information_clerk",
                "sales_manager",
                "care_specialist",
                "care_manager",
                "service_advisor",
                "general_manager",
            )
        }
        # A list is checked against the people of whom sales has heard.
        person = self.consultant().rpartition("/")[2]
        heard = f"select 1 from staff where staff_id = '{person}'"
        stack.wait_for("the consultant", lambda: bool(stack.rows("sales", heard)))

    def hire(self, role: str) -> httpx.Client:
        """An account with one role in the store, signed in."""
        store_id = self.store.removeprefix("stores/")
        account = f"{role.replace('_', '-')}.{store_id}"
        body = {"displayName": role, "password": PASSWORD, "roles": [{"role": f"ROLE_{role.upper()}"}]}
        self.must(self.admin.post(f"/v1/{self.store}/staff", params={"staffId": account}, json=body))
        return self.stack.sign_in(account, PASSWORD)

    def consultant(self) -> str:
        """The consultant's resource name."""
        return f"{self.store}/staff/sales-consultant.{self.store.removeprefix('stores/')}"

    def new_delivery(self, **changes: Any) -> Json:
        """A delivery of two days ago, with an invented vehicle and customer."""
        return {
            "vin": vehicle.vin(self.seed),
            "brand": "Nissan",
            "series": "Paladin",
            "customer": {"displayName": "王小明", "phone": vehicle.phone(self.seed)},
            "consultant": self.consultant(),
            "deliveryTime": (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="seconds"),
            "odometerKm": 12,
        } | changes

    def new_key(self) -> str:
        """A key that makes a request repeatable."""
        return str(uuid.UUID(int=self.seed.getrandbits(128)))

    def deliver(self, body: Json | None = None, *, key: str = "", seconds: float = 60.0) -> Json:
        """Records a delivery, repeating the same request until it is answered, as a careful client does."""
        body = body or self.new_delivery()
        headers = {"Idempotency-Key": key or self.new_key()}
        clerk = self.people["information_clerk"]
        deadline = time.monotonic() + seconds
        while True:
            answer = clerk.post(f"/v1/{self.store}/deliveries", json=body, headers=headers)
            if answer.status_code < 500:
                return self.must(answer)
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)

    def follow_ups(self, delivery: Json) -> list[Json]:
        """The plan of a delivery."""
        query = {"delivery": delivery["name"], "pageSize": 200}
        answer = self.people["care_manager"].get(f"/v1/{self.store}/followUps", params=query)
        return list(self.must(answer)["followUps"])

    def surveys(self, delivery: Json) -> list[Json]:
        """The surveys of a delivery."""
        answer = self.people["care_manager"].get(f"/v1/{self.store}/surveys", params={"delivery": delivery["name"]})
        return list(self.must(answer)["surveys"])

    def grade(self) -> Json:
        """The store's grade of this month, by its own calendar."""
        month = datetime.now(UTC).astimezone().strftime("%Y-%m")
        return self.must(self.people["general_manager"].get(f"/v1/{self.store}/grades/{month}"))

    @staticmethod
    def must(answer: httpx.Response) -> Json:
        """The body of a call that succeeded."""
        assert answer.status_code == 200, (
            f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
        )
        body: Json = answer.json()
        return body
