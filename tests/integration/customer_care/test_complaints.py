"""The closed loop through gRPC, with the tokens of the people who act in it (CMP-1 … CMP-13)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dealerloop.customer_care.events.v1 import events_pb2
from dealerloop.customer_care.v1 import complaints_pb2 as pb
from kit.errors import Conflict, InvalidArgument, PermissionDenied, StaleEtag
from tests.support.complaints import (
    CARE,
    CONSULTANT,
    FINANCE,
    GM,
    SALES,
    SPECIALIST,
    WAY,
    WORKSHOP,
    ComplaintDesk,
    clock_of,
    complaint_desk,
    id_of,
    verbs_of,
)
from tests.support.deliveries import NOW, STORE, vin_of
from tests.support.postgres import Cloner


@pytest.fixture
async def desk(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[ComplaintDesk]:
    """Noon in the store."""
    async with complaint_desk(database_urls, tmp_path) as one:
        yield one


def instant(stamp: object) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)  # type: ignore[attr-defined, no-any-return]  # a Timestamp


async def test_cmp_1_to_8_a_complaint_walks_the_whole_loop(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    steps = [opened.step]
    for verb, role in WAY:
        desk.clock.advance(timedelta(minutes=5))
        steps.append((await desk.do(verb, opened.name, role)).step)
    last = await desk.look(opened.name)

    assert [pb.ComplaintStep.Name(step).removeprefix("COMPLAINT_STEP_") for step in steps] == [
        *("OPINION", "REVIEW", "DISPATCH", "RETURN", "RETURN", "CALL_BACK", "SIGN", "ARCHIVE", "ARCHIVED")
    ]
    assert last.level == pb.COMPLAINT_LEVEL_COMPLAINT
    assert (last.opinion, last.lesson) == ("是我们的错", "提前一天安排交车")
    assert last.responsible == f"stores/{STORE}/staff/li-lei"
    [one] = last.rounds
    assert (one.cause, one.action, one.promised_date, one.satisfied) == ("车晚到了", "道歉", "2026-12-31", True)
    assert last.etag == '"9"'
    assert verbs_of(last) == ["REOPEN"]


async def test_cmp_12_every_step_keeps_who_when_and_what(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    done = await desk.walk(opened.name)

    told = [(pb.ComplaintVerb.Name(one.verb).removeprefix("COMPLAINT_VERB_"), one.actor) for one in done.actions]
    assert told == [
        ("OPEN", "staff/sun-care"),
        ("SET_OPINION", "staff/zhao-care"),
        ("REVIEW", "staff/wang-gm"),
        ("DISPATCH", "staff/qian-sales"),
        ("RECORD_CONTACT", "staff/qian-sales"),
        ("RETURN", "staff/qian-sales"),
        ("CALL_BACK", "staff/zhao-care"),
        ("SIGN", "staff/wang-gm"),
        ("ARCHIVE", "staff/sun-care"),
    ]
    assert done.actions[0].from_step == pb.COMPLAINT_STEP_UNSPECIFIED
    assert dict(done.actions[1].changes) == {
        "severity": "COMPLAINT_SEVERITY_MEDIUM",
        "department": "DEPARTMENT_SALES",
    }
    assert dict(done.actions[3].changes) == {"responsible": f"stores/{STORE}/staff/li-lei"}
    assert [one.note for one in done.actions[4:7]] == ["打过电话了", "车晚到了\n\n道歉", "满意"]


async def test_the_others_hear_of_every_step_and_of_no_word(desk: ComplaintDesk) -> None:
    opened = await desk.open_one(vin=vin_of(1))
    await desk.walk(opened.name)

    [first] = await desk.told(events_pb2.ComplaintOpened)
    assert (first.complaint_id, first.version, first.vin) == (str(id_of(opened)), 1, vin_of(1))
    moved = await desk.told(events_pb2.ComplaintMoved)
    assert [one.version for one in moved] == list(range(2, 10))
    assert [one.verb for one in moved][-2:] == [pb.COMPLAINT_VERB_SIGN, pb.COMPLAINT_VERB_ARCHIVE]
    [closed] = await desk.told(events_pb2.ComplaintClosed)
    assert (closed.within_limit, closed.rounds, closed.version) == (True, 1, 8)
    rows = await desk.rows("select key, payload from outbox where subject like 'customer_care.v1.complaint.%'")
    assert {row["key"] for row in rows} == {str(id_of(opened))}
    assert not any("车".encode() in row["payload"] for row in rows)


async def test_cmp_13_a_wrong_step_is_refused_with_the_verbs_that_are_accepted(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()

    with pytest.raises(Conflict) as caught:
        await desk.do("SignComplaint", opened.name, GM)
    assert caught.value.reason == "COMPLAINT_WRONG_STEP"
    assert caught.value.metadata == {"step": "OPINION", "allowed_verbs": "SET_OPINION,RECORD_CONTACT,EXTEND,PAUSE"}
    assert verbs_of(opened) == caught.value.metadata["allowed_verbs"].split(",")


async def test_cmp_5_the_department_returns_only_after_somebody_spoke_with_the_customer(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    sent = await desk.walk(opened.name, 3)
    assert "RETURN" not in verbs_of(sent)

    with pytest.raises(Conflict) as caught:
        await desk.do("ReturnComplaint", opened.name, SALES)
    assert caught.value.reason == "COMPLAINT_CUSTOMER_NOT_CONTACTED"

    # Through any channel, by whoever spoke with him.
    await desk.do("RecordComplaintContact", opened.name, CONSULTANT, channel="COMPLAINT_CHANNEL_VISIT")
    assert (await desk.do("ReturnComplaint", opened.name, SALES)).step == pb.COMPLAINT_STEP_CALL_BACK


async def test_only_the_manager_of_the_responsible_department_or_the_gm_acts_for_it(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    await desk.do("SetComplaintOpinion", opened.name, CARE, department="DEPARTMENT_AFTERSALES")
    await desk.do("ReviewComplaint", opened.name, GM)

    for role in (SALES, FINANCE, CARE):
        with pytest.raises(PermissionDenied) as caught:
            await desk.do("DispatchComplaint", opened.name, role)
        assert caught.value.reason == "COMPLAINT_NOT_YOURS"
        assert caught.value.metadata == {"roles": "ROLE_AFTERSALES_MANAGER, ROLE_GENERAL_MANAGER"}
    await desk.do("DispatchComplaint", opened.name, WORKSHOP)
    await desk.do("RecordComplaintContact", opened.name, WORKSHOP)
    assert (await desk.do("ReturnComplaint", opened.name, GM)).step == pb.COMPLAINT_STEP_CALL_BACK


async def test_a_role_counts_in_the_store_in_which_it_is_held(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    await desk.walk(opened.name, 2)

    with pytest.raises(PermissionDenied) as caught:
        await desk.do("DispatchComplaint", opened.name, "", token=desk.as_both(WORKSHOP, SALES))
    assert caught.value.reason == "COMPLAINT_NOT_YOURS"
    token = desk.as_both(SALES, WORKSHOP)
    assert (await desk.do("DispatchComplaint", opened.name, "", token=token)).step == pb.COMPLAINT_STEP_RETURN


async def test_a_department_without_a_manager_is_answered_by_the_gm(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    await desk.do("SetComplaintOpinion", opened.name, CARE, department="DEPARTMENT_INSURANCE")
    await desk.do("ReviewComplaint", opened.name, GM)

    with pytest.raises(PermissionDenied):
        await desk.do("DispatchComplaint", opened.name, SALES)
    assert (await desk.do("DispatchComplaint", opened.name, GM)).step == pb.COMPLAINT_STEP_RETURN


async def test_cmp_11_when_customer_care_is_the_cause_another_checker_calls_back(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    await desk.do("SetComplaintOpinion", opened.name, CARE, department="DEPARTMENT_CUSTOMER_CARE")
    checker = f"stores/{STORE}/staff/qian-sales"

    for given, rule in (("", "CHECKER_REQUIRED"), (f"stores/{STORE}/staff/zhao-care", "CHECKER_NOT_ANOTHER")):
        with pytest.raises(InvalidArgument) as refused:
            await desk.do("ReviewComplaint", opened.name, GM, checker=given)
        assert (refused.value.violations[0].field, refused.value.violations[0].rule) == ("checker", rule)
    reviewed = await desk.do("ReviewComplaint", opened.name, GM, checker=checker)
    assert reviewed.checker == checker
    await desk.do("DispatchComplaint", opened.name, CARE)
    await desk.do("RecordComplaintContact", opened.name, CARE)
    await desk.do("ReturnComplaint", opened.name, CARE)

    for role in (CARE, WORKSHOP):
        with pytest.raises(PermissionDenied) as caught:
            await desk.do("CallBackComplaint", opened.name, role)
        assert caught.value.metadata == {"staff": "qian-sales", "roles": "ROLE_GENERAL_MANAGER"}
    assert (await desk.do("CallBackComplaint", opened.name, SALES)).step == pb.COMPLAINT_STEP_SIGN


async def test_cmp_6_a_customer_who_is_not_satisfied_begins_a_new_round(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    await desk.walk(opened.name, 5)
    desk.clock.advance(timedelta(hours=3))

    again = await desk.do("CallBackComplaint", opened.name, CARE, satisfied=False)

    assert again.step == pb.COMPLAINT_STEP_DISPATCH
    assert [one.number for one in again.rounds] == [1, 2]
    assert (again.rounds[0].satisfied, again.rounds[1].HasField("satisfied")) == (False, False)
    assert instant(clock_of(again, "RETURN").due_time) == desk.clock.now() + timedelta(hours=12)
    assert instant(clock_of(again, "CLOSE").due_time) == NOW + timedelta(hours=24)
    assert clock_of(again, "CALL_BACK").state == pb.ComplaintClock.STATE_MET


async def test_care_07_a_dissatisfaction_closes_with_the_call_back_of_the_care_manager(desk: ComplaintDesk) -> None:
    opened = await desk.open_one(level="COMPLAINT_LEVEL_DISSATISFACTION")
    assert opened.step == pb.COMPLAINT_STEP_CALL_BACK
    with pytest.raises(PermissionDenied) as caught:
        await desk.do("CallBackComplaint", opened.name, SPECIALIST)
    assert caught.value.metadata == {"roles": "ROLE_CARE_MANAGER"}

    done = await desk.do("CallBackComplaint", opened.name, CARE)

    assert done.step == pb.COMPLAINT_STEP_ARCHIVE
    assert instant(done.close_time) == instant(done.contact_time) == NOW
    assert len(await desk.told(events_pb2.ComplaintClosed)) == 1


async def test_care_07_a_dissatisfaction_that_is_not_settled_becomes_a_grievance(desk: ComplaintDesk) -> None:
    opened = await desk.open_one(level="COMPLAINT_LEVEL_DISSATISFACTION")
    raised = await desk.do("CallBackComplaint", opened.name, CARE, satisfied=False)

    assert (raised.level, raised.step) == (pb.COMPLAINT_LEVEL_GRIEVANCE, pb.COMPLAINT_STEP_OPINION)
    assert len(raised.rounds) == 2
    assert (await desk.walk(opened.name)).step == pb.COMPLAINT_STEP_ARCHIVED


async def test_cmp_12_a_closed_form_is_not_edited_only_opened_again(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    await desk.walk(opened.name)
    for verb, role in (("RecordComplaintContact", CONSULTANT), ("PauseComplaint", GM), ("SignComplaint", GM)):
        with pytest.raises(Conflict) as caught:
            await desk.do(verb, opened.name, role)
        assert caught.value.metadata["allowed_verbs"] == "REOPEN"
    desk.clock.advance(timedelta(days=2))

    again = await desk.do("ReopenComplaint", opened.name, CARE)

    assert again.step == pb.COMPLAINT_STEP_DISPATCH
    assert (again.department, len(again.rounds)) == (pb.DEPARTMENT_SALES, 2)
    assert not again.HasField("close_time")
    assert instant(again.open_time) == NOW
    assert instant(clock_of(again, "CLOSE").due_time) == desk.clock.now() + timedelta(hours=24)
    assert clock_of(again, "CONTACT").state == pb.ComplaintClock.STATE_RUNNING
    assert (await desk.do("DispatchComplaint", opened.name, SALES)).step == pb.COMPLAINT_STEP_RETURN


async def test_cmp_12_complaints_about_one_vehicle_within_thirty_days_know_each_other(desk: ComplaintDesk) -> None:
    first = await desk.open_one(vin=vin_of(1))
    stranger = await desk.open_one(vin=vin_of(2))
    desk.clock.advance(timedelta(days=20))
    second = await desk.open_one(vin=vin_of(1).lower())
    desk.clock.advance(timedelta(days=11))
    third = await desk.open_one(vin=vin_of(1))

    assert list(second.repeat_complaints) == [first.name]
    assert list(third.repeat_complaints) == [second.name]
    assert list((await desk.look(first.name)).repeat_complaints) == [second.name]
    assert list((await desk.look(second.name)).repeat_complaints) == [first.name, third.name]
    assert not (await desk.look(stranger.name)).repeat_complaints
    assert second.vin == vin_of(1)


@pytest.mark.parametrize("people", [2, 8])
async def test_cmp_13_of_people_who_sign_at_once_one_signs(desk: ComplaintDesk, people: int) -> None:
    opened = await desk.open_one()
    await desk.walk(opened.name, 6)

    results = await asyncio.gather(
        *(desk.do("SignComplaint", opened.name, GM, staff=f"gm-{number}") for number in range(people)),
        return_exceptions=True,
    )

    done = [one for one in results if isinstance(one, pb.Complaint)]
    refused = [one for one in results if isinstance(one, Conflict)]
    assert (len(done), len(refused)) == (1, people - 1)
    assert {one.reason for one in refused} == {"COMPLAINT_WRONG_STEP"}
    assert [one.verb for one in (await desk.look(opened.name)).actions].count(pb.COMPLAINT_VERB_SIGN) == 1
    assert len(await desk.told(events_pb2.ComplaintClosed)) == 1


async def test_cmp_13_of_people_with_the_same_view_one_acts_and_the_others_look_again(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    seen = await desk.walk(opened.name, 6)

    results = await asyncio.gather(
        *(desk.do("SignComplaint", opened.name, GM, etag=seen.etag) for _ in range(8)), return_exceptions=True
    )

    assert sum(isinstance(one, StaleEtag) for one in results) == 7
    assert sum(isinstance(one, pb.Complaint) for one in results) == 1


async def test_cmp_13_contacts_that_are_recorded_at_once_are_all_kept(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()

    await asyncio.gather(
        *(desk.do("RecordComplaintContact", opened.name, CONSULTANT, note=f"第{number}次") for number in range(8))
    )

    after = await desk.look(opened.name)
    assert {one.note for one in after.actions[1:]} == {f"第{number}次" for number in range(8)}
    assert after.etag == '"9"'


async def test_a_repeated_call_is_answered_as_the_first_time(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    first = await desk.do("SetComplaintOpinion", opened.name, CARE, request_id="once")
    again = await desk.do("SetComplaintOpinion", opened.name, CARE, request_id="once")

    assert first == again
    assert len(again.actions) == 2


async def test_cmp_10_the_gm_extends_and_the_customer_hears_every_three_days(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    with pytest.raises(InvalidArgument) as caught:
        await desk.do("ExtendComplaint", opened.name, GM, due_time=NOW + timedelta(hours=24))
    assert (caught.value.violations[0].field, caught.value.violations[0].rule) == ("due_time", "DUE_TIME_TOO_EARLY")
    with pytest.raises(PermissionDenied):
        await desk.do("ExtendComplaint", opened.name, SALES, due_time=NOW + timedelta(days=5))

    longer = await desk.do("ExtendComplaint", opened.name, GM, due_time=NOW + timedelta(days=5))
    desk.clock.advance(timedelta(hours=30))
    told = await desk.do("RecordComplaintContact", opened.name, SALES)

    assert instant(clock_of(longer, "CLOSE").due_time) == NOW + timedelta(days=5)
    assert instant(clock_of(longer, "CLOSE").start_time) == NOW
    assert instant(clock_of(longer, "PROGRESS").due_time) == NOW + timedelta(days=3)
    assert instant(clock_of(told, "PROGRESS").due_time) == desk.clock.now() + timedelta(days=3)


async def test_cmp_11_a_pause_over_midnight_is_kept_as_time_that_passed(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    desk.clock.set(NOW + timedelta(hours=10))
    stopped = await desk.do("PauseComplaint", opened.name, CARE)
    assert (stopped.paused, stopped.pause_reason) == (True, "等配件")
    assert verbs_of(stopped) == ["RECORD_CONTACT", "EXTEND", "RESUME"]
    desk.clock.advance(timedelta(hours=4))
    seen = await desk.look(opened.name)
    desk.clock.advance(timedelta(hours=4))
    running = await desk.do("ResumeComplaint", opened.name, CARE)

    close = clock_of(seen, "CLOSE")
    assert (close.state, close.paused_seconds) == (pb.ComplaintClock.STATE_PAUSED, 4 * 3600)
    assert instant(close.due_time) == NOW + timedelta(hours=28)
    close = clock_of(running, "CLOSE")
    assert (close.state, close.paused_seconds) == (pb.ComplaintClock.STATE_RUNNING, 8 * 3600)
    assert (instant(close.start_time), instant(close.due_time)) == (NOW, NOW + timedelta(hours=32))
    assert clock_of(running, "CONTACT").state == pb.ComplaintClock.STATE_BREACHED
    assert (running.paused, running.pause_reason) == (False, "")
