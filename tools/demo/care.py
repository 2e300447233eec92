"""The chapter of customer care: a delivery becomes calls, a survey, and answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rich.table import Table

from tools.demo.client import Json, wait_for
from tools.demo.story import Story, is_open

_WHOLE_PLAN = 10


def follow_ups(story: Story, delivery: Json) -> None:
    """The delivery became a care plan."""
    story.step("The delivery event became follow-ups (customer care)")
    found, passed = wait_for("the care plan", lambda: story.plan(delivery), lambda plan: len(plan) > _WHOLE_PLAN)
    table = Table("step", "window", "who", "state", "what", box=None, padding=(0, 2))
    for one in found:
        window = f"{one['windowStartDate']} … {one['windowEndDate']}"
        owner = one["ownerRole"].removeprefix("OWNER_ROLE_").lower()
        table.add_row(one["step"], window, owner, one["state"].removeprefix("STATE_"), one["titles"]["zh-CN"])
    story.console.print(table)
    story.say(f"readable after {passed:.0f} ms")


def attempt(story: Story, delivery: Json) -> None:
    """A call that nobody answers."""
    story.step("The specialist calls; nobody answers")
    survey_call = next(one for one in story.plan(delivery) if one["step"] == "CAD-02")
    contact = story.people["specialist"].post(f"/v1/{survey_call['name']}:revealContact", {})
    story.say(f"number     {contact['phone']}  (revealed for the call, and audited)")
    body = {"attempt": {"outcome": "ATTEMPT_OUTCOME_NO_ANSWER", "note": "无人接听"}}
    after = story.people["specialist"].post(f"/v1/{survey_call['name']}:recordAttempt", body)
    story.say(f"attempts   {len(after['attempts'])}; next proposed for {after.get('nextAttemptTime', '—')}")


def key_in_survey(story: Story, delivery: Json) -> None:
    """The customer answers by telephone."""
    story.step("The second call succeeds: the specialist keys in the five-factor questionnaire")
    survey = story.survey(delivery)
    questionnaire = story.people["specialist"].get(f"/v1/{survey['questionnaireVersion']}")
    answers = []
    for question in questionnaire["questions"]:
        mark = {"QUESTION_TYPE_SCALE_7": story.seed.choice((5, 6, 7)), "QUESTION_TYPE_NPS": 9}.get(question["type"])
        if mark is not None:
            answers.append({"question": question["code"], "mark": mark})
    body = {"answers": answers, "mode": "INTERVIEW_MODE_PHONE"}
    after = story.people["specialist"].post(f"/v1/{survey['name']}:submit", body)
    story.say(f"survey     {after['name']}  {after['state']}  {len(after['answers'])} answers")


def correct_and_cancel(story: Story) -> None:
    """Mistakes in the showroom are put right."""
    delivery = story.deliver("孙浩")
    story.step("The date was wrong: a correction moves what is open; then the delivery is cancelled")
    first, _ = wait_for("the care plan", lambda: story.plan(delivery), lambda plan: len(plan) > _WHOLE_PLAN)
    before = _window(first, "CAD-04")
    moved = {"deliveryTime": (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")}
    corrected = story.people["clerk"].patch(f"/v1/{delivery['name']}", {**moved, "etag": delivery["etag"]})
    plan, _ = wait_for("the correction", lambda: story.plan(delivery), lambda plan: _window(plan, "CAD-04") != before)
    story.say(f"7-day call {before} → {_window(plan, 'CAD-04')}")
    body = {"reason": "客户退车", "etag": corrected["etag"]}
    story.people["sales-manager"].post(f"/v1/{delivery['name']}:cancel", body)
    plan, _ = wait_for(
        "the cancellation", lambda: story.plan(delivery), lambda plan: not [one for one in plan if is_open(one)]
    )
    story.say(f"cancelled: {sum(one['state'] == 'STATE_CANCELLED' for one in plan)} follow-ups with it")


def _window(plan: list[Json], step: str) -> str:
    return next((one["windowStartDate"] for one in plan if one["step"] == step), "")
