"""The chapter of lists: a file with bad rows is shown first and taken over then; the day is confirmed."""

from __future__ import annotations

from datetime import timedelta

from tools.demo import vehicle
from tools.demo.client import Json, wait_for
from tools.demo.story import Story, today

_HEADERS = "车架号,品牌,车系,客户姓名,联系电话,销售顾问,交车时间"
_UNDER_WAY = frozenset({"STATE_UPLOADING", "STATE_CHECKING", "STATE_TAKING_OVER"})


def bring_list(story: Story, known: Json) -> None:
    """A dry run of a list with three bad rows, and its confirmation."""
    story.step("The clerk brings in a list of deliveries: first a dry run that changes nothing")
    clerk, path = story.people["clerk"], f"/v1/{story.store}/deliveries:import"
    content = _list(story, known)
    found = _ended(story, clerk.upload(path, "交车清单.csv", content, validateOnly="true"))
    story.say(f"would take {found['taken']} of {found['rowCount']} rows, refuse {found['rejected']}:")
    for row in found["rows"]:
        mark = "✗" if row["severity"] == "SEVERITY_REJECTED" else "!"
        story.say(f"{mark} row {row['row']}  {row['column'] or '—'}: {row['reason']} — {row['message']}")
    story.step("He confirms the good rows; the bad ones stay with the showroom")
    confirmed = clerk.post(f"/v1/{found['name']}:confirm", {"etag": found["etag"]})
    done = _ended(story, confirmed)
    story.say(f"import     {done['name']}")
    story.say(f"taken      {done['taken']}, refused {done['rejected']}  ({done['state']})")
    again = _ended(story, clerk.upload(path, "交车清单.csv", content))
    story.say(f"the same file again: taken {again['taken']}, unchanged {again['unchanged']}")


def hand_over(story: Story) -> None:
    """The daily report to customer care, first wrong, then right."""
    story.step("The clerk confirms the day's deliveries to customer care; a wrong number shows")
    day = (today() - timedelta(days=2)).date().isoformat()
    path = f"/v1/{story.store}/dailyHandovers"
    for count in (1, None):
        number = count if count is not None else story.people["clerk"].get(f"{path}/{day}")["recordedDeliveries"]
        told = story.people["clerk"].post(path, {"date": day, "reportedDeliveries": number})
        reported, recorded = told["reportedDeliveries"], told["recordedDeliveries"]
        story.say(f"{day}  reported {reported}, recorded {recorded}: {told['state'].removeprefix('STATE_')}")


def _list(story: Story, known: Json) -> bytes:
    when = (today() - timedelta(days=1)).strftime("%Y-%m-%d 15:30")
    good = [(vehicle.vin(story.seed), name, when) for name in ("高建国", "林雪梅")]
    bad = [
        (vehicle.vin(story.seed)[:-1], "郭涛", when),
        (vehicle.vin(story.seed), "马丽", "2026-02-30"),
        (known["vin"], "罗强", when),
    ]
    consultant = f"consultant-{story.run}"
    rows = [
        f"{vin},Nissan,Paladin,{name},{vehicle.phone(story.seed)},{consultant},{time}" for vin, name, time in good + bad
    ]
    return "\n".join([_HEADERS, *rows, ""]).encode("gb18030")


def _ended(story: Story, found: Json) -> Json:
    ended, _ = wait_for(
        "the import",
        lambda: story.people["clerk"].get(f"/v1/{found['name']}"),
        lambda one: one["state"] not in _UNDER_WAY,
    )
    return ended
