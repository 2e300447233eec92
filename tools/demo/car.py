"""The chapter of after-sales: the vehicle, its warranty and its first service."""

from __future__ import annotations

from tools.demo.client import Json, wait_for
from tools.demo.story import Story, is_open, today

_FIRST_SERVICE = frozenset({"CAD-07", "CAD-07b", "CAD-08"})


def warranty(story: Story, delivery: Json) -> None:
    """After-sales knows the vehicle."""
    story.step("After-sales knows the vehicle, its warranty and its first service")
    path = f"/v1/{story.store}/vehicles/{delivery['vin']}/warranty"
    found, _ = wait_for("the vehicle", lambda: story.try_get("advisor", path), bool)
    for term in found["terms"]:
        part = term["componentGroup"].removeprefix("COMPONENT_GROUP_").lower()
        limits = f"{term['months']} months / {term['distanceKm']:,} km, until {term['endDate']}"
        story.say(f"{part:<16} {limits}  ({term['policyVersion']}, floor {term['statutoryVersion']})")
    story.say(f"first service    {found['firstServiceDueDate']} or {found['firstServiceDueKm']:,} km")
    for facts in ({"odometerKm": 8000}, {"odometerKm": 999_999}, {}):
        body = {"componentGroup": "COMPONENT_GROUP_ENGINE", **facts}
        path = f"/v1/{story.store}/vehicles/{delivery['vin']}:decideCoverage"
        decision = story.people["advisor"].post(path, body)
        reasons = ", ".join(f"{reason['code']} ({reason['rule']})" for reason in decision["reasons"])
        missing = f"; missing: {', '.join(decision['missingEvidence'])}" if decision["missingEvidence"] else ""
        word = decision["decision"].removeprefix("DECISION_")
        story.say(f"engine fault at {facts.get('odometerKm', 'unknown')} km → {word}: {reasons}{missing}")


def first_service(story: Story, delivery: Json) -> None:
    """A workshop visit ends the reminders."""
    story.step("The car comes for its first service: the reminders close by themselves")
    visit = {"vin": delivery["vin"], "visitDate": today().date().isoformat(), "odometerKm": 1480}
    kept = story.people["advisor"].post(f"/v1/{story.store}/workshopVisits", visit | {"kind": "KIND_FIRST_SERVICE"})
    plan, _ = wait_for(
        "the first service",
        lambda: [one for one in story.plan(delivery) if one["step"] in _FIRST_SERVICE],
        lambda plan: not [one for one in plan if is_open(one)],
    )
    story.say(f"visit      {kept['name']}")
    story.say("closed     " + ", ".join(f"{one['step']} {one['state'].removeprefix('STATE_')}" for one in plan))
