"""The closed loop through the public API: from the customer's marks to the archived form (CARE-07, CMP-1 … CMP-13)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from tests.support.loop import Group, Json

pytestmark = pytest.mark.xdist_group("stack")

LATE = {"q.SSI.OVERALL": "5", "q.SSI.DLV.ON_TIME": "2", "q.SSI.DLV.DURATION": "2", "q.SSI.DLV.CARE": "3"}


class Case:
    """One complaint, and what the people of its store do with it."""

    def __init__(self, group: Group, name: str) -> None:
        self.group = group
        self.name = name

    def seen(self, role: str = "care_manager") -> Json:
        return self.group.must(self.group.people[role].get(f"/v1/{self.name}"))

    def does(self, role: str, verb: str, **body: Any) -> httpx.Response:
        return self.group.people[role].post(f"/v1/{self.name}:{verb}", json=body)

    def done(self, role: str, verb: str, **body: Any) -> Json:
        return self.group.must(self.does(role, verb, **body))

    def opinion(self, role: str = "care_manager") -> httpx.Response:
        body = {"opinion": "交车流程需要整改", "severity": "COMPLAINT_SEVERITY_HIGH", "department": "DEPARTMENT_SALES"}
        return self.does(role, "setOpinion", **body)

    def dispatched(self) -> Json:
        return self.done("sales_manager", "dispatch", responsible=self.group.consultant(), note="请今天联系客户")

    def returned(self, role: str = "sales_manager") -> httpx.Response:
        day = date.today() + timedelta(days=3)  # noqa: DTZ011 - a later day in every time zone
        return self.does(role, "return", cause="PDI 排期过满", action="重新安排", promisedDate=day.isoformat())

    def contacted(self, **changes: Any) -> Json:
        body = {"channel": "COMPLAINT_CHANNEL_PHONE", "note": "向客户致歉并说明原因"} | changes
        return self.done("sales_consultant", "recordContact", **body)


def complained(group: Group, answers: dict[str, str]) -> tuple[Json, str]:
    """A delivery whose customer has answered by the link; its survey, and the page that he saw last."""
    delivery = group.deliver()
    group.stack.wait_for("the survey", lambda: len(group.surveys(delivery)) == 1)
    [survey] = group.surveys(delivery)
    page = httpx.post(group.stack.url + survey["publicPath"], params={"lang": "zh-CN"}, data=answers)
    assert page.status_code == 200, page.text
    [answered] = group.surveys(delivery)
    return answered, page.text


def refused(answer: httpx.Response, status: int, reason: str) -> Json:
    """The facts that came with the refusal."""
    body: Json = answer.json()
    assert (answer.status_code, body["reason"]) == (status, reason), answer.text
    facts: Json = body.get("metadata", {})
    return facts


def test_low_marks_walk_the_whole_loop_twice_and_end_in_the_archive(group: Group, elsewhere: Group) -> None:
    survey, page = complained(group, LATE)
    assert "感谢您的反馈" in page
    case = Case(group, survey["complaint"])

    opened = case.seen()
    assert opened["survey"] == survey["name"]
    assert opened["delivery"] == survey["delivery"]
    assert (opened["level"], opened["step"]) == ("COMPLAINT_LEVEL_GRIEVANCE", "COMPLAINT_STEP_OPINION")
    assert (opened["kind"], opened["department"]) == ("COMPLAINT_KIND_DELIVERY", "DEPARTMENT_SALES")
    assert opened["actions"][0]["actor"] == "system"
    assert "2/7" in opened["description"]
    assert "王小明" not in str(opened)

    steps = refused(case.does("sales_manager", "dispatch", responsible=group.consultant()), 409, "COMPLAINT_WRONG_STEP")
    assert steps["allowedVerbs"].split(",") == ["SET_OPINION", "RECORD_CONTACT", "EXTEND", "PAUSE"]
    refused(case.opinion("care_specialist"), 403, "ACCESS_DENIED")
    group.must(case.opinion())
    refused(case.opinion(), 409, "COMPLAINT_WRONG_STEP")
    refused(case.does("care_manager", "review", accepted=True), 403, "ACCESS_DENIED")
    case.done("general_manager", "review", accepted=True)
    case.dispatched()

    steps = refused(case.returned(), 409, "COMPLAINT_CUSTOMER_NOT_CONTACTED")
    assert "RECORD_CONTACT" in steps["allowedVerbs"]
    assert case.contacted()["contactTime"]
    returned = group.must(case.returned())
    assert returned["rounds"][0]["responsible"] == group.consultant()

    again = case.done("care_manager", "callBack", satisfied=False, note="客户仍不满意")
    assert (again["step"], len(again["rounds"])) == ("COMPLAINT_STEP_DISPATCH", 2)
    refused(case.does("general_manager", "sign"), 409, "COMPLAINT_WRONG_STEP")
    case.dispatched()
    group.must(case.returned())
    satisfied = case.done("care_manager", "callBack", satisfied=True, note="客户满意")
    assert satisfied["step"] == "COMPLAINT_STEP_SIGN"

    refused(case.does("care_specialist", "archive", lesson="太早"), 409, "COMPLAINT_WRONG_STEP")
    closed = case.done("general_manager", "sign", comment="同意")
    assert closed["closeTime"]
    refused(
        case.does("sales_consultant", "recordContact", channel="COMPLAINT_CHANNEL_PHONE", note="晚了"),
        409,
        "COMPLAINT_WRONG_STEP",
    )
    case.done("care_specialist", "archive", lesson="交车前一天确认 PDI 排期")

    archived = case.seen("general_manager")
    assert archived["step"] == "COMPLAINT_STEP_ARCHIVED"
    assert archived["allowedVerbs"] == ["COMPLAINT_VERB_REOPEN"]
    assert [action["verb"].removeprefix("COMPLAINT_VERB_") for action in archived["actions"]] == [
        *("OPEN", "SET_OPINION", "REVIEW", "DISPATCH", "RECORD_CONTACT", "RETURN", "CALL_BACK"),
        *("DISPATCH", "RETURN", "CALL_BACK", "SIGN", "ARCHIVE"),
    ]
    assert [one["satisfied"] for one in archived["rounds"]] == [False, True]
    assert {clock["state"] for clock in archived["clocks"]} <= {"STATE_MET", "STATE_STOPPED"}

    stranger = elsewhere.people["general_manager"]
    assert stranger.get(f"/v1/{case.name}").status_code == 403
    there = case.name.replace(group.store, elsewhere.store)
    assert stranger.get(f"/v1/{there}").status_code == 404
    assert group.people["general_manager"].get(f"/v1/{there}").status_code == 403


def test_who_acts_on_an_old_view_is_told_so_and_loses_nothing(group: Group) -> None:
    survey, _ = complained(group, {"q.SSI.OVERALL": "1"})
    case = Case(group, survey["complaint"])
    etag = case.seen()["etag"]

    case.contacted(etag=etag)

    assert case.does("care_manager", "pause", reason="等待配件", etag=etag).status_code in {409, 412}
    assert [action["verb"] for action in case.seen()["actions"]] == [
        "COMPLAINT_VERB_OPEN",
        "COMPLAINT_VERB_RECORD_CONTACT",
    ]


def test_who_ticks_that_he_complains_is_told_that_he_will_be_called(group: Group) -> None:
    survey, page = complained(group, {"q.SSI.OVERALL": "7", "q.SSI.COMPLAIN": "1"})

    assert "营业时间 2 小时内" in page
    assert Case(group, survey["complaint"]).seen()["level"] == "COMPLAINT_LEVEL_COMPLAINT"


def test_one_low_mark_ends_with_the_call_back_by_customer_care(group: Group) -> None:
    survey, page = complained(group, {"q.SSI.OVERALL": "6", "q.SSI.FAC.PARKING": "1"})
    case = Case(group, survey["complaint"])
    assert "2 小时" not in page
    assert case.seen()["step"] == "COMPLAINT_STEP_CALL_BACK"

    closed = case.done("care_manager", "callBack", satisfied=True, note="已说明停车位改造")

    assert closed["closeTime"]


def test_a_satisfied_customer_has_no_complaint(group: Group) -> None:
    survey, _ = complained(group, {"q.SSI.OVERALL": "6", "q.SSI.NPS": "9"})

    assert survey.get("complaint", "") == ""
    query = {"delivery": survey["delivery"]}
    found = group.must(group.people["care_manager"].get(f"/v1/{group.store}/complaints", params=query))
    assert found["complaints"] == []
