"""Worklists and attempts (CARE-03, CARE-08)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dealerloop.customer_care.events.v1 import events_pb2
from dealerloop.customer_care.v1.follow_ups_pb2 import FollowUp, GetFollowUpRequest, RecordAttemptRequest
from kit.errors import Conflict, InvalidArgument, NotFound, PermissionDenied, StaleEtag
from tests.support.care_desk import CareDesk
from tests.support.deliveries import NOW, OTHER_STORE, STORE, recorded
from tests.support.statements import counted


def local(day: int, hour: int, minute: int = 0) -> datetime:
    """A time in Shanghai on that day of May 2026."""
    return datetime(2026, 5, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


@pytest.fixture
async def calls(care: CareDesk) -> dict[str, FollowUp]:
    await care.deliveries(recorded())
    return await care.follow_ups()


async def test_a_customer_who_was_reached_is_done(care: CareDesk, calls: dict[str, FollowUp]) -> None:
    done = await care.record(calls["CAD-01/1"].name, note="她很满意", request_id="one")
    again = await care.record(calls["CAD-01/1"].name, note="她很满意", request_id="one")

    assert again == done
    assert done.state == FollowUp.STATE_REACHED
    [attempt] = done.attempts
    assert (attempt.note, attempt.actor) == ("她很满意", "staff/tester")
    assert attempt.attempt_time.ToDatetime(tzinfo=UTC) == NOW
    [event] = await care.told(events_pb2.FollowUpFinished)
    assert event.result == events_pb2.FollowUpFinished.RESULT_REACHED
    assert f'"{event.version:x}"' == done.etag
    assert event.finish_time.ToDatetime(tzinfo=UTC) == NOW


async def test_what_was_done_is_left_alone_when_its_window_closes(care: CareDesk, calls: dict[str, FollowUp]) -> None:
    done = await care.record(calls["CAD-01/1"].name)
    [timer] = await care.rows("select due_at from timer where kind = 'care.window'")
    care.clock.set(timer["due_at"])

    await care.fire()

    after = (await care.follow_ups())["CAD-01/1"]
    assert (after.state, after.etag) == (FollowUp.STATE_REACHED, done.etag)
    assert len(await care.told(events_pb2.FollowUpFinished)) == 1


async def test_three_day_parts_exhaust_a_follow_up(care: CareDesk, calls: dict[str, FollowUp]) -> None:
    name = calls["CAD-02/1"].name
    seen = []
    for moment in (local(21, 10), local(21, 14), local(22, 18)):
        care.clock.set(moment + timedelta(minutes=5))
        seen.append(await care.record(name, "NO_ANSWER", at=moment))

    assert [one.state for one in seen] == [FollowUp.STATE_PLANNED] * 2 + [FollowUp.STATE_EXHAUSTED]
    assert [one.next_attempt_time.ToDatetime(tzinfo=UTC) for one in seen[:2]] == [local(21, 12), local(21, 17)]
    assert not seen[2].HasField("next_attempt_time")
    assert len(seen[2].attempts) == 3
    [event] = await care.told(events_pb2.FollowUpFinished)
    assert event.result == events_pb2.FollowUpFinished.RESULT_EXHAUSTED


async def test_a_wrong_number_asks_sales_for_a_correction_and_is_not_missed(
    care: CareDesk, calls: dict[str, FollowUp]
) -> None:
    after = await care.record(calls["CAD-01/1"].name, "WRONG_NUMBER")

    assert after.state == FollowUp.STATE_PLANNED
    [event] = await care.told(events_pb2.DataCorrectionRequested)
    assert (event.field, event.reason, event.customer_id) == ("phone", "WRONG_NUMBER", recorded().delivery.customer_id)
    care.clock.advance(timedelta(days=1))
    await care.fire()
    assert (await care.follow_ups())["CAD-01/1"].state == FollowUp.STATE_EXHAUSTED


@pytest.mark.parametrize(
    ("code", "outcome", "at", "error"),
    [
        ("CAD-04/1", "REACHED", None, "FOLLOW_UP_NOT_DUE"),
        ("CAD-01/1", "REACHED", NOW + timedelta(seconds=1), "INVALID_ARGUMENT"),
        ("CAD-01/1", "UNSPECIFIED", None, "VALIDATION_FAILED"),
    ],
)
async def test_what_cannot_have_happened_is_refused(
    care: CareDesk, calls: dict[str, FollowUp], code: str, outcome: str, at: datetime | None, error: str
) -> None:
    with pytest.raises((Conflict, InvalidArgument)) as caught:
        await care.record(calls[code].name, outcome, at=at)
    assert caught.value.reason == error


async def test_a_follow_up_that_has_ended_takes_no_attempt(care: CareDesk, calls: dict[str, FollowUp]) -> None:
    await care.record(calls["CAD-01/1"].name)

    with pytest.raises(Conflict) as caught:
        await care.record(calls["CAD-01/1"].name)
    assert caught.value.reason == "FOLLOW_UP_FINISHED"
    assert caught.value.metadata == {"state": "REACHED"}


async def test_of_two_people_with_the_same_view_one_is_told_to_look_again(
    care: CareDesk, calls: dict[str, FollowUp]
) -> None:
    name, etag = calls["CAD-01/1"].name, calls["CAD-01/1"].etag

    results = await asyncio.gather(
        *(care.record(name, "NO_ANSWER", etag=etag) for _ in range(4)), return_exceptions=True
    )

    assert sum(isinstance(one, StaleEtag) for one in results) == 3
    assert len((await care.follow_ups())["CAD-01/1"].attempts) == 1


async def test_concurrent_attempts_without_an_etag_are_all_kept(care: CareDesk, calls: dict[str, FollowUp]) -> None:
    name = calls["CAD-01/1"].name
    care.clock.advance(timedelta(minutes=10))

    await asyncio.gather(*(care.record(name, "NO_ANSWER", at=NOW + timedelta(minutes=it)) for it in range(4)))

    after = (await care.follow_ups())["CAD-01/1"]
    assert len(after.attempts) == 4
    assert after.etag == '"5"'


async def test_lists_are_limited_by_delivery_owner_state_and_day(care: CareDesk, calls: dict[str, FollowUp]) -> None:
    await care.deliveries(recorded(2, consultant_id="han-mei"))
    await care.record(calls["CAD-01/1"].name)

    assert len((await care.page(page_size=200)).follow_ups) == 22
    assert len(await care.follow_ups(delivery=recorded(2).delivery_id)) == 11
    assert len(await care.follow_ups(delivery=f"stores/{STORE}/deliveries/{recorded(2).delivery_id}")) == 11
    assert len(await care.follow_ups(owner="han-mei")) == 9
    assert len(await care.follow_ups(owner=f"stores/{STORE}/staff/li-lei")) == 9
    assert set(await care.follow_ups(state="STATE_REACHED")) == {"CAD-01/1"}
    # D+3: the last day of the survey call, and the use check.
    assert set(await care.follow_ups(date="2026-05-23")) == {"CAD-02/1", "CAD-03/1"}
    assert await care.follow_ups(date="2026-05-23", owner="nobody") == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("delivery", "not-an-id"),
        ("delivery", f"stores/{OTHER_STORE}/deliveries/{recorded().delivery_id}"),
        ("owner", f"stores/{OTHER_STORE}/staff/li-lei"),
        ("date", "2026-02-30"),
        ("page_token", "bm9uc2Vuc2U"),
    ],
)
async def test_a_filter_that_means_nothing_is_refused(care: CareDesk, field: str, value: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await care.page(**{field: value})
    assert caught.value.violations[0].field == field


async def test_pages_follow_one_another_by_the_end_of_the_window(care: CareDesk) -> None:
    await care.deliveries(*(recorded(number) for number in range(1, 6)))
    seen: list[FollowUp] = []
    token = ""
    while True:
        page = await care.page(page_size=7, page_token=token)
        seen.extend(page.follow_ups)
        token = page.next_page_token
        if not token:
            break

    assert len({one.name for one in seen}) == len(seen) == 55
    ends = [one.window_end_date for one in seen]
    assert ends == sorted(ends)
    with pytest.raises(InvalidArgument):
        await care.page(page_size=7, page_token=(await care.page(page_size=7)).next_page_token, owner="li-lei")


async def test_a_list_costs_the_same_number_of_queries_however_long_it_is(
    care: CareDesk, calls: dict[str, FollowUp]
) -> None:
    await care.record(calls["CAD-01/1"].name)
    with counted(care.database) as few:
        await care.page(page_size=1)
    await care.deliveries(*(recorded(number) for number in range(2, 20)))
    with counted(care.database) as many:
        assert len((await care.page(page_size=200)).follow_ups) == 200

    # Follow-ups with their plans and surveys, attempts, contacts.
    assert len(few) == len(many) == 3


async def test_another_store_sees_and_does_nothing(care: CareDesk, calls: dict[str, FollowUp]) -> None:
    name = calls["CAD-01/1"].name
    stranger = care.token("ROLE_CARE_SPECIALIST", OTHER_STORE)
    moved = name.replace(STORE, OTHER_STORE)

    with pytest.raises(PermissionDenied):
        await care.call("FollowUpService/GetFollowUp", GetFollowUpRequest(name=name), FollowUp, token=stranger)
    with pytest.raises(NotFound):
        await care.call("FollowUpService/GetFollowUp", GetFollowUpRequest(name=moved), FollowUp, token=stranger)
    request = RecordAttemptRequest(name=moved, attempt={"outcome": "ATTEMPT_OUTCOME_REACHED"})
    with pytest.raises(NotFound):
        await care.call("FollowUpService/RecordAttempt", request, FollowUp, token=stranger)
