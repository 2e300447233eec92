"""What every chapter of the story uses: the store of this run, its people, and how something is said."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console

from tools.demo import vehicle
from tools.demo.client import Json, Person, Refused, wait_for

PASSWORD = "demo-password-1"  # noqa: S105 - of accounts that the demo itself creates on this machine
_SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
_STAFF: Final = {
    "consultant": ("李伟", "ROLE_SALES_CONSULTANT"),
    "clerk": ("赵敏", "ROLE_INFORMATION_CLERK"),
    "sales-manager": ("陈刚", "ROLE_SALES_MANAGER"),
    "specialist": ("王芳", "ROLE_CARE_SPECIALIST"),
    "care-manager": ("孙静", "ROLE_CARE_MANAGER"),
    "advisor": ("刘洋", "ROLE_SERVICE_ADVISOR"),
    "gm": ("周强", "ROLE_GENERAL_MANAGER"),
}


class Story:
    """One run: a store of its own, so that it can be told again and again."""

    def __init__(self, base_url: str, admin_password: str) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.http = httpx.Client(base_url=base_url, timeout=30)
        self.base_url = base_url
        self.seed = random.Random(time.time_ns())  # noqa: S311 - invented data, no secret
        self.admin = Person(self.http, "admin", admin_password)
        self.run = f"{time.time_ns() // 1_000_000 % 100_000_000:08d}"
        self.store = f"stores/demo-{self.run}"
        self.people: dict[str, Person] = {}
        self.steps = 0

    def open_store(self) -> None:
        """A store with its people, and somebody who closes the months of the group."""
        self.step("The administrator opens a store and its accounts")
        store_id = self.store.removeprefix("stores/")
        self.admin.post(
            "/v1/stores", {"displayName": f"演示店 {self.run}", "timeZone": "Asia/Shanghai"}, storeId=store_id
        )
        self.say(f"store      {self.store}")
        for job, (name, role) in _STAFF.items():
            self._hire(job, name, {"role": role}, f"/v1/{self.store}/staff")
        self._hire("quality", "何敏", {"role": "ROLE_GROUP_QUALITY_MANAGER", "place": "group"}, "/v1/staff")

    def _hire(self, job: str, name: str, role: Json, path: str) -> None:
        account = f"{job}-{self.run}"
        self.admin.post(path, {"displayName": name, "password": PASSWORD, "roles": [role]}, staffId=account)
        self.people[job] = Person(self.http, account, PASSWORD)
        self.say(f"{role['role'].removeprefix('ROLE_').lower():<21} {name}  {account}")

    def staff(self, job: str) -> str:
        """`stores/{store}/staff/{staff}`."""
        return f"{self.store}/staff/{job}-{self.run}"

    def deliver(self, customer: str) -> Json:
        """Sales hands over a car."""
        self.step(f"The information clerk records the delivery to {customer}")
        delivery = self.people["clerk"].post(f"/v1/{self.store}/deliveries", self.new_delivery(customer))
        self.say(f"delivery   {delivery['name']}")
        self.say(f"vehicle    {delivery['vin']}  {delivery['brand']} {delivery['series']}")
        self.say(f"customer   {delivery['customer']['displayName']}  {delivery['customer']['phone']}  (masked)")
        return delivery

    def new_delivery(self, customer: str) -> Json:
        """The body of a delivery of two days ago: its survey is due now."""
        return {
            "vin": vehicle.vin(self.seed),
            "brand": "Nissan",
            "series": "Paladin",
            "model": "Paladin 2.4 4WD",
            "customer": {
                "displayName": customer,
                "phone": vehicle.phone(self.seed),
                "consents": [{"channel": "CHANNEL_PHONE", "granted": True}],
            },
            "consultant": self.staff("consultant"),
            "deliveryTime": (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="seconds"),
            "odometerKm": 12,
        }

    def plan(self, delivery: Json) -> list[Json]:
        """The follow-ups of a delivery."""
        path = f"/v1/{self.store}/followUps"
        found: list[Json] = self.people["specialist"].get(path, delivery=id_of(delivery))["followUps"]
        return found

    def survey(self, delivery: Json) -> Json:
        """The survey of a delivery."""
        path = f"/v1/{self.store}/surveys"
        found: list[Json]
        found, _ = wait_for(
            "the survey",
            lambda: self.people["specialist"].get(path, delivery=id_of(delivery))["surveys"],
            lambda surveys: len(surveys) == 1,
        )
        return found[0]

    def try_get(self, who: str, path: str) -> Json:
        """A resource, or nothing while it is not there."""
        try:
            return self.people[who].get(path)
        except Refused as refusal:
            if refusal.status == httpx.codes.NOT_FOUND:
                return {}
            raise

    def refused(self, what: str, call: Callable[[], object]) -> Json:
        """Shows how a call is refused; returns the problem."""
        try:
            call()
        except Refused as refusal:
            errors = "; ".join(f"{one['field']}: {one['rule']}" for one in refusal.problem.get("errors", []))
            self.say(
                f"{what}: {refusal.status} {refusal.problem.get('title')} — {refusal.problem.get('detail')} {errors}"
            )
            return refusal.problem
        raise AssertionError(f"{what} was accepted")

    def step(self, title: str) -> None:
        """A heading."""
        self.steps += 1
        self.console.print(f"\n[bold]{self.steps}. {title}[/]")

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(f"   {text}", markup=False)


def id_of(resource: Json) -> str:
    """The last part of its name."""
    return str(resource["name"]).rsplit("/", 1)[-1]


def is_open(follow_up: Json) -> bool:
    """Whether it is still to be made."""
    return bool(follow_up["state"] == "STATE_PLANNED")


def today() -> datetime:
    """The store's present."""
    return datetime.now(_SHANGHAI)
