"""The delivery loop through the public API, from the delivery to the live grade."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.loop import Group, Json
from tests.support.stack import ADMIN_PASSWORD, Stack

pytestmark = pytest.mark.xdist_group("stack")


def test_the_demo_tells_its_story_to_the_end(stack: Stack) -> None:
    environment = {**os.environ, "DEALERLOOP_ADMIN_PASSWORD": ADMIN_PASSWORD, "COLUMNS": "140"}
    command = [sys.executable, "-m", "tools.demo", "--url", stack.url]

    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
        timeout=100,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "That was the loop." in done.stdout


def test_a_delivery_becomes_follow_ups_a_vehicle_and_a_row_of_the_frame(group: Group) -> None:
    delivery = group.deliver()

    group.stack.wait_for("the plan", lambda: len(group.follow_ups(delivery)) > 10)

    plan = {(one["step"], one["occurrence"]): one for one in group.follow_ups(delivery)}
    steps = {step for step, _ in plan}
    assert {"CAD-01", "CAD-02", "CAD-03", "CAD-04", "CAD-05", "CAD-06", "CAD-07", "CAD-09"} <= steps
    day = datetime.fromisoformat(delivery["deliveryTime"]).astimezone().date()
    assert plan["CAD-06", 2]["windowStartDate"] > plan["CAD-06", 1]["windowStartDate"]
    assert day.isoformat() < plan["CAD-04", 1]["windowStartDate"]
    group.stack.wait_for("the frame", lambda: int(group.grade()["sampleFrame"]) > 0)


def test_a_second_template_version_is_followed_by_later_deliveries_only(group: Group) -> None:
    before = group.deliver()
    group.stack.wait_for("the first plan", lambda: len(group.follow_ups(before)) > 10)
    versions = group.must(group.admin.get("/v1/cadenceTemplates/post-delivery/versions"))["cadenceTemplateVersions"]
    steps = versions[0]["steps"]
    extra = {
        "code": "CAD-20",
        "titles": {"en": "Forty days", "zh-CN": "四十天回访"},
        "ownerRole": "OWNER_ROLE_CONSULTANT",
        "window": {"anchor": "ANCHOR_DELIVERY", "firstDay": 40, "lastDay": 42},
    }

    draft = group.must(group.admin.post("/v1/cadenceTemplates/post-delivery/versions", json={"steps": [*steps, extra]}))
    in_between = group.deliver()
    group.must(group.admin.post(f"/v1/{draft['name']}:publish", json={}))
    after = group.deliver()

    group.stack.wait_for("the plans", lambda: all(len(group.follow_ups(one)) > 10 for one in (in_between, after)))
    assert "CAD-20" not in steps_of(group, before)
    assert "CAD-20" not in steps_of(group, in_between)
    assert "CAD-20" in steps_of(group, after)
    correction = {"odometerKm": 99}
    group.must(group.people["information_clerk"].patch(f"/v1/{before['name']}", json=correction))
    assert "CAD-20" not in steps_of(group, before)


def steps_of(group: Group, delivery: Json) -> set[str]:
    return {one["step"] for one in group.follow_ups(delivery)}


def test_a_published_template_version_cannot_be_published_again(group: Group) -> None:
    answer = group.admin.post("/v1/cadenceTemplates/post-delivery/versions/1:publish", json={})

    assert answer.status_code == 409


def test_a_first_service_closes_its_reminders(group: Group) -> None:
    delivery = group.deliver()
    reminders = {"CAD-07", "CAD-07b", "CAD-08"}
    group.stack.wait_for("the reminders", lambda: reminders <= steps_of(group, delivery))
    today = datetime.now(UTC).date() - timedelta(days=1)
    visit = {
        "vin": delivery["vin"],
        "visitDate": today.isoformat(),
        "odometerKm": 1500,
        "kind": "KIND_FIRST_SERVICE",
    }

    group.must(group.people["service_advisor"].post(f"/v1/{group.store}/workshopVisits", json=visit))

    def closed() -> bool:
        states = {one["step"]: one["state"] for one in group.follow_ups(delivery)}
        return {states[step] for step in reminders} == {"STATE_CLOSED"}

    group.stack.wait_for("the reminders to close", closed)


def test_a_cancelled_delivery_ends_what_is_open_and_frees_the_car(group: Group) -> None:
    delivery = group.deliver()
    group.stack.wait_for("the plan", lambda: len(group.follow_ups(delivery)) > 10)
    manager = group.people["sales_manager"]

    group.must(manager.post(f"/v1/{delivery['name']}:cancel", json={"reason": "客户退车"}))

    group.stack.wait_for(
        "the end of the plan", lambda: all(one["state"] != "STATE_PLANNED" for one in group.follow_ups(delivery))
    )
    group.stack.wait_for("the survey", lambda: group.surveys(delivery)[0]["state"] == "STATE_CANCELLED")
    assert group.deliver(group.new_delivery(vin=delivery["vin"]))["vin"] == delivery["vin"]


def test_every_write_leaves_one_line_in_the_audit_trail(group: Group) -> None:
    delivery = group.deliver()

    def lines() -> list[Json]:
        query = {"resource": delivery["name"]}
        return list(group.must(group.admin.get("/v1/auditRecords", params=query))["auditRecords"])

    group.stack.wait_for("the audit trail", lambda: len(lines()) > 0)
    (line,) = lines()
    assert line["actor"] == "staff/information-clerk.bj-01"
    assert line["method"] == "dealerloop.sales.v1.DeliveryService/CreateDelivery"
    assert "王小明" not in str(line)
