"""The chapter of the grade: live during the month, fixed when it is closed (SCR-05, SCR-08)."""

from __future__ import annotations

from datetime import date, timedelta

from tools.demo.client import Json, wait_for
from tools.demo.story import Story, today

_BOTH_ANSWERS = 2
_LOOKED_BACK = 24


def grade(story: Story) -> None:
    """The store's live grade."""
    story.step("Scoring shows the store's live grade")
    path = f"/v1/{story.store}/grades/{today():%Y-%m}"
    found, _ = wait_for(
        "the grade",
        lambda: story.people["gm"].get(path),
        lambda grade: int(grade["models"][0]["index"]["n"]) >= _BOTH_ANSWERS,
    )
    model = found["models"][0]
    index = model["index"]
    sample = "provisional" if model["provisional"] else "final"
    story.say(f"SSI        {index['mean']:.2f} of 100 = {index['indexPoints']:.0f} points, n = {index['n']}")
    story.say(f"sample     {sample}: {model['minimumSample']} answers are needed")
    story.say(f"frame      {found['answered']} of {found['sampleFrame']} deliveries answered")
    for factor in model["factors"]:
        story.say(f"{factor['mean']:>7.2f}    {factor['titles']['zh-CN']} ({factor['titles']['en']})")


def close(story: Story) -> None:
    """The present month cannot be closed, one that has ended can."""
    quality = story.people["quality"]
    story.step("The group quality manager closes a month: this one has not ended, an earlier one has")
    story.refused(f"closing {today():%Y-%m}", lambda: quality.post(f"/v1/months/{today():%Y-%m}:close", {}))
    month = _last_open(story)
    if not month:
        story.say("every month that one would look at is closed already")
        return
    closed = quality.post(f"/v1/months/{month}:close", {})
    revision = closed["revisions"][0]
    story.say(
        f"{closed['name']}  {closed['state'].removeprefix('STATE_')}: revision 1 with {revision['responses']} answers"
    )
    story.refused("closing it again", lambda: quality.post(f"/v1/months/{month}:close", {}))
    again = {"reason": "有一份答卷迟到"}
    story.refused("re-opening it without a late answer", lambda: quality.post(f"/v1/months/{month}:reopen", again))


def _last_open(story: Story) -> str:
    """The latest month that has ended and is not closed."""
    first = today().date().replace(day=1)
    for _ in range(_LOOKED_BACK):
        first = _month_before(first)
        found: Json = story.people["quality"].get(f"/v1/months/{first:%Y-%m}")
        if found["state"] == "STATE_OPEN":
            return f"{first:%Y-%m}"
    return ""


def _month_before(first: date) -> date:
    return (first - timedelta(days=1)).replace(day=1)
