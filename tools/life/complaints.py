"""The complaint loop, by the people whose steps they are: most in time, some late, a few in a second round (CMP-*)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from tools.demo.client import Json
from tools.life.chance import Chance
from tools.life.desk import Desk

# How many moments of the day somebody lets pass before he does his step.
_IN_TIME, _SLOW, _ASLEEP = (0, 1), (1, 4), (5, 9)
_SATISFIED: Final = 0.85
_REVIEW_ACCEPTED: Final = 0.93
_REOPENED: Final = 0.05
_PAUSED: Final = 0.06
_EXTENDED_AFTER: Final = timedelta(hours=20)
_SOURCES: Final = ("surveys by telephone", "surveys by link", "complaints by telephone")
_OPINIONS: Final = (
    "先向客户致歉，核实经过后当日答复。",
    "请责任部门查明原因并提出补救办法。",
    "按流程处理，重点说明费用明细。",
)
_CAUSES: Final = (
    "交车前准备不足，未按约定时间完成检测。",
    "销售过程中费用说明不清楚。",
    "当日人手不够，交接流程缩短。",
)
_ACTIONS: Final = ("已当面致歉并补做功能讲解。", "已逐项解释费用并赠送一次保养。", "已安排返工处理划痕，并上门取送车。")
_LESSONS: Final = (
    "约定交车时间前一天再次确认备车情况。",
    "价格单逐行说明并由客户签字。",
    "交车高峰日增加一名交车专员。",
)
_DEPARTMENTS: Final = (
    ("DEPARTMENT_SALES", 0.78),
    ("DEPARTMENT_AFTERSALES", 0.92),
    ("DEPARTMENT_CUSTOMER_CARE", 1.0),
)


class Complaints:
    """The open complaints of a store, one step further at each of its moments."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        # Who has nothing on his desk need not look for what cannot have come.
        self._are_open = self._are_closed = False
        self._seen_answers = 0
        self._waited: dict[str, int] = {}
        self._reopened: set[str] = set()
        self._extended: set[str] = set()
        self._sent_back: set[str] = set()
        self._paused: set[str] = set()
        self._steps: dict[str, Callable[[Json, Chance], str]] = {
            "COMPLAINT_STEP_OPINION": self._opinion,
            "COMPLAINT_STEP_REVIEW": self._review,
            "COMPLAINT_STEP_DISPATCH": self._dispatch,
            "COMPLAINT_STEP_RETURN": self._return,
            "COMPLAINT_STEP_CALL_BACK": self._call_back,
            "COMPLAINT_STEP_SIGN": self._sign,
            "COMPLAINT_STEP_ARCHIVE": self._archive,
        }

    def work(self) -> None:
        """Does what is due by everybody's own speed."""
        answers = sum(self._desk.diary.counts[what] for what in _SOURCES)
        found = []
        if self._are_open or answers > self._seen_answers:
            found = self._list(open="true")
            self._are_open, self._seen_answers = bool(found), answers
        if self._are_closed:
            closed = self._list(step="COMPLAINT_STEP_ARCHIVE")
            self._are_closed = bool(closed)
            found += closed
        for one in sorted(found, key=lambda it: (it["openTime"], it["vin"])):
            self._advance(one)

    def open_by_telephone(self) -> None:
        """Now and then somebody calls who was asked nothing."""
        day = self._desk.local().date()
        chance = self._desk.store.chance.about("complaint by telephone", day)
        sold = [sale for sale in self._desk.sold.values() if sale.handed_over.date() < day]
        if not sold or not chance.happens("comes", 0.05):
            return
        sale = chance.pick("who", sold)
        who = self._desk.account("specialist")
        found = self._desk.api.get(who, self._desk.path("deliveries"), vin=sale.vin)["deliveries"]
        body = {
            "kind": "COMPLAINT_KIND_PRODUCT",
            "channel": "COMPLAINT_CHANNEL_PHONE",
            "description": "新车行驶中有异响，来电要求检查。",
            "customerWish": "尽快检查并说明原因",
            "delivery": found[0]["name"],
        }
        self._desk.api.post(who, self._desk.path("complaints"), body)
        self._desk.diary.note("complaints by telephone")

    def _list(self, **query: str) -> list[Json]:
        manager, path = self._desk.account("care-manager"), self._desk.path("complaints")
        return list(self._desk.api.every(manager, path, "complaints", **query))

    def _advance(self, one: Json) -> None:
        number = one["rounds"][-1]["number"] if one["rounds"] else 1
        chance = self._desk.store.chance.about("complaint", one["vin"], one["openTime"], one["step"], number)
        key = f"{one['name']}/{one['step']}/{number}"
        if self._waited.setdefault(key, self._patience(one, chance)) > 0:
            self._waited[key] -= 1
            self._extend_in_time(one)
            return
        if one["paused"]:
            self._do("care-manager", one, "resume", {})
            return
        verb = self._steps[one["step"]](one, chance)
        self._desk.diary.note(f"complaint steps: {verb}")

    def _patience(self, one: Json, chance: Chance) -> int:
        pace = self._desk.store.chance.about("pace", one["vin"]).source("pace").random()
        low, high = _IN_TIME if pace < 0.7 else _SLOW if pace < 0.9 else _ASLEEP  # noqa: PLR2004 - shares of all
        return chance.count("patience", low, high)

    def _opinion(self, one: Json, chance: Chance) -> str:
        draw = self._desk.store.chance.about("cause", one["vin"]).source("department").random()
        body = {
            "opinion": chance.pick("opinion", _OPINIONS),
            "severity": chance.pick("severity", ("COMPLAINT_SEVERITY_LOW", "COMPLAINT_SEVERITY_MEDIUM")),
            "department": next(name for name, share in _DEPARTMENTS if draw <= share),
        }
        return self._do("care-manager", one, "setOpinion", body)

    def _review(self, one: Json, chance: Chance) -> str:
        if one["name"] not in self._sent_back and not chance.happens("accepted", _REVIEW_ACCEPTED):
            self._sent_back.add(one["name"])
            return self._do("gm", one, "review", {"accepted": False, "comment": "请补充补救办法后再报。"})
        checker = {}
        if one["department"] == "DEPARTMENT_CUSTOMER_CARE":
            checker = {"checker": self._desk.store.staff_name(self._desk.store.staff["sales-manager"])}
        return self._do("gm", one, "review", {"accepted": True} | checker)

    def _dispatch(self, one: Json, chance: Chance) -> str:
        store = self._desk.store
        responsible = {
            "DEPARTMENT_AFTERSALES": store.staff["advisor"],
            "DEPARTMENT_CUSTOMER_CARE": store.staff["specialist"],
        }.get(one["department"])
        sale = self._desk.sold.get(one["vin"])
        if responsible is None:
            responsible = sale.consultant if sale else chance.pick("who", store.consultants)
        body = {"responsible": store.staff_name(responsible), "note": "请两小时内联系客户。"}
        return self._do(self._manager(one), one, "dispatch", body)

    def _return(self, one: Json, chance: Chance) -> str:
        if "COMPLAINT_VERB_RETURN" not in one["allowedVerbs"]:
            body = {"channel": "COMPLAINT_CHANNEL_PHONE", "note": "已电话致歉，客户说明了经过。"}
            one = self._desk.api.post(self._responsible(one), f"/v1/{one['name']}:recordContact", body)
            self._desk.diary.note("complaint steps: recordContact")
        if one["name"] not in self._paused and chance.happens("pause", _PAUSED):
            self._paused.add(one["name"])
            return self._do(self._manager(one), one, "pause", {"reason": "等待配件到货"})
        promised = self._desk.local().date() + timedelta(days=1)
        body = {
            "cause": chance.pick("cause", _CAUSES),
            "action": chance.pick("action", _ACTIONS),
            "promisedDate": promised.isoformat(),
        }
        return self._do(self._manager(one), one, "return", body)

    def _call_back(self, one: Json, chance: Chance) -> str:
        satisfied = chance.happens("satisfied", _SATISFIED)
        note = "客户表示认可处理结果。" if satisfied else "客户认为没有解决，要求重新处理。"
        who = "care-manager"
        if one["checker"]:
            who = "sales-manager"
        return self._do(who, one, "callBack", {"satisfied": satisfied, "note": note})

    def _sign(self, one: Json, _chance: Chance) -> str:
        return self._do("gm", one, "sign", {"comment": "同意结案。"})

    def _archive(self, one: Json, chance: Chance) -> str:
        if one["name"] not in self._reopened and chance.happens("again", _REOPENED):
            self._reopened.add(one["name"])
            return self._do("gm", one, "reopen", {"reason": "客户再次来电，问题仍然存在。"})
        return self._do("specialist", one, "archive", {"lesson": chance.pick("lesson", _LESSONS)})

    def _extend_in_time(self, one: Json) -> None:
        """The GM gives more time to what will not be done within the day, before it is too late (CMP-10)."""
        close = next((clock for clock in one["clocks"] if clock["kind"] == "COMPLAINT_CLOCK_KIND_CLOSE"), None)
        now = self._desk.api.now()
        if close is None or close["state"] != "STATE_RUNNING" or "COMPLAINT_VERB_EXTEND" not in one["allowedVerbs"]:
            return
        chance = self._desk.store.chance.about("extension", one["vin"])
        begin = _instant(close["startTime"])
        if now - begin < _EXTENDED_AFTER or one["name"] in self._extended or not chance.happens("asked", 0.5):
            return
        self._extended.add(one["name"])
        due = (now + timedelta(days=3)).isoformat(timespec="seconds")
        self._do("gm", one, "extend", {"reason": "需要与厂家确认后答复", "dueTime": due})
        self._desk.diary.note("complaint steps: extend")

    def _do(self, job: str, one: Json, verb: str, body: Json) -> str:
        account = self._desk.account(job)
        after = self._desk.api.post(account, f"/v1/{one['name']}:{verb}", body | {"etag": one["etag"]})
        self._are_closed |= after["step"] == "COMPLAINT_STEP_ARCHIVE"
        self._are_open |= verb == "reopen"
        return verb

    def _manager(self, one: Json) -> str:
        managers = {"DEPARTMENT_AFTERSALES": "service-manager", "DEPARTMENT_CUSTOMER_CARE": "care-manager"}
        return managers.get(one["department"], "sales-manager")

    def _responsible(self, one: Json) -> str:
        return str(one["responsible"]).rsplit("/", 1)[-1]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
