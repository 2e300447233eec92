"""The clocks of complaints while time passes: each threshold once, at its moment (CMP-4, CMP-10, CMP-11)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from customer_care.complaints.policy import Link
from dealerloop.customer_care.events.v1 import events_pb2
from dealerloop.customer_care.v1 import complaints_pb2 as pb
from kit.db.scope import Scope
from kit.timers import TimerWorker
from tests.support.complaints import (
    CARE,
    CONTACT,
    GM,
    QUALITY,
    SALES,
    WAY,
    ComplaintDesk,
    at,
    clock_of,
    complaint_desk,
    id_of,
)
from tests.support.postgres import Cloner
from tests.support.statements import counted


@pytest.fixture
async def desk(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[ComplaintDesk]:
    """Ten in the morning."""
    async with complaint_desk(database_urls, tmp_path, at(10)) as one:
        yield one


def fired(one: pb.Complaint) -> list[tuple[str, int, int, str, datetime]]:
    """What was escalated: clock, round, percent, to whom, when it was due."""
    return [
        (
            pb.ComplaintClockKind.Name(it.clock).removeprefix("COMPLAINT_CLOCK_KIND_"),
            it.round,
            it.percent,
            it.target_role,
            it.due_time.ToDatetime(tzinfo=UTC),
        )
        for it in one.escalations
    ]


async def timers(desk: ComplaintDesk) -> dict[str, datetime]:
    rows = await desk.rows("select key, due_at from timer where kind = 'complaint.clock' order by key")
    return {row["key"].partition(":")[2]: row["due_at"] for row in rows}


async def test_cmp_4_an_opening_at_ten_at_night_is_not_late_at_midnight(desk: ComplaintDesk) -> None:
    desk.clock.set(at(22))
    opened = await desk.open_one()
    assert clock_of(opened, "CONTACT").due_time.ToDatetime(tzinfo=UTC) == at(11, day=1)

    await desk.fire_until(at(10, day=1))
    night = await desk.look(opened.name)
    await desk.fire_until(at(11, day=1))
    morning = await desk.look(opened.name)

    assert [it for it in fired(night) if it[0] == "CONTACT"] == []
    assert clock_of(night, "CONTACT").state == pb.ComplaintClock.STATE_RUNNING
    assert [it for it in fired(morning) if it[0] == "CONTACT"] == [
        ("CONTACT", 1, 75, CARE, at(10, 30, day=1)),
        ("CONTACT", 1, 100, CARE, at(11, day=1)),
    ]


async def test_cmp_11_in_a_month_that_nobody_acts_each_threshold_fires_once_at_its_time(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    assert await timers(desk) == {"CONTACT:1": at(11, 30), "RETURN:1": at(19), "CLOSE:1": at(4, day=1)}

    assert await desk.fire_until(at(10, day=30)) == 15

    after = await desk.look(opened.name)
    assert fired(after) == [
        ("CONTACT", 1, 75, CARE, at(11, 30)),
        ("CONTACT", 1, 100, CARE, at(12)),
        ("CONTACT", 1, 125, CARE, at(12, 30)),
        ("CONTACT", 1, 150, GM, at(13)),
        ("CONTACT", 1, 200, QUALITY, at(14)),
        ("RETURN", 1, 75, CARE, at(19)),
        ("RETURN", 1, 100, CARE, at(22)),
        ("RETURN", 1, 125, CARE, at(1, day=1)),
        ("CLOSE", 1, 75, CARE, at(4, day=1)),
        ("RETURN", 1, 150, GM, at(4, day=1)),
        ("CLOSE", 1, 100, CARE, at(10, day=1)),
        ("RETURN", 1, 200, QUALITY, at(10, day=1)),
        ("CLOSE", 1, 125, CARE, at(16, day=1)),
        ("CLOSE", 1, 150, GM, at(22, day=1)),
        ("CLOSE", 1, 200, QUALITY, at(10, day=2)),
    ]
    assert all(one.fire_time == one.due_time for one in after.escalations)
    told = await desk.told(events_pb2.ComplaintClockFired)
    assert [(one.clock, one.percent, one.target_role, one.due_time) for one in told] == [
        (one.clock, one.percent, one.target_role, one.due_time) for one in after.escalations
    ]
    assert await timers(desk) == {}
    assert {pb.ComplaintClock.State.Name(one.state) for one in after.clocks} == {"STATE_BREACHED"}


async def test_cmp_11_a_clock_stops_when_what_it_waits_for_is_done(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    await desk.walk(opened.name, 4)
    assert set(await timers(desk)) == {"RETURN:1", "CLOSE:1"}
    await desk.do("ReturnComplaint", opened.name, SALES)
    assert await timers(desk) == {"CALL_BACK:1": at(17, 30), "CLOSE:1": at(4, day=1)}
    await desk.do("CallBackComplaint", opened.name, CARE)
    await desk.do("SignComplaint", opened.name, GM)

    assert await desk.fire_until(at(10, day=30)) == 0
    assert fired(await desk.look(opened.name)) == []


async def test_cmp_11_paused_time_moves_the_thresholds_by_exactly_so_much(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    await desk.do("RecordComplaintContact", opened.name, SALES)
    await desk.fire_until(at(13))
    await desk.do("PauseComplaint", opened.name, GM)
    assert await timers(desk) == {}
    assert await desk.fire_until(at(8, 30, day=2)) == 0
    await desk.do("ResumeComplaint", opened.name, GM)

    # It stood still for 43 hours and a half.
    assert await timers(desk) == {"RETURN:1": at(14, 30, day=2), "CLOSE:1": at(23, 30, day=2)}
    await desk.fire_until(at(10, day=30))
    assert [it[3:] for it in fired(await desk.look(opened.name)) if it[:3] == ("CLOSE", 1, 100)] == [
        (CARE, at(5, 30, day=3))
    ]


async def test_cmp_10_an_extended_closing_warns_anew_and_progress_is_asked_for_again_and_again(
    desk: ComplaintDesk,
) -> None:
    opened = await desk.open_one()
    await desk.walk(opened.name, 4)
    await desk.fire_until(at(8, day=1))
    await desk.do("ExtendComplaint", opened.name, GM, due_time=at(10, day=10))
    await desk.fire_until(at(8, day=3))
    await desk.do("RecordComplaintContact", opened.name, SALES)
    await desk.fire_until(at(8, day=8))

    after = [it[:1] + it[2:] for it in fired(await desk.look(opened.name)) if it[0] in {"CLOSE", "PROGRESS"}]
    assert after == [
        ("CLOSE", 75, SALES, at(4, day=1)),
        ("PROGRESS", 75, SALES, at(14, day=5)),
        ("PROGRESS", 100, SALES, at(8, day=6)),
        ("PROGRESS", 125, CARE, at(2, day=7)),
        ("PROGRESS", 150, GM, at(20, day=7)),
        ("CLOSE", 75, SALES, at(22, day=7)),
    ]


async def test_each_round_has_a_return_clock_of_its_own(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    await desk.walk(opened.name, 5)
    await desk.do("CallBackComplaint", opened.name, CARE, satisfied=False)
    await desk.fire_until(at(22))

    assert [it for it in fired(await desk.look(opened.name)) if it[0] == "RETURN"] == [
        ("RETURN", 2, 75, SALES, at(19)),
        ("RETURN", 2, 100, SALES, at(22)),
    ]


async def test_care_07_a_raised_dissatisfaction_has_a_call_back_clock_that_fires_again(desk: ComplaintDesk) -> None:
    opened = await desk.open_one(level="COMPLAINT_LEVEL_DISSATISFACTION")
    await desk.fire_until(at(18))
    await desk.do("SetComplaintOpinion", opened.name, CARE, level="COMPLAINT_LEVEL_COMPLAINT")
    for verb, role in WAY[1:5]:
        await desk.do(verb, opened.name, role)
    await desk.fire_until(at(20))

    assert [it for it in fired(await desk.look(opened.name)) if it[0] == "CALL_BACK"] == [
        ("CALL_BACK", 1, 75, CARE, at(17, 30)),
        ("CALL_BACK", 1, 75, CARE, at(19, 30)),
        ("CALL_BACK", 1, 100, SALES, at(20)),
    ]


async def test_timers_that_were_due_while_nobody_worked_fire_in_their_order(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    desk.clock.set(at(10, day=9))

    while await desk.fire():
        pass

    after = await desk.look(opened.name)
    assert len(after.escalations) == 15
    assert [it[2] for it in fired(after) if it[0] == "CLOSE"] == [75, 100, 125, 150, 200]
    assert {it.fire_time.ToDatetime(tzinfo=UTC) for it in after.escalations} == {at(10, day=9)}


async def test_a_complaint_that_somebody_is_changing_is_looked_at_again_a_moment_later(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    desk.clock.set(at(11, 30))
    async with desk.database.transaction(Scope.system("test")) as session:
        await session.execute(text("select 1 from complaint for update"))
        assert await desk.fire() == 1

    assert fired(await desk.look(opened.name)) == []
    assert (await timers(desk))["CONTACT:1"] == at(11, 30) + timedelta(seconds=2)
    desk.clock.advance(timedelta(seconds=2))
    await desk.fire()
    [warning] = (await desk.look(opened.name)).escalations
    assert warning.due_time.ToDatetime(tzinfo=UTC) == at(11, 30)
    assert warning.fire_time.ToDatetime(tzinfo=UTC) == at(11, 30) + timedelta(seconds=2)


async def test_people_and_workers_at_once_neither_wait_for_ever_nor_lose_anything(desk: ComplaintDesk) -> None:
    opened = [await desk.open_one() for _ in range(6)]
    desk.clock.set(at(20))
    workers = [TimerWorker(desk.database, desk.clock, desk.service.timers, batch_size=4) for _ in range(3)]

    results = await asyncio.gather(
        *(desk.do("RecordComplaintContact", one.name, SALES) for one in opened for _ in range(3)),
        *(worker.fire_due() for worker in workers for _ in range(4)),
        *(desk.do("PauseComplaint", one.name, GM) for one in opened),
        *(worker.fire_due() for worker in workers for _ in range(4)),
        return_exceptions=True,
    )

    assert [one for one in results if isinstance(one, BaseException)] == []
    for one in opened:
        after = await desk.look(one.name)
        assert len(after.actions) == 5
        assert len(fired(after)) == len(set(fired(after)))
        assert after.paused
    assert await desk.rows("select 1 from timer where attempts > 0") == []


async def test_a_batch_costs_the_same_number_of_statements_however_large_it_is(desk: ComplaintDesk) -> None:
    await desk.open_one()
    await desk.fire_until(at(11, 59))
    desk.clock.set(at(12))
    with counted(desk.database) as few:
        assert await desk.fire() == 1
    for _ in range(30):
        await desk.open_one()
    await desk.fire_until(at(13, 29))
    desk.clock.set(at(13, 30))
    with counted(desk.database) as many:
        assert await desk.fire() == 30

    # Which kinds are due, the timers, complaints, stores, who works there, clocks, what was passed, events, the
    # next timers.
    assert len(few) == len(many)
    assert len([one for one in many if one != "SELECT 1"]) == 9


async def test_cmp_11_figures_and_chain_are_settings(database_urls: Cloner, tmp_path: Path) -> None:
    figures = {
        "complaint_close_minutes": 600,
        "complaint_opening_hours": frozenset({"CLOSE"}),
        "complaint_warn_percent": 50,
        "complaint_chain": ((100, Link.GENERAL_MANAGER),),
    }
    async with complaint_desk(database_urls, tmp_path, at(14), **figures) as desk:
        opened = await desk.open_one()
        await desk.do("RecordComplaintContact", opened.name, CARE, note=CONTACT.note)
        await desk.fire_until(at(10, day=30))

        assert [it for it in fired(await desk.look(opened.name)) if it[0] == "CLOSE"] == [
            ("CLOSE", 1, 50, CARE, at(19)),
            ("CLOSE", 1, 100, GM, at(12, 30, day=1)),
        ]


async def test_a_timer_of_a_complaint_is_told_by_ids_only(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    rows = await desk.rows("select key, payload::text from timer where kind = 'complaint.clock'")

    assert {row["key"] for row in rows} == {f"{id_of(opened)}:{kind}:1" for kind in ("CONTACT", "RETURN", "CLOSE")}
    assert {row["payload"] for row in rows} == {"{}"}
