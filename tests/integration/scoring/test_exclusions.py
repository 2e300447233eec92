"""A response can be taken out of the grades, and in again, without leaving a trace in the sums (CARE-06)."""

from __future__ import annotations

import asyncio

import pytest

from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from dealerloop.scoring.events.v1.events_pb2 import ResponseCounted, ResponseExclusionDecided
from dealerloop.scoring.v1.months_pb2 import ResponseCounting
from kit.errors import DomainError, NotFound, PermissionDenied, StaleEtag
from tests.support.grade_desk import BEIJING, DELHI, MANAGER, MID_OCTOBER, OCTOBER, GradeDesk, ids
from tests.support.scoring import a_response

GREETED = "SSI.INIT.GREETED"


def october(number: int, mark: int = 7, *, version: int = 1) -> ResponseSubmitted:
    return a_response(number, {GREETED: mark}, version=version, submit_time=MID_OCTOBER)


async def test_an_excluded_response_leaves_no_trace_in_the_grade(desk: GradeDesk) -> None:
    await desk.hears(october(1, 7))
    alone = await desk.grade()
    await desk.hears(october(2, 1))

    counting = await desk.exclude(2, reason="filled in on the store's own tablet")

    assert (await desk.grade()).models == alone.models
    assert (counting.excluded, counting.reason) == (True, "filled in on the store's own tablet")
    assert (counting.month, counting.decider, counting.late) == (OCTOBER, "staff/tester", False)
    assert counting == await desk.counting_of(2)
    await desk.include(2)
    assert (await desk.grade()).models[0].index.n == 2
    assert await desk.differences() == []


async def test_a_later_version_of_an_excluded_response_stays_excluded(desk: GradeDesk) -> None:
    await desk.hears(october(1, 7))
    await desk.exclude(1)

    await desk.hears(october(1, 4, version=2), october(1, 4, version=2))
    await desk.hears(october(1, 7))

    assert (await desk.grade()).models[0].index.n == 0
    assert [one.version for one in await desk.told(ResponseCounted)] == [1]
    await desk.include(1)
    assert (await desk.grade()).models[0].index.mean == 50


async def test_a_decision_is_made_once(desk: GradeDesk) -> None:
    await desk.hears(october(1))
    await desk.exclude(1, key="once")
    assert (await desk.exclude(1, key="once")).excluded

    with pytest.raises(DomainError) as twice:
        await desk.exclude(1, reason="another reason")
    await desk.include(1)
    with pytest.raises(DomainError) as again:
        await desk.include(1)

    assert (twice.value.reason, twice.value.kind.http_status) == ("RESPONSE_EXCLUDED", 409)
    assert (again.value.reason, again.value.kind.http_status) == ("RESPONSE_NOT_EXCLUDED", 409)
    told = await desk.told(ResponseExclusionDecided)
    assert [(one.response_id, one.excluded, one.version) for one in told] == [
        (*ids([1]), True, 1),
        (*ids([1]), False, 2),
    ]


async def test_of_two_who_exclude_at_once_one_decides(desk: GradeDesk) -> None:
    await desk.hears(october(1, 7), october(2, 1))

    answers = await asyncio.gather(desk.exclude(2), desk.exclude(2), return_exceptions=True)

    assert sum(isinstance(one, ResponseCounting) for one in answers) == 1
    assert [one.reason for one in answers if isinstance(one, DomainError)] == ["RESPONSE_EXCLUDED"]
    assert (await desk.grade()).models[0].index.mean == 100


async def test_a_decision_needs_the_state_that_was_seen(desk: GradeDesk) -> None:
    await desk.hears(october(1))
    seen = await desk.counting_of(1)
    await desk.exclude(1, etag=seen.etag)

    with pytest.raises(StaleEtag):
        await desk.include(1, etag=seen.etag)


async def test_an_exclusion_after_the_closing_waits_for_a_re_opening(desk: GradeDesk) -> None:
    await desk.hears(october(1, 7), october(2, 1))
    await desk.close()

    counting = await desk.exclude(2)

    grade = await desk.grade()
    assert counting.late
    assert (grade.models[0].index.n, grade.late_changes) == (2, 1)
    await desk.reopen()
    assert (await desk.grade()).models[0].index.mean == 100
    assert not (await desk.counting_of(2)).late
    (change,) = await desk.changes(OCTOBER, 2)
    assert list(change.removed_responses) == ids([2])


async def test_a_response_excluded_before_the_closing_is_not_in_it(desk: GradeDesk) -> None:
    await desk.hears(october(1, 7), october(2, 1))
    await desk.exclude(2)
    await desk.close()

    assert [one.response_id for one in await desk.counted(BEIJING, OCTOBER, 1)] == ids([1])
    await desk.hears(october(2, 4, version=2))
    assert (await desk.grade()).late_changes == 0


async def test_a_response_of_another_store_is_not_found(desk: GradeDesk) -> None:
    await desk.hears(october(1))

    for call in (desk.exclude(1, store_id=DELHI), desk.counting_of(1, store_id=DELHI), desk.exclude(2)):
        with pytest.raises(NotFound):
            await call
    for call in (desk.exclude(1, token=desk.token(MANAGER, BEIJING)), desk.exclude(1, token=desk.token(MANAGER))):
        with pytest.raises(PermissionDenied):
            await call
