"""The group quality manager: closes a month on the first of the next, and opens it again when it was wrong (SCR-08)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from tools.life.api import Api
from tools.life.diary import Diary
from tools.life.group import GroupPlan

_CLOSES_FROM_HOUR = 4
_LOOKS_AGAIN_AFTER_DAYS = 3
_REASON = "经复核，该答卷由本店员工代填，不应计入。"


class Months:
    """The end of the months that were begun."""

    def __init__(self, group: GroupPlan, api: Api, diary: Diary, first_day: date) -> None:
        self._group = group
        self._api = api
        self._diary = diary
        self._next = first_day.replace(day=1)
        self._to_look_at: list[tuple[date, str]] = []

    def work(self, now: datetime) -> None:
        """Closes what has ended, and a few days later looks at it again; `now` is the group's local time."""
        if now.hour < _CLOSES_FROM_HOUR:
            return
        if now.date().replace(day=1) > self._next:
            self._close(self._next, now.date())
            self._next = now.date().replace(day=1)
        for day, month in list(self._to_look_at):
            if now.date() >= day:
                self._to_look_at.remove((day, month))
                self._correct(month)

    def _close(self, begun: date, today: date) -> None:
        month = f"{begun:%Y-%m}"
        closed = self._api.post(self._group.quality_manager.account, f"/v1/months/{month}:close", {})
        self._diary.note("months closed")
        count = closed["revisions"][0]["responses"]
        self._diary.remember(f"{month} was closed on {today} with {count} answers")
        self._to_look_at.append((today + timedelta(days=_LOOKS_AGAIN_AFTER_DAYS), month))

    def _correct(self, month: str) -> None:
        """One answer turns out not to be a customer's; the month is opened again without it."""
        who = self._group.quality_manager.account
        store = self._group.stores[0]
        path = f"/v1/{store.resource}/grades/{month}/revisions/1/countedResponses"
        counted = self._api.get(who, path)["countedResponses"]
        if not counted:
            return
        # Chosen by what was answered: the ids are the system's own.
        wrong = min(counted, key=lambda one: (one["submitTime"], one["consultant"], str(one["marks"])))
        response = f"{store.resource}/responses/{wrong['responseId']}"
        self._api.post(who, f"/v1/{response}:exclude", {"reason": _REASON})
        self._api.post(who, f"/v1/months/{month}:reopen", {"reason": _REASON})
        self._diary.note("months re-opened")
        self._diary.remember(f"{month} was re-opened without one answer that no customer had given")
