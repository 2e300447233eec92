"""Follow-ups: everybody makes the calls that are his, and customers answer the survey (CAD-01 … CAD-09, CARE-03)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

from tools.demo.client import Json
from tools.demo.survey_form import SurveyForm
from tools.life.customers import Mood
from tools.life.desk import Desk

_REACHED: Final = "ATTEMPT_OUTCOME_REACHED"
# What comes of one attempt; the rest are reached.
_OTHERWISE: Final = (
    ("ATTEMPT_OUTCOME_NO_ANSWER", 0.22),
    ("ATTEMPT_OUTCOME_CALL_LATER", 0.03),
    ("ATTEMPT_OUTCOME_REFUSED", 0.015),
    ("ATTEMPT_OUTCOME_WRONG_NUMBER", 0.008),
)
_CALLED: Final = 0.96
_BY_LINK: Final = 0.4
_OPENS_LINK: Final = 0.7
_NOTES: Final = ("客户反映用车正常", "客户很满意，暂无需要", "已提醒首保时间", "客户询问保险事宜，已解答", "")
_QUIET: Final = "无人接听"


class Calls:
    """The worklists of a store."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store
        self._again: set[str] = set()
        self._seen_sold = 0
        self._links: dict[str, Json] = {}
        self._questions: list[Json] = []

    def begin(self) -> None:
        """In the morning: everything that is due today."""
        self._again.clear()
        self._work(lambda _: True)

    def go_on(self) -> None:
        """Later: who was not reached this morning, and the thank-you calls for the cars of the day (CAD-01)."""
        if not self._again and len(self._desk.sold) == self._seen_sold:
            return
        again = frozenset(self._again)
        self._work(lambda one: one["step"] == "CAD-01" or _key(one) in again)

    def _work(self, is_meant: Callable[[Json], bool]) -> None:
        specialist = self._desk.account("specialist")
        today = self._desk.local().date()
        self._seen_sold = len(self._desk.sold)
        path = self._desk.path("followUps")
        due = self._desk.api.every(specialist, path, "followUps", date=today.isoformat(), state="STATE_PLANNED")
        # In an order that does not depend on the ids that the system gave.
        for one in sorted(filter(is_meant, due), key=lambda it: (it["vin"], it["step"], it["occurrence"])):
            self._again.discard(_key(one))
            if self._is_to_be_made(one, today):
                self._call(one)

    def open_links(self) -> None:
        """In the evening people look at their telephones."""
        for key, follow_up in list(self._links.items()):
            del self._links[key]
            self._answer_by_link(follow_up)

    def _is_to_be_made(self, one: Json, today: date) -> bool:
        """Whether its owner takes it up today: some he forgets, in a long window he chooses a day."""
        chance = self._store.chance.about(one["vin"], one["step"], one["occurrence"])
        if not chance.happens("is called", _CALLED):
            return False
        begin, end = date.fromisoformat(one["windowStartDate"]), date.fromisoformat(one["windowEndDate"])
        chosen = chance.count("day", 0, min((end - begin).days, 20))
        if one["step"] == "CAD-02":
            chosen = 0
            if chance.happens("by link", _BY_LINK):
                self._send_link(one, today, begin)
                chosen = (end - begin).days  # who does not answer by then is called after all
        return (today - begin).days >= chosen

    def _send_link(self, one: Json, today: date, begin: date) -> None:
        chance = self._store.chance.about(one["vin"], one["step"])
        if (today - begin).days == chance.count("opens on day", 0, 1) and chance.happens("opens", _OPENS_LINK):
            self._links[one["vin"]] = one

    def _call(self, one: Json) -> None:
        number = len(one["attempts"])
        chance = self._store.chance.about(one["vin"], one["step"], one["occurrence"], "attempt", number)
        outcome = _outcome(chance.source("outcome").random())
        who = self._owner(one)
        if outcome == _REACHED and one["survey"]:
            self._key_in(one)
            return
        note = chance.pick("note", _NOTES) if outcome == _REACHED else _QUIET
        attempt = {"outcome": outcome, "note": note}
        self._desk.api.post(who, f"/v1/{one['name']}:recordAttempt", {"attempt": attempt})
        if outcome != _REACHED:
            self._again.add(_key(one))
        self._desk.diary.note("customers reached" if outcome == _REACHED else "phone calls not completed")

    def _owner(self, one: Json) -> str:
        if one["ownerRole"] == "OWNER_ROLE_CONSULTANT" and one["owner"]:
            return str(one["owner"]).rsplit("/", 1)[-1]
        return self._desk.account("specialist")

    def _key_in(self, one: Json) -> None:
        specialist = self._desk.account("specialist")
        answers = [
            {"question": code, "text": value} if isinstance(value, str) else {"question": code, "mark": value}
            for code, value in self._mood(one).answers(self._questionnaire(one)).items()
        ]
        body = {"answers": answers, "mode": "INTERVIEW_MODE_PHONE"}
        self._desk.api.post(specialist, f"/v1/{one['survey']}:submit", body)
        self._desk.diary.note("surveys by telephone")

    def _answer_by_link(self, one: Json) -> None:
        survey = self._desk.api.get(self._desk.account("specialist"), f"/v1/{one['survey']}")
        if survey["state"] != "STATE_OPEN":
            return
        http = self._desk.api.http
        form = SurveyForm(http.get(survey["publicPath"]).raise_for_status().text)
        given = self._mood(one).answers(self._questionnaire(one))
        marks = {code: str(value) for code, value in given.items() if isinstance(value, int)}
        remark = next((value for value in given.values() if isinstance(value, str)), "")
        fields = {name: marks[code] for name in form.choices for code in marks if name.endswith(code)}
        http.post(survey["publicPath"], data=form.filled(fields, "", remark)).raise_for_status()
        self._desk.diary.note("surveys by link")

    def _mood(self, one: Json) -> Mood:
        sale = self._desk.sold.get(one["vin"])
        return Mood(self._store, one["vin"], sale.consultant.account if sale is not None else "")

    def _questionnaire(self, one: Json) -> list[Json]:
        if not self._questions:
            specialist = self._desk.account("specialist")
            survey = self._desk.api.get(specialist, f"/v1/{one['survey']}")
            found = self._desk.api.get(specialist, f"/v1/{survey['questionnaireVersion']}")
            self._questions = found["questions"]
        return self._questions


def _key(one: Json) -> str:
    return f"{one['vin']}/{one['step']}/{one['occurrence']}"


def _outcome(draw: float) -> str:
    for outcome, probability in _OTHERWISE:
        if draw < probability:
            return outcome
        draw -= probability
    return _REACHED
