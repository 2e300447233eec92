"""A month is closed once, by people, and what was fixed never changes (SCR-08)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from dealerloop.scoring.events.v1.events_pb2 import GradeClosed, MonthClosed
from dealerloop.scoring.v1.grades_pb2 import Grade
from dealerloop.scoring.v1.months_pb2 import ListGradeChangesRequest, ListGradeChangesResponse, Month
from kit.db.paging import encode_token, query_hash
from kit.errors import DomainError, InvalidArgument, NotFound, PermissionDenied, StaleEtag
from tests.support.grade_desk import (
    ANGELES,
    BEIJING,
    DELHI,
    MANAGER,
    MID_OCTOBER,
    NOVEMBER,
    OCTOBER,
    OCTOBER_ENDS,
    QUALITY,
    REGIONAL,
    REPORTING,
    GradeDesk,
    ids,
)
from tests.support.scoring import a_delivery, a_response

GREETED = "SSI.INIT.GREETED"


def october(number: int, mark: int = 7, *, store_id: str = BEIJING, version: int = 1, consultant: str = "li.wei"):  # type: ignore[no-untyped-def]
    return a_response(
        number, {GREETED: mark}, store_id=store_id, version=version, submit_time=MID_OCTOBER, consultant=consultant
    )


async def refused(call: object) -> DomainError:
    with pytest.raises(DomainError) as caught:
        await call  # type: ignore[misc]
    return caught.value


def points(grade: Grade) -> float | None:
    index = grade.models[0].index
    return index.mean if index.HasField("mean") else None


async def test_a_month_is_open_until_somebody_closes_it(desk: GradeDesk) -> None:
    await desk.hears(october(1))

    month = await desk.month()
    grade = await desk.grade()

    assert month.state == Month.STATE_OPEN
    assert month.end_time.ToDatetime(tzinfo=UTC) == OCTOBER_ENDS
    assert not month.revisions
    assert (grade.state, grade.revision, grade.late_changes) == (Grade.STATE_LIVE, 0, 0)


async def test_closing_fixes_every_store_with_a_delivery_or_an_answer(desk: GradeDesk) -> None:
    await desk.hears(october(1, 7), october(2, 1), october(3, 4, store_id=DELHI))
    await desk.delivered(a_delivery(1, day="2026-10-12"), a_delivery(9, day="2026-10-12"))
    live = await desk.grade()

    month = await desk.close()

    (revision,) = month.revisions
    assert month.state == Month.STATE_CLOSED
    assert (revision.name, revision.creator) == ("months/2026-10/revisions/1", "staff/tester")
    assert (revision.stores, revision.responses, revision.changed_stores) == (2, 3, 2)
    grade = await desk.grade()
    assert (grade.state, grade.revision, grade.late_changes) == (Grade.STATE_CLOSED, 1, 0)
    assert (grade.sample_frame, grade.answered, grade.response_rate) == (2, 1, 0.5)
    assert grade.models == live.models
    assert points(grade) == 50
    empty = await desk.grade(ANGELES)
    assert (empty.state, empty.revision, empty.sample_frame) == (Grade.STATE_CLOSED, 1, 0)
    assert empty.models[0].index.n == 0


async def test_a_store_with_deliveries_and_no_answer_has_a_grade_too(desk: GradeDesk) -> None:
    await desk.delivered(a_delivery(1, day="2026-10-12", store_id=DELHI))

    month = await desk.close()

    assert (month.revisions[0].stores, month.revisions[0].responses) == (1, 0)
    grade = await desk.closed_grade(DELHI, OCTOBER, 1)
    assert (grade.sample_frame, grade.answered, grade.models[0].index.n) == (1, 0, 0)
    assert (await refused(desk.closed_grade(BEIJING, OCTOBER, 1))).reason == "REVISION_NOT_FOUND"


async def test_a_month_without_anything_can_be_closed(desk: GradeDesk) -> None:
    month = await desk.close("2026-09")

    assert (month.revisions[0].stores, month.revisions[0].responses) == (0, 0)


async def test_a_month_is_not_closed_before_it_has_ended_in_the_last_store(desk: GradeDesk) -> None:
    """Beijing is sixteen hours into November when October ends in Los Angeles."""
    desk.clock.advance(timedelta(seconds=-1))

    error = await refused(desk.close())

    assert error.reason == "MONTH_NOT_OVER"
    assert error.kind.http_status == 409
    assert error.metadata["end_time"] == OCTOBER_ENDS.isoformat()
    assert (await refused(desk.close("2031-01"))).reason == "MONTH_NOT_OVER"
    desk.clock.advance(timedelta(seconds=1))
    assert (await desk.close()).state == Month.STATE_CLOSED


@pytest.mark.parametrize("name", ["months/2026-13", "months/1999-10", "months/2026-1", "months/october", "months/"])
async def test_what_is_no_month_is_refused(desk: GradeDesk, name: str) -> None:
    with pytest.raises(InvalidArgument):
        await desk.close(name.removeprefix("months/"))


async def test_a_month_before_every_satisfaction_model_is_refused(desk: GradeDesk) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await desk.close("2019-11")

    (violation,) = caught.value.violations
    assert (violation.field, violation.rule) == ("name", "MONTH_TOO_EARLY")


async def test_a_repetition_gets_the_same_answer_and_another_call_a_conflict(desk: GradeDesk) -> None:
    await desk.hears(october(1))

    first = await desk.close(key="once")
    again = await desk.close(key="once")
    error = await refused(desk.close(key="another"))

    assert again == first
    assert (error.reason, error.kind.http_status) == ("MONTH_CLOSED", 409)
    assert len(await desk.told(MonthClosed)) == 1


async def test_of_many_who_close_at_once_one_makes_the_revision(desk: GradeDesk) -> None:
    await desk.hears(*(october(number) for number in range(20)))

    answers = await asyncio.gather(*(desk.close() for _ in range(6)), return_exceptions=True)

    assert sum(isinstance(one, Month) for one in answers) == 1
    assert {one.reason for one in answers if isinstance(one, DomainError)} == {"MONTH_CLOSED"}
    assert [one.name for one in (await desk.month()).revisions] == ["months/2026-10/revisions/1"]


async def test_the_same_key_at_once_gets_the_same_answer(desk: GradeDesk) -> None:
    first, second = await asyncio.gather(desk.close(key="both"), desk.close(key="both"))

    assert first == second


async def test_a_late_answer_waits_for_a_re_opening(desk: GradeDesk) -> None:
    await desk.hears(october(1, 7), october(2, 7))
    await desk.close()

    await desk.hears(october(3, 1), october(3, 1))
    await desk.hears(october(2, 4, version=2))

    grade = await desk.grade()
    assert (points(grade), grade.revision, grade.late_changes) == (100, 1, 2)
    assert (await desk.month()).late_changes == 2
    month = await desk.reopen(reason="two letters came by post")
    assert (month.late_changes, [one.reason for one in month.revisions]) == (0, ["two letters came by post", ""])
    assert [(one.stores, one.responses, one.changed_stores) for one in month.revisions] == [(1, 3, 1), (1, 2, 1)]
    grade = await desk.grade()
    assert (points(grade), grade.revision, grade.late_changes) == (50, 2, 0)
    first = await desk.closed_grade(BEIJING, OCTOBER, 1)
    assert (points(first), first.revision, first.late_changes) == (100, 1, 2)


async def test_a_re_opening_lists_what_it_changed(desk: GradeDesk) -> None:
    await desk.hears(*(october(number, 7) for number in range(1, 5)), october(9, 4, store_id=DELHI))
    await desk.close()
    november = a_response(1, {GREETED: 7}, version=2, submit_time=datetime(2026, 11, 2, tzinfo=UTC))

    await desk.hears(october(5, 1), october(2, 4, version=2), november)
    await desk.exclude(3)
    await desk.reopen()

    (change,) = await desk.changes(OCTOBER, 2)
    assert change.store == f"stores/{BEIJING}"
    assert list(change.added_responses) == ids([5])
    assert list(change.removed_responses) == ids([1, 3])
    assert list(change.changed_responses) == ids([2])
    assert (change.before.n, change.before.mean) == (4, 100)
    assert (change.after.n, change.after.mean) == (3, 50)
    assert [one.response_id for one in await desk.counted(BEIJING, OCTOBER, 2)] == ids([2, 4, 5])
    assert await desk.differences() == []


async def test_a_store_that_did_not_change_keeps_its_older_grade(desk: GradeDesk) -> None:
    await desk.hears(october(1, 7), october(2, 4, store_id=DELHI))
    await desk.close()

    await desk.hears(october(3, 1))
    await desk.reopen()

    assert await desk.rows("select distinct store_id from counted_response where revision = 2") == [
        {"store_id": BEIJING}
    ]
    grade = await desk.closed_grade(DELHI, OCTOBER, 2)
    assert (grade.revision, points(grade)) == (1, 50)
    assert grade.models == (await desk.closed_grade(DELHI, OCTOBER, 1)).models
    assert [one.response_id for one in await desk.counted(DELHI, OCTOBER, 2)] == ids([2])
    assert [one.revision for one in await desk.told(GradeClosed)] == [1, 1, 2]


async def test_a_month_without_news_cannot_be_re_opened(desk: GradeDesk) -> None:
    await desk.hears(october(1))
    assert (await refused(desk.reopen())).reason == "MONTH_NOT_CLOSED"
    await desk.close()

    assert (await refused(desk.reopen())).reason == "MONTH_UNCHANGED"

    await desk.exclude(1)
    await desk.include(1)
    assert (await desk.grade()).late_changes == 0
    assert (await refused(desk.reopen())).reason == "MONTH_UNCHANGED"


async def test_a_delivery_that_was_recorded_late_comes_into_the_next_revision(desk: GradeDesk) -> None:
    await desk.hears(october(1))
    await desk.delivered(a_delivery(1, day="2026-10-12"))
    await desk.close()

    await desk.delivered(a_delivery(2, day="2026-10-30"))

    before = await desk.grade()
    assert (before.sample_frame, before.late_changes) == (1, 0)
    await desk.reopen(reason="a list was imported late")
    after = await desk.grade()
    assert (after.sample_frame, after.answered, after.revision) == (2, 1, 2)
    (change,) = await desk.changes(OCTOBER, 2)
    assert change.before == change.after
    assert [*change.added_responses, *change.removed_responses, *change.changed_responses] == []


async def test_a_re_opening_needs_the_state_that_was_seen(desk: GradeDesk) -> None:
    await desk.hears(october(1))
    seen = await desk.close()
    await desk.hears(october(2))
    await desk.reopen(etag=seen.etag)
    await desk.hears(october(3))

    with pytest.raises(StaleEtag):
        await desk.reopen(etag=seen.etag)

    assert len((await desk.reopen(etag=(await desk.month()).etag)).revisions) == 3


async def test_of_two_who_re_open_at_once_one_finds_nothing_new(desk: GradeDesk) -> None:
    await desk.hears(october(1))
    await desk.close()
    await desk.hears(october(2))

    answers = await asyncio.gather(desk.reopen(), desk.reopen(), return_exceptions=True)

    assert sum(isinstance(one, Month) for one in answers) == 1
    assert [one.reason for one in answers if isinstance(one, DomainError)] == ["MONTH_UNCHANGED"]


async def test_a_response_tells_what_it_was_counted_with(desk: GradeDesk) -> None:
    await desk.hears(october(1, 5), a_response(2, {"SSI.OVERALL": 7}, submit_time=MID_OCTOBER, consultant=""))
    await desk.close()

    scored, without = await desk.counted(BEIJING, OCTOBER, 1, size=1)

    assert [(one.question, one.scale, one.mark) for one in scored.marks] == [(GREETED, "SCALE_7", 5)]
    assert (scored.version, scored.consultant) == (1, f"stores/{BEIJING}/staff/li.wei")
    assert scored.submit_time.ToDatetime(tzinfo=UTC) == MID_OCTOBER
    assert scored.mode == "INTERVIEW_MODE_LINK"
    assert scored.satisfaction_model_version == "satisfactionModels/ssi-five-factor/versions/1"
    assert scored.index == pytest.approx(400 / 6, abs=1e-6)
    assert (without.HasField("index"), without.consultant) == (False, "")


async def test_events_tell_the_grades_exactly(desk: GradeDesk) -> None:
    await desk.hears(october(1, 7), october(2, 5), october(3, 4, store_id=DELHI))
    await desk.close()

    beijing, delhi = await desk.told(GradeClosed)
    (month,) = await desk.told(MonthClosed)

    assert (month.month, month.revision, month.stores, month.responses) == (OCTOBER, 1, 2, 3)
    assert (beijing.grade_id, beijing.store_id, beijing.revision) == ("bj-01_2026-10", BEIJING, 1)
    (index,) = beijing.indexes
    assert (index.n, index.total_micro_points, index.provisional) == (2, 166_666_667, True)
    assert (delhi.store_id, delhi.indexes[0].total_micro_points) == (DELHI, 50_000_000)


async def test_changes_come_in_pages_and_only_from_the_stores_in_reach(desk: GradeDesk) -> None:
    await desk.hears(october(1), october(2, store_id=DELHI), october(3, store_id=ANGELES))
    await desk.close()

    everything = await desk.changes(OCTOBER, 1, size=1)
    region = await desk.changes(OCTOBER, 1, token=desk.token(REGIONAL, BEIJING, DELHI))
    own = await desk.changes(OCTOBER, 1, token=desk.token(MANAGER, DELHI))

    assert [one.store for one in everything] == [f"stores/{one}" for one in (BEIJING, DELHI, ANGELES)]
    assert [one.store for one in region] == [f"stores/{BEIJING}", f"stores/{DELHI}"]
    assert [one.store for one in own] == [f"stores/{DELHI}"]
    assert not everything[0].HasField("before")
    assert everything[0].after.index_points == 1000
    assert (await refused(desk.changes(OCTOBER, 2))).reason == "REVISION_NOT_FOUND"


async def test_the_figures_of_a_month_are_those_of_the_readers_reach(desk: GradeDesk) -> None:
    await desk.hears(october(1), october(2, store_id=DELHI), october(3, store_id=ANGELES))
    await desk.close()
    await desk.hears(october(4), october(5, store_id=DELHI))

    region = await desk.month(token=desk.token(REPORTING, BEIJING, ANGELES))
    group = await desk.month(token=desk.token(REPORTING))

    assert (region.revisions[0].stores, region.revisions[0].responses, region.late_changes) == (2, 2, 1)
    assert (group.revisions[0].stores, group.revisions[0].responses, group.late_changes) == (3, 3, 2)
    assert region.end_time == group.end_time


@pytest.mark.parametrize("role", [MANAGER, REGIONAL, REPORTING, "ROLE_ADMINISTRATOR"])
async def test_only_the_group_quality_manager_closes_and_re_opens(desk: GradeDesk, role: str) -> None:
    for token in (desk.token(role), desk.token(role, BEIJING), desk.token(QUALITY, BEIJING)):
        with pytest.raises(PermissionDenied):
            await desk.close(token=token)
        with pytest.raises(PermissionDenied):
            await desk.reopen(token=token)


async def test_a_page_token_that_was_made_up_is_no_fault_of_the_database(desk: GradeDesk) -> None:
    await desk.hears(october(1))
    await desk.close()
    parent = f"months/{OCTOBER}/revisions/1"
    token = encode_token([BEIJING, "ssi-five-factor", 2**40], query_hash("gradeChanges", parent))

    request = ListGradeChangesRequest(parent=parent, page_token=token)
    answer = await desk.call(
        "MonthService/ListGradeChanges", request, ListGradeChangesResponse, token=desk.token(QUALITY)
    )

    assert not answer.changes


async def test_a_store_sees_its_own_closed_grades_only(desk: GradeDesk) -> None:
    await desk.hears(october(1), october(2, store_id=DELHI))
    await desk.close()

    with pytest.raises(PermissionDenied):
        await desk.closed_grade(BEIJING, OCTOBER, 1, token=desk.token(MANAGER, DELHI))
    with pytest.raises(PermissionDenied):
        await desk.counted(BEIJING, OCTOBER, 1, token=desk.token(MANAGER, DELHI))
    with pytest.raises(PermissionDenied):
        await desk.counted(BEIJING, OCTOBER, 1, token=desk.token(REPORTING))
    with pytest.raises(NotFound):
        await desk.counted(BEIJING, NOVEMBER, 1)


async def test_reading_a_closed_grade_costs_the_same_for_few_and_many(desk: GradeDesk) -> None:
    await desk.hears(october(1))
    await desk.close()
    with desk.counting() as few:
        await desk.grade()
    await desk.hears(*(october(number, consultant=f"c{number % 7}") for number in range(2, 60)))
    await desk.reopen()

    with desk.counting() as many:
        await desk.grade()

    assert len(many) == len(few)


KEPT = ("month_revision", "closed_grade", "counted_response", "closed_cells", "closed_index", "changed_response")


async def test_the_database_itself_refuses_to_change_a_revision(desk: GradeDesk) -> None:
    await desk.hears(october(1))
    await desk.close()
    await desk.hears(october(1, 4, version=2))
    await desk.reopen()

    owner = await asyncpg.connect(desk.urls.migration_url)
    service = await asyncpg.connect(desk.urls.database_url)
    try:
        for connection in (owner, service):
            await connection.execute("select set_config('dealerloop.scope', 'group', false)")
        for table in KEPT:
            assert await owner.fetchval(f"select count(*) from {table}"), table
            for attempt in (f"update {table} set month = month", f"delete from {table}", f"truncate {table} cascade"):
                with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never changes"):
                    await owner.execute(attempt)
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await service.execute(attempt)
        for table in KEPT[1:]:
            with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never changes"):
                await service.execute(f"insert into {table} select * from {table}")
    finally:
        await owner.close()
        await service.close()
