"""The chapter of the complaint: an answer opens it, and it walks through all its steps (CMP-1 … CMP-8)."""

from __future__ import annotations

from datetime import timedelta

from tools.demo.client import Json, wait_for
from tools.demo.story import Story, id_of, today
from tools.demo.survey_form import SurveyForm


def answer_by_link(story: Story) -> Json:
    """Another customer answers on the linked page, and is not content; returns the complaint that this opens."""
    delivery = story.deliver("张丽")
    story.step("She opens the link on her phone, marks 2 of 7 for a delivery that was late, and sends it")
    survey = story.survey(delivery)
    story.say(f"link       {story.base_url}{survey['publicPath']}")
    page = story.http.get(survey["publicPath"])
    page.raise_for_status()
    form = SurveyForm(page.text)
    late = next(name for name in form.choices if name.endswith("SSI.DLV.ON_TIME"))
    overall = next(name for name in form.choices if name.endswith("SSI.OVERALL"))
    filled = form.filled({late: "2", overall: "3"}, "6", "交车晚了三天。")
    sent = story.http.post(survey["publicPath"], data=filled)
    story.say(f"page       {len(page.content) / 1024:.0f} KB, sent: {sent.status_code}")
    again = story.http.post(survey["publicPath"], data=form.filled({}, "7", ""))
    story.say(f"the same link again: {again.status_code}")
    story.step("Her answers opened a complaint by themselves")
    path = f"/v1/{story.store}/complaints"
    found: list[Json]
    found, _ = wait_for(
        "the complaint",
        lambda: story.people["care-manager"].get(path, delivery=id_of(delivery))["complaints"],
        bool,
    )
    _show(story, found[0])
    for clock in found[0]["clocks"]:
        story.say(f"clock      {_plain(clock['kind'], 'COMPLAINT_CLOCK_KIND_'):<10} due {clock['dueTime'][:16]}")
    return found[0]


def walk(story: Story, complaint: Json) -> None:
    """All steps to the archive, with one wrong turn."""
    story.step("A wrong turn is refused with what is allowed")
    name = complaint["name"]
    back = {"satisfied": True, "note": "客户满意"}
    problem = story.refused("calling back before anything was done", lambda: _do(story, "care-manager", name, back))
    story.say(f"allowed    {problem.get('metadata', {}).get('allowedVerbs', '')}")
    story.step("The complaint walks through all its steps, each by the one whose step it is")
    promised = (today() + timedelta(days=1)).date().isoformat()
    opinion = {
        "opinion": "先致歉，核实交车延误原因，当日答复。",
        "severity": "COMPLAINT_SEVERITY_MEDIUM",
        "department": "DEPARTMENT_SALES",
    }
    answer = {"cause": "交车前检测排期过满。", "action": "已致歉并赠送一次保养。", "promisedDate": promised}
    contact = {"channel": "COMPLAINT_CHANNEL_PHONE", "note": "已向客户致歉。"}
    steps: list[tuple[str, str, Json]] = [
        ("care-manager", "setOpinion", opinion),
        ("gm", "review", {"accepted": True, "comment": "同意。"}),
        ("sales-manager", "dispatch", {"responsible": story.staff("consultant")}),
        ("consultant", "recordContact", contact),
        ("sales-manager", "return", answer),
        ("care-manager", "callBack", {"satisfied": False, "note": "客户认为没有说清原因。"}),
        ("sales-manager", "dispatch", {"responsible": story.staff("consultant"), "note": "请当面说明。"}),
        ("sales-manager", "return", answer | {"action": "已上门说明原因并道歉。"}),
        ("care-manager", "callBack", {"satisfied": True, "note": "客户表示满意。"}),
        ("gm", "sign", {"comment": "同意结案。"}),
        ("specialist", "archive", {"lesson": "交车前一天再次确认检测排期。"}),
    ]
    for who, verb, body in steps:
        complaint = story.people[who].post(f"/v1/{name}:{verb}", body | {"etag": complaint["etag"]})
        round_ = complaint["rounds"][-1]["number"]
        waits = _plain(complaint["step"], "COMPLAINT_STEP_")
        story.say(f"{who:<14} {verb:<14} → {waits:<10} round {round_}")
    met = ", ".join(
        f"{_plain(clock['kind'], 'COMPLAINT_CLOCK_KIND_')} {_plain(clock['state'], 'STATE_')}"
        for clock in complaint["clocks"]
    )
    story.say(f"clocks     {met}")
    story.say(f"history    {len(complaint['actions'])} actions, each with who, when and what changed")


def _do(story: Story, who: str, name: str, body: Json) -> Json:
    return story.people[who].post(f"/v1/{name}:callBack", body)


def _show(story: Story, complaint: Json) -> None:
    level = _plain(complaint["level"], "COMPLAINT_LEVEL_")
    waits = _plain(complaint["step"], "COMPLAINT_STEP_")
    story.say(f"complaint  {complaint['name']}")
    story.say(f"level      {level}, waits for {waits}; from {complaint['survey'].rsplit('/', 1)[-1]}")


def _plain(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")
