"""`./dev demo`: from one delivery to a live grade, over HTTP, with the tokens of the people whose work it is."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from rich.table import Table

from tools.demo import vehicle
from tools.demo.client import Json, Person, Refused, wait_for
from tools.demo.survey_form import SurveyForm

_SHANGHAI = ZoneInfo("Asia/Shanghai")
PASSWORD = "demo-password-1"  # noqa: S105 - of accounts that the demo itself creates on this machine
_STAFF = {
    "consultant": ("李伟", "ROLE_SALES_CONSULTANT"),
    "clerk": ("赵敏", "ROLE_INFORMATION_CLERK"),
    "sales-manager": ("陈刚", "ROLE_SALES_MANAGER"),
    "specialist": ("王芳", "ROLE_CARE_SPECIALIST"),
    "advisor": ("刘洋", "ROLE_SERVICE_ADVISOR"),
    "gm": ("周强", "ROLE_GENERAL_MANAGER"),
}


class Story:
    """One run: a store of its own, so that it can be told again and again."""

    def __init__(self, base_url: str, admin_password: str) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.http = httpx.Client(base_url=base_url, timeout=15)
        self.base_url = base_url
        self.seed = random.Random(time.time_ns())  # noqa: S311 - invented data, no secret
        self.admin = Person(self.http, "admin", admin_password)
        self.run = f"{time.time_ns() // 1_000_000 % 100_000_000:08d}"
        self.store = f"stores/demo-{self.run}"
        self.people: dict[str, Person] = {}
        self.steps = 0

    def tell(self) -> None:
        """Everything, in order."""
        self.open_store()
        delivery = self.deliver("王小明")
        self.follow_ups(delivery)
        self.warranty(delivery)
        self.attempt(delivery)
        self.key_in_survey(delivery)
        self.answer_by_link()
        self.correct_and_cancel()
        self.first_service(delivery)
        self.grade()
        self.mistakes(delivery)
        self.audit()
        self.console.print(f"\n[bold]That was the loop.[/] Look around: {self.base_url}/docs")

    def open_store(self) -> None:
        """A store with its people."""
        self.step("The administrator opens a store and its accounts")
        store_id = self.store.removeprefix("stores/")
        self.admin.post(
            "/v1/stores", {"displayName": f"演示店 {self.run}", "timeZone": "Asia/Shanghai"}, storeId=store_id
        )
        self.say(f"store      {self.store}")
        for job, (name, role) in _STAFF.items():
            account = f"{job}-{self.run}"
            body = {"displayName": name, "password": PASSWORD, "roles": [{"role": role}]}
            self.admin.post(f"/v1/{self.store}/staff", body, staffId=account)
            self.people[job] = Person(self.http, account, PASSWORD)
            self.say(f"{role.removeprefix('ROLE_').lower():<19} {name}  {account}")

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
            "consultant": f"{self.store}/staff/consultant-{self.run}",
            "deliveryTime": (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="seconds"),
            "odometerKm": 12,
        }

    def follow_ups(self, delivery: Json) -> None:
        """The delivery became a care plan."""
        self.step("The delivery event became follow-ups (customer care)")
        found, passed = wait_for("the care plan", lambda: self.plan(delivery), lambda plan: len(plan) > 10)  # noqa: PLR2004
        table = Table("step", "window", "who", "state", "what", box=None, padding=(0, 2))
        for one in found:
            window = f"{one['windowStartDate']} … {one['windowEndDate']}"
            owner = one["ownerRole"].removeprefix("OWNER_ROLE_").lower()
            table.add_row(one["step"], window, owner, one["state"].removeprefix("STATE_"), one["titles"]["zh-CN"])
        self.console.print(table)
        self.say(f"readable after {passed:.0f} ms")

    def plan(self, delivery: Json) -> list[Json]:
        """The follow-ups of a delivery."""
        path = f"/v1/{self.store}/followUps"
        found: list[Json] = self.people["specialist"].get(path, delivery=_id(delivery))["followUps"]
        return found

    def warranty(self, delivery: Json) -> None:
        """After-sales knows the vehicle."""
        self.step("After-sales knows the vehicle, its warranty and its first service")
        path = f"/v1/{self.store}/vehicles/{delivery['vin']}/warranty"
        warranty, _ = wait_for("the vehicle", lambda: self.try_get("advisor", path), bool)
        for term in warranty["terms"]:
            part = term["componentGroup"].removeprefix("COMPONENT_GROUP_").lower()
            limits = f"{term['months']} months / {term['distanceKm']:,} km, until {term['endDate']}"
            self.say(f"{part:<16} {limits}  ({term['policyVersion']}, floor {term['statutoryVersion']})")
        self.say(f"first service    {warranty['firstServiceDueDate']} or {warranty['firstServiceDueKm']:,} km")
        for facts in ({"odometerKm": 8000}, {"odometerKm": 999_999}, {}):
            body = {"componentGroup": "COMPONENT_GROUP_ENGINE", **facts}
            path = f"/v1/{self.store}/vehicles/{delivery['vin']}:decideCoverage"
            decision = self.people["advisor"].post(path, body)
            reasons = ", ".join(f"{reason['code']} ({reason['rule']})" for reason in decision["reasons"])
            missing = f"; missing: {', '.join(decision['missingEvidence'])}" if decision["missingEvidence"] else ""
            word = decision["decision"].removeprefix("DECISION_")
            self.say(f"engine fault at {facts.get('odometerKm', 'unknown')} km → {word}: {reasons}{missing}")

    def attempt(self, delivery: Json) -> None:
        """A call that nobody answers."""
        self.step("The specialist calls; nobody answers")
        survey_call = next(one for one in self.plan(delivery) if one["step"] == "CAD-02")
        contact = self.people["specialist"].post(f"/v1/{survey_call['name']}:revealContact", {})
        self.say(f"number     {contact['phone']}  (revealed for the call, and audited)")
        body = {"attempt": {"outcome": "ATTEMPT_OUTCOME_NO_ANSWER", "note": "无人接听"}}
        after = self.people["specialist"].post(f"/v1/{survey_call['name']}:recordAttempt", body)
        self.say(f"attempts   {len(after['attempts'])}; next proposed for {after.get('nextAttemptTime', '—')}")

    def key_in_survey(self, delivery: Json) -> None:
        """The customer answers by telephone."""
        self.step("The second call succeeds: the specialist keys in the five-factor questionnaire")
        survey = self.survey(delivery)
        questionnaire = self.people["specialist"].get(f"/v1/{survey['questionnaireVersion']}")
        answers = []
        for question in questionnaire["questions"]:
            mark = {"QUESTION_TYPE_SCALE_7": self.seed.choice((5, 6, 7)), "QUESTION_TYPE_NPS": 9}.get(question["type"])
            if mark is not None:
                answers.append({"question": question["code"], "mark": mark})
        body = {"answers": answers, "mode": "INTERVIEW_MODE_PHONE"}
        after = self.people["specialist"].post(f"/v1/{survey['name']}:submit", body)
        self.say(f"survey     {after['name']}  {after['state']}  {len(after['answers'])} answers")

    def survey(self, delivery: Json) -> Json:
        """The survey of a delivery."""
        path = f"/v1/{self.store}/surveys"
        found: list[Json]
        found, _ = wait_for(
            "the survey",
            lambda: self.people["specialist"].get(path, delivery=_id(delivery))["surveys"],
            lambda surveys: len(surveys) == 1,
        )
        return found[0]

    def answer_by_link(self) -> None:
        """Another customer answers on the linked page."""
        delivery = self.deliver("张丽")
        self.step("She opens the link on her phone, marks 2 of 7 for a delivery that was late, and sends it")
        survey = self.survey(delivery)
        self.say(f"link       {self.base_url}{survey['publicPath']}")
        page = self.http.get(survey["publicPath"])
        page.raise_for_status()
        form = SurveyForm(page.text)
        late = next(name for name in form.choices if name.endswith("SSI.DLV.ON_TIME"))
        sent = self.http.post(survey["publicPath"], data=form.filled({late: "2"}, "6", "交车晚了三天。"))
        self.say(f"page       {len(page.content) / 1024:.0f} KB, sent: {sent.status_code}")
        again = self.http.post(survey["publicPath"], data=form.filled({}, "7", ""))
        self.say(f"the same link again: {again.status_code}")

    def correct_and_cancel(self) -> None:
        """Mistakes in the showroom are put right."""
        delivery = self.deliver("孙浩")
        self.step("The date was wrong: a correction moves what is open; then the delivery is cancelled")
        first, _ = wait_for("the care plan", lambda: self.plan(delivery), lambda plan: len(plan) > 10)  # noqa: PLR2004
        before = _window(first, "CAD-04")
        moved = {"deliveryTime": (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")}
        corrected = self.people["clerk"].patch(f"/v1/{delivery['name']}", {**moved, "etag": delivery["etag"]})
        plan, _ = wait_for(
            "the correction", lambda: self.plan(delivery), lambda plan: _window(plan, "CAD-04") != before
        )
        self.say(f"7-day call {before} → {_window(plan, 'CAD-04')}")
        body = {"reason": "客户退车", "etag": corrected["etag"]}
        self.people["sales-manager"].post(f"/v1/{delivery['name']}:cancel", body)
        plan, _ = wait_for(
            "the cancellation", lambda: self.plan(delivery), lambda plan: not [one for one in plan if _open(one)]
        )
        self.say(f"cancelled: {sum(one['state'] == 'STATE_CANCELLED' for one in plan)} follow-ups with it")

    def first_service(self, delivery: Json) -> None:
        """A workshop visit ends the reminders."""
        self.step("The car comes for its first service: the reminders close by themselves")
        visit = {"vin": delivery["vin"], "visitDate": _today(), "odometerKm": 1480}
        body = visit | {"kind": "KIND_FIRST_SERVICE"}
        kept = self.people["advisor"].post(f"/v1/{self.store}/workshopVisits", body)
        plan, _ = wait_for(
            "the first service",
            lambda: [one for one in self.plan(delivery) if one["step"] in {"CAD-07", "CAD-07b", "CAD-08"}],
            lambda plan: not [one for one in plan if _open(one)],
        )
        self.say(f"visit      {kept['name']}")
        self.say("closed     " + ", ".join(f"{one['step']} {one['state'].removeprefix('STATE_')}" for one in plan))

    def grade(self) -> None:
        """The store's live grade."""
        self.step("Scoring shows the store's live grade")
        path = f"/v1/{self.store}/grades/{_store_month()}"
        grade, _ = wait_for(
            "the grade",
            lambda: self.people["gm"].get(path),
            lambda found: int(found["models"][0]["index"]["n"]) >= 2,  # noqa: PLR2004
        )
        model = grade["models"][0]
        index = model["index"]
        sample = "provisional" if model["provisional"] else "final"
        self.say(f"SSI        {index['mean']:.2f} of 100 = {index['indexPoints']:.0f} points, n = {index['n']}")
        self.say(f"sample     {sample}: {model['minimumSample']} answers are needed")
        self.say(f"frame      {grade['answered']} of {grade['sampleFrame']} deliveries answered")
        for factor in model["factors"]:
            self.say(f"{factor['mean']:>7.2f}    {factor['titles']['zh-CN']} ({factor['titles']['en']})")

    def mistakes(self, delivery: Json) -> None:
        """What is refused, and how it is said."""
        self.step("Mistakes are refused with the field and the rule")
        twice = self.new_delivery("李四") | {"vin": delivery["vin"]}
        self.refused("the same car again", lambda: self.people["clerk"].post(f"/v1/{self.store}/deliveries", twice))
        bad = self.new_delivery("李四") | {"vin": "LDLAAAAA000000000"}
        self.refused("a bad VIN", lambda: self.people["clerk"].post(f"/v1/{self.store}/deliveries", bad))
        self.refused("someone else's store", lambda: self.people["clerk"].get("/v1/stores/elsewhere/deliveries"))

    def audit(self) -> None:
        """Every write left a line."""
        self.step("Every write and every reveal is in the audit trail")
        found, _ = wait_for(
            "the audit trail",
            lambda: self.admin.get("/v1/auditRecords", pageSize="8")["auditRecords"],
            lambda records: any(record["method"].endswith("CreateWorkshopVisit") for record in records),
        )
        for record in found:
            self.say(f"{record['actTime'][:19]}  {record['actor']:<32} {record['method'].rsplit('/', 1)[-1]}")

    def try_get(self, who: str, path: str) -> Json:
        """A resource, or nothing while it is not there."""
        try:
            return self.people[who].get(path)
        except Refused as refusal:
            if refusal.status == httpx.codes.NOT_FOUND:
                return {}
            raise

    def refused(self, what: str, call: Callable[[], object]) -> None:
        """Shows how a call is refused."""
        try:
            call()
        except Refused as refusal:
            errors = "; ".join(f"{one['field']}: {one['rule']}" for one in refusal.problem.get("errors", []))
            self.say(
                f"{what}: {refusal.status} {refusal.problem.get('title')} — {refusal.problem.get('detail')} {errors}"
            )
        else:
            raise AssertionError(f"{what} was accepted")

    def step(self, title: str) -> None:
        """A heading."""
        self.steps += 1
        self.console.print(f"\n[bold]{self.steps}. {title}[/]")

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(f"   {text}", markup=False)


def _id(delivery: Json) -> str:
    return str(delivery["name"]).rsplit("/", 1)[-1]


def _open(follow_up: Json) -> bool:
    return bool(follow_up["state"] == "STATE_PLANNED")


def _window(plan: list[Json], step: str) -> str:
    return next((one["windowStartDate"] for one in plan if one["step"] == step), "")


def _today() -> str:
    return datetime.now(_SHANGHAI).date().isoformat()


def _store_month() -> str:
    return _today()[:7]


def main() -> None:
    """Tells the story against a running system.

    Exits with 1 and one line when the system is not there or does not do what the story says.
    """
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--url", default=f"http://127.0.0.1:{os.environ.get('DEALERLOOP_PORT', '8080')}")
    arguments = parser.parse_args()
    password = os.environ.get("DEALERLOOP_ADMIN_PASSWORD", "")
    try:
        Story(arguments.url, password).tell()
    except httpx.TransportError as error:
        sys.exit(f"nothing answers at {arguments.url} ({error}); start it with ./dev up")
    except (Refused, TimeoutError) as error:
        sys.exit(f"the story broke off: {error}")


if __name__ == "__main__":
    main()
