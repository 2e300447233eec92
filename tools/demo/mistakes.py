"""The last chapter: what is refused and how it is said, and what the audit trail keeps."""

from __future__ import annotations

from tools.demo.client import Json, wait_for
from tools.demo.story import Story


def refused(story: Story, delivery: Json) -> None:
    """Mistakes are told with the field and the rule."""
    story.step("Mistakes are refused with the field and the rule")
    path = f"/v1/{story.store}/deliveries"
    clerk = story.people["clerk"]
    twice = story.new_delivery("李四") | {"vin": delivery["vin"]}
    story.refused("the same car again", lambda: clerk.post(path, twice))
    bad = story.new_delivery("李四") | {"vin": "LDLAAAAA000000000"}
    story.refused("a bad VIN", lambda: clerk.post(path, bad))
    story.refused("someone else's store", lambda: clerk.get("/v1/stores/elsewhere/deliveries"))


def audit(story: Story) -> None:
    """Every write left a line."""
    story.step("Every write and every reveal is in the audit trail")
    found, _ = wait_for(
        "the audit trail",
        lambda: story.admin.get("/v1/auditRecords", pageSize="8")["auditRecords"],
        lambda records: any(record["method"].endswith("CreateWorkshopVisit") for record in records),
    )
    for record in found:
        story.say(f"{record['actTime'][:19]}  {record['actor']:<32} {record['method'].rsplit('/', 1)[-1]}")
