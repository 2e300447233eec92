"""A delivery event makes the whole care plan exactly once, and what follows keeps it in step (CARE-01)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dealerloop.customer_care.events.v1 import events_pb2
from dealerloop.customer_care.v1.follow_ups_pb2 import FollowUp
from dealership.stores import StoreUnknown
from kit.errors import Unavailable
from tests.support.care_desk import CareDesk, extra_step, first_service, visit
from tests.support.deliveries import NOW, STORE, cancelled, corrected, recorded, vin_of

SHIPPED = 11


def state(follow_up: FollowUp) -> str:
    return FollowUp.State.Name(follow_up.state).removeprefix("STATE_")


async def test_a_delivery_makes_its_plan_once_however_often_it_is_told(care: CareDesk) -> None:
    await care.deliveries(recorded(), recorded())
    await care.deliveries(recorded())

    follow_ups = await care.follow_ups()
    told = await care.told(events_pb2.CarePlanned)
    [survey] = await care.surveys()
    assert len(follow_ups) == SHIPPED
    assert [(event.delivery_id, event.version, event.follow_ups) for event in told] == [
        (recorded().delivery_id, recorded().delivery.version, SHIPPED)
    ]
    assert survey.name.endswith(told[0].survey_id)
    assert follow_ups["CAD-02/1"].survey == survey.name


async def test_a_follow_up_shows_what_its_caller_needs(care: CareDesk) -> None:
    await care.deliveries(recorded())

    call = (await care.follow_ups())["CAD-04/1"]

    assert call.delivery == f"stores/{STORE}/deliveries/{recorded().delivery_id}"
    assert call.owner == f"stores/{STORE}/staff/li-lei"
    assert (call.window_start_date, call.window_end_date) == ("2026-05-27", "2026-05-27")
    assert call.titles["en"] == "Call after seven days"
    assert "一周" in call.scripts["zh-CN"]
    assert call.vin == vin_of(1)
    assert call.cadence_template_version == "cadenceTemplates/post-delivery/versions/1"
    assert (state(call), call.etag, call.survey) == ("PLANNED", '"1"', "")


async def test_a_delivery_recorded_at_night_moves_the_thank_you_call_to_the_next_opening(care: CareDesk) -> None:
    await care.deliveries(recorded(record_time=NOW + timedelta(hours=9)))

    follow_ups = await care.follow_ups()
    assert follow_ups["CAD-01/1"].window_start_date == "2026-05-21"
    assert follow_ups["CAD-02/1"].window_start_date == "2026-05-21"


async def test_old_deliveries_make_no_violations(care: CareDesk) -> None:
    care.clock.advance(timedelta(days=40))
    await care.deliveries(recorded())

    follow_ups = await care.follow_ups()

    assert state(follow_ups["CAD-06/1"]) == "EXPIRED_ON_ARRIVAL"
    assert state(follow_ups["CAD-06/2"]) == "PLANNED"
    care.clock.advance(timedelta(days=25))
    await care.fire()
    assert [event.step for event in await care.told(events_pb2.FollowUpFinished)] == ["CAD-06"]


async def test_a_correction_moves_what_is_open_and_keeps_what_was_done(care: CareDesk) -> None:
    await care.deliveries(recorded())
    before = await care.follow_ups()
    await care.record(before["CAD-01/1"].name)

    await care.deliveries(corrected(delivery_date="2026-05-22", consultant_id="han-mei"))

    after = await care.follow_ups()
    assert state(after["CAD-01/1"]) == "REACHED"
    assert after["CAD-01/1"].owner.endswith("/li-lei")
    assert after["CAD-04/1"].window_start_date == "2026-05-29"
    assert after["CAD-04/1"].owner.endswith("/han-mei")
    assert after["CAD-04/1"].name == before["CAD-04/1"].name
    assert after["CAD-04/1"].etag != before["CAD-04/1"].etag
    assert len(await care.told(events_pb2.CarePlanned)) == 1


async def test_a_cancellation_cancels_what_is_open_and_the_survey(care: CareDesk) -> None:
    await care.deliveries(recorded())
    await care.record((await care.follow_ups())["CAD-01/1"].name)

    await care.deliveries(cancelled())
    await care.deliveries(recorded())

    after = await care.follow_ups()
    assert state(after.pop("CAD-01/1")) == "REACHED"
    assert {state(one) for one in after.values()} == {"CANCELLED"}
    [survey] = await care.surveys()
    assert survey.state == survey.STATE_CANCELLED
    assert await care.rows("select * from timer where kind = 'care.window'") == []


async def test_a_delivery_cancelled_before_it_was_heard_of_is_not_planned(care: CareDesk) -> None:
    await care.deliveries(cancelled())
    await care.deliveries(recorded())

    assert await care.follow_ups() == {}
    assert list(await care.surveys()) == []


async def test_a_finance_contract_that_is_entered_later_adds_its_follow_up(care: CareDesk) -> None:
    await care.deliveries(recorded())
    await care.deliveries(corrected(finance_end_date="2029-05-20"))

    assert (await care.follow_ups())["CAD-09f/1"].window_end_date == "2029-05-19"

    await care.deliveries(corrected(version=3))

    assert state((await care.follow_ups())["CAD-09f/1"]) == "CANCELLED"


@pytest.mark.parametrize("service_first", [True, False])
async def test_the_first_service_date_re_windows_its_follow_ups_whenever_it_comes(
    care: CareDesk, service_first: bool
) -> None:
    if service_first:
        await care.told_of("workshop", first_service())
    await care.deliveries(recorded())
    if not service_first:
        await care.told_of("workshop", first_service())

    follow_ups = await care.follow_ups()
    assert (follow_ups["CAD-07/1"].window_start_date, follow_ups["CAD-07/1"].window_end_date) == (
        "2026-10-21",
        "2026-11-20",
    )
    assert follow_ups["CAD-07b/1"].window_start_date == "2026-11-06"
    assert follow_ups["CAD-08/1"].window_start_date == "2026-11-21"


async def test_an_older_first_service_date_changes_nothing(care: CareDesk) -> None:
    await care.deliveries(recorded())
    await care.told_of("workshop", first_service(version=2, due="2026-12-20"))
    await care.told_of("workshop", first_service(version=1))

    assert (await care.follow_ups())["CAD-07/1"].window_end_date == "2026-12-20"


@pytest.mark.parametrize("how", ["first service", "visit"])
async def test_a_first_service_that_was_made_closes_its_follow_ups(care: CareDesk, how: str) -> None:
    await care.deliveries(recorded())
    await care.told_of("workshop", first_service())
    care.clock.advance(timedelta(days=60))

    event = visit(day="2026-07-19") if how == "visit" else first_service(version=2, done="2026-07-19")
    await care.told_of("workshop", event, event)
    await care.told_of("workshop", event)

    after = await care.follow_ups()
    assert {code: state(after[code]) for code in ("CAD-07/1", "CAD-07b/1", "CAD-08/1", "CAD-09/1")} == {
        "CAD-07/1": "CLOSED",
        "CAD-07b/1": "CLOSED",
        "CAD-08/1": "CLOSED",
        "CAD-09/1": "PLANNED",
    }
    told = await care.told(events_pb2.FollowUpFinished)
    assert sorted(event.step for event in told) == ["CAD-07", "CAD-07b", "CAD-08"]
    assert all(f'"{event.version:x}"' == after[f"{event.step}/1"].etag for event in told)


async def test_another_visit_closes_nothing(care: CareDesk) -> None:
    await care.deliveries(recorded())
    await care.told_of("workshop", visit(kind="KIND_REPAIR"))

    assert state((await care.follow_ups())["CAD-07/1"]) == "PLANNED"


async def test_a_window_that_closes_is_missed_and_the_next_one_has_its_timer(care: CareDesk) -> None:
    await care.deliveries(recorded())
    [timer] = await care.rows("select due_at from timer where kind = 'care.window'")

    care.clock.set(timer["due_at"] - timedelta(seconds=1))
    assert await care.fire() == 0
    care.clock.set(timer["due_at"])
    assert await care.fire() == 1

    after = await care.follow_ups()
    assert state(after["CAD-01/1"]) == "MISSED"
    assert state(after["CAD-02/1"]) == "PLANNED"
    [event] = await care.told(events_pb2.FollowUpFinished)
    assert event.result == events_pb2.FollowUpFinished.RESULT_MISSED
    assert (event.owner_id, event.window_end_date) == ("li-lei", "2026-05-20")
    assert f'"{event.version:x}"' == after["CAD-01/1"].etag
    [following] = await care.rows("select due_at from timer where kind = 'care.window'")
    # The end of D+3, when the survey call and the use check end.
    assert following["due_at"] == timer["due_at"] + timedelta(days=3)


async def test_a_plan_that_is_being_changed_is_looked_at_a_moment_later(care: CareDesk) -> None:
    from sqlalchemy import text

    from kit.db.scope import Scope

    await care.deliveries(recorded())
    care.clock.advance(timedelta(days=1))
    async with care.database.transaction(Scope.system("test")) as session:
        await session.execute(text("select 1 from care_plan for update"))
        await care.fire()

    assert state((await care.follow_ups())["CAD-01/1"]) == "PLANNED"
    care.clock.advance(timedelta(seconds=5))
    await care.fire()
    assert state((await care.follow_ups())["CAD-01/1"]) == "MISSED"


async def test_a_second_version_of_the_cadence_is_for_later_deliveries_only(care: CareDesk) -> None:
    care.clock.advance(timedelta(hours=1))
    version = await care.publish(extra_step())
    assert version.name.endswith("/versions/2")

    # Heard of after the publication, but recorded before it.
    await care.deliveries(recorded(1))
    await care.deliveries(recorded(2, record_time=care.clock.now()))

    earlier = await care.follow_ups(delivery=recorded(1).delivery_id)
    later = await care.follow_ups(delivery=recorded(2).delivery_id)
    assert set(later) - set(earlier) == {"CAD-10/1"}
    assert later["CAD-10/1"].cadence_template_version == version.name
    assert earlier["CAD-01/1"].cadence_template_version.endswith("/versions/1")

    # A correction keeps the version that the delivery was planned by.
    await care.deliveries(corrected(1, delivery_date="2026-05-21"))
    assert "CAD-10/1" not in await care.follow_ups(delivery=recorded(1).delivery_id)


async def test_a_store_that_nobody_knows_yet_is_waited_for(care: CareDesk) -> None:
    with pytest.raises(Unavailable):
        await care.deliveries(recorded(store_id="gz-01"))

    await care.know("gz-01")
    await care.deliveries(recorded(store_id="gz-01"))

    assert await care.rows("select count(*) as n from follow_up where store_id = 'gz-01'") == [{"n": SHIPPED}]
    assert StoreUnknown.reason == "STORE_UNKNOWN"
