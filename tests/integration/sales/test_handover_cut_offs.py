"""What happens at the cut-off (SAL-11): missing days, disagreements, closed days, and workers that were away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from dealerloop.sales.events.v1.events_pb2 import DailyHandoverMismatched, DailyHandoverMissing
from dealerloop.sales.v1.handovers_pb2 import DailyHandover
from kit import timers
from kit.db.scope import Scope
from sales.handovers.watch import HANDOVER, CutOffs
from tests.support.deliveries import DELIVERED, OTHER_STORE, STORE
from tests.support.handover_desk import TODAY, day, days, fire, hear_of, report, store_facts, told
from tests.support.one_service import OneService
from tests.support.sales_desk import cancel, create
from tests.support.statements import counted

CUT_OFF = datetime(2026, 5, 20, 10, 30, tzinfo=UTC)
DAY = timedelta(days=1)
MISSING, NOT_EXPECTED = DailyHandover.STATE_MISSING, DailyHandover.STATE_NOT_EXPECTED


@pytest.fixture
async def open_store(sales: OneService) -> OneService:
    """The store is open every day but Sunday; the other one is not known to the timers."""
    await hear_of(sales, store_facts(closed_on=[7]))
    return sales


async def due(sales: OneService) -> dict[str, datetime]:
    rows = await sales.rows("select key, due_at from timer where kind = $1", HANDOVER)
    return {row["key"]: row["due_at"] for row in rows}


async def restart(sales: OneService) -> None:
    for hook in sales.service.on_start:
        await hook(sales.context)


async def test_a_report_that_is_missing_at_the_cut_off_is_flagged_and_told(open_store: OneService) -> None:
    await create(open_store)
    open_store.clock.set(CUT_OFF - timedelta(seconds=1))
    assert await fire(open_store) == 0

    open_store.clock.set(CUT_OFF)
    assert await fire(open_store) == 1

    (flagged,) = (await days(open_store)).daily_handovers
    assert flagged == await day(open_store)
    assert (flagged.state, flagged.recorded_deliveries, flagged.etag) == (MISSING, 1, '"0"')
    assert flagged.alert_time.ToDatetime(UTC) == flagged.cut_off_time.ToDatetime(UTC) == CUT_OFF
    assert await open_store.told(DailyHandoverMissing) == [
        DailyHandoverMissing(handover_id=f"{STORE}/{TODAY}", store_id=STORE, date=TODAY, recorded_deliveries=1)
    ]
    assert await due(open_store) == {STORE: CUT_OFF + DAY}


async def test_a_store_that_reported_in_time_is_left_in_peace(open_store: OneService) -> None:
    await report(open_store, 0)
    open_store.clock.set(CUT_OFF)

    await fire(open_store)

    assert await told(open_store) == [("Reported", TODAY)]
    assert not (await day(open_store)).HasField("alert_time")
    assert await due(open_store) == {STORE: CUT_OFF + DAY}


async def test_a_report_after_the_cut_off_is_late_and_keeps_the_alert(open_store: OneService) -> None:
    open_store.clock.set(CUT_OFF)
    await fire(open_store)
    open_store.clock.advance(timedelta(minutes=10))

    first = await report(open_store, 0, etag=(await day(open_store)).etag)
    second = await report(open_store, 1)

    assert (first.state, first.late, first.etag) == (DailyHandover.STATE_MATCHED, True, '"1"')
    assert (second.state, second.late) == (DailyHandover.STATE_MISMATCHED, True)
    assert second.alert_time.ToDatetime(UTC) == CUT_OFF
    assert [name for name, _ in await told(open_store)] == ["Missing", "Reported", "Reported", "Mismatched"]


async def test_a_first_report_in_time_stays_in_time_however_late_the_second_is(open_store: OneService) -> None:
    await report(open_store, 1)
    open_store.clock.set(CUT_OFF + timedelta(hours=2))

    assert not (await report(open_store, 0)).late


async def test_what_disagrees_only_at_the_cut_off_is_told_then(open_store: OneService) -> None:
    await report(open_store, 0)
    await create(open_store)
    open_store.clock.set(CUT_OFF)

    await fire(open_store)

    assert await told(open_store) == [("Reported", TODAY), ("Mismatched", TODAY)]
    (event,) = await open_store.told(DailyHandoverMismatched)
    assert (event.reported_deliveries, event.recorded_deliveries) == (0, 1)


async def test_what_was_told_at_the_report_is_not_told_again_at_the_cut_off(open_store: OneService) -> None:
    await report(open_store, 2)
    open_store.clock.set(CUT_OFF)

    await fire(open_store)

    assert await told(open_store) == [("Reported", TODAY), ("Mismatched", TODAY)]


async def test_a_closed_day_is_not_asked_for_unless_something_was_delivered(open_store: OneService) -> None:
    sunday = CUT_OFF + 4 * DAY
    await report(open_store, 0)
    open_store.clock.set(sunday)
    await fire(open_store)
    assert (await day(open_store, "2026-05-24")).state == NOT_EXPECTED
    assert [date for name, date in await told(open_store) if name == "Missing"] == [
        f"2026-05-{d}" for d in (21, 22, 23)
    ]

    open_store.clock.set(sunday + 7 * DAY - timedelta(hours=1))
    await fire(open_store)
    made = await create(open_store, delivery_time=sunday + 7 * DAY - timedelta(hours=5))
    open_store.clock.set(sunday + 7 * DAY)
    await fire(open_store)
    assert (await told(open_store))[-1] == ("Missing", "2026-05-31")
    assert (await day(open_store, "2026-05-31")).state == MISSING

    # It never took place: the store was closed after all.
    await cancel(open_store, made.name)
    assert (await day(open_store, "2026-05-31")).state == NOT_EXPECTED


async def test_a_worker_that_was_away_flags_every_missed_day_once(open_store: OneService) -> None:
    open_store.clock.set(CUT_OFF + 3 * DAY + timedelta(hours=1))

    assert await fire(open_store) == 1
    assert await fire(open_store) == 0

    assert await told(open_store) == [("Missing", f"2026-05-{number}") for number in (20, 21, 22, 23)]
    assert await due(open_store) == {STORE: CUT_OFF + 4 * DAY}


async def test_a_worker_that_was_away_for_a_year_does_not_tell_of_all_of_it(open_store: OneService) -> None:
    open_store.clock.set(CUT_OFF + 365 * DAY)

    await fire(open_store)

    flagged = [date for _, date in await told(open_store)]
    assert flagged[0] == "2027-04-20"
    assert flagged[-1] == "2027-05-20"
    assert len(flagged) == 31 - 4  # without the Sundays
    assert await due(open_store) == {STORE: CUT_OFF + 366 * DAY}


async def test_a_handler_that_fails_loses_nothing(open_store: OneService) -> None:
    open_store.clock.set(CUT_OFF)
    async with open_store.database.transaction(Scope.system("test")) as session:
        await session.execute(sa.text("update store set time_zone = 'Nowhere/At_All'"))
    await fire(open_store)
    assert await told(open_store) == []

    async with open_store.database.transaction(Scope.system("test")) as session:
        await session.execute(sa.text("update store set time_zone = 'Asia/Shanghai'"))
    open_store.clock.advance(timedelta(minutes=1))
    await fire(open_store)

    assert await told(open_store) == [("Missing", TODAY)]


async def test_a_report_and_the_cut_off_at_the_same_moment_agree(open_store: OneService) -> None:
    open_store.clock.set(CUT_OFF)

    await asyncio.gather(fire(open_store), *(report(open_store, 0) for _ in range(4)))

    one = await day(open_store)
    names = [name for name, _ in await told(open_store)]
    assert one.state == DailyHandover.STATE_MATCHED
    assert one.late
    assert names.count("Reported") == 4
    assert names.count("Missing") == int(one.HasField("alert_time"))


async def test_stores_that_were_known_before_are_watched_at_the_start_and_timers_stay(sales: OneService) -> None:
    await asyncio.gather(*(restart(sales) for _ in range(4)))
    assert await due(sales) == {STORE: CUT_OFF, OTHER_STORE: CUT_OFF}

    sales.clock.set(CUT_OFF + timedelta(minutes=5))
    await restart(sales)

    assert await due(sales) == {STORE: CUT_OFF, OTHER_STORE: CUT_OFF}


async def test_a_store_that_becomes_known_in_the_evening_begins_the_next_day(sales: OneService) -> None:
    sales.clock.set(CUT_OFF)
    await hear_of(sales, store_facts("gz-01", version=1))

    assert await due(sales) == {"gz-01": CUT_OFF + DAY}
    assert await fire(sales) == 0


async def test_the_same_store_told_twice_and_in_the_wrong_order_changes_nothing(open_store: OneService) -> None:
    await hear_of(open_store, store_facts(closed_on=[7]), store_facts(version=1, zone="Europe/Berlin"))
    await hear_of(open_store, store_facts(closed_on=[7]))

    assert await due(open_store) == {STORE: CUT_OFF}


async def test_a_store_that_moves_to_another_zone_is_asked_at_its_own_time(open_store: OneService) -> None:
    await hear_of(open_store, store_facts(version=3, zone="Europe/Berlin"))
    assert await due(open_store) == {STORE: datetime(2026, 5, 20, 16, 30, tzinfo=UTC)}

    open_store.clock.set(datetime(2026, 5, 20, 16, 30, tzinfo=UTC))
    await fire(open_store)
    await hear_of(open_store, store_facts(version=4))

    assert await due(open_store) == {STORE: CUT_OFF + DAY}
    open_store.clock.set(CUT_OFF + DAY)
    await fire(open_store)
    assert await told(open_store) == [("Missing", TODAY), ("Missing", "2026-05-21")]


async def test_a_timer_that_fires_too_early_does_nothing_but_set_the_right_time(open_store: OneService) -> None:
    async with open_store.database.transaction(Scope.system("test")) as session:
        await timers.schedule(session, HANDOVER, STORE, open_store.clock.now())

    assert await fire(open_store) == 1

    assert await told(open_store) == []
    assert await due(open_store) == {STORE: CUT_OFF}


async def test_a_store_that_is_gone_is_not_watched_any_more_and_comes_back(open_store: OneService) -> None:
    async with open_store.database.transaction(Scope.system("test")) as session:
        await session.execute(sa.text("delete from store"))
    open_store.clock.set(CUT_OFF)
    assert await fire(open_store) == 1
    assert await due(open_store) == {}

    await hear_of(open_store, store_facts(version=1))

    assert await due(open_store) == {STORE: CUT_OFF + DAY}
    assert await told(open_store) == []


async def test_a_thousand_stores_share_a_minute_at_a_fixed_number_of_statements(sales: OneService) -> None:
    await hear_of(sales, *(store_facts(f"s-{number:04d}") for number in range(1000)))
    await report(sales, 0)
    sales.clock.set(CUT_OFF)
    with counted(sales.database) as one_batch:
        fired = await fire(sales)
    while more := await fire(sales):
        fired += more

    assert fired == 1000
    assert len(one_batch) <= 15
    assert len(await sales.told(DailyHandoverMissing)) == 1000
    assert set((await due(sales)).values()) == {CUT_OFF + DAY}


async def test_a_cut_off_of_the_group_s_own(sales: OneService) -> None:
    cut_offs = CutOffs(sales.context.peer("gateway"), (CUT_OFF + timedelta(hours=8, minutes=45)).time())
    async with sales.database.transaction(Scope.system("test")) as session:
        await cut_offs.watch_new(session, sales.clock.now())

    assert await due(sales) == dict.fromkeys((STORE, OTHER_STORE), CUT_OFF + timedelta(minutes=45))


async def test_a_delivery_that_is_recorded_for_a_past_day_is_seen_there(open_store: OneService) -> None:
    open_store.clock.set(CUT_OFF)
    await fire(open_store)
    await create(open_store, delivery_time=DELIVERED)

    assert ((await day(open_store)).recorded_deliveries, (await day(open_store)).state) == (1, MISSING)
