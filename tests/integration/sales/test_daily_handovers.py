"""The daily hand-over through the real server (SAL-11): reports, counts, and who may."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from dealerloop.sales.events.v1.events_pb2 import DailyHandoverMismatched, DailyHandoverReported
from dealerloop.sales.v1.handovers_pb2 import DailyHandover, ListDailyHandoversRequest, ListDailyHandoversResponse
from kit.db.engine import raw_connection
from kit.db.scope import Scope
from kit.errors import DomainError, InvalidArgument, NotFound, PermissionDenied, StaleEtag
from sales.handovers.counting import RECORDED
from tests.support.deliveries import DELIVERED, OTHER_STORE, STORE
from tests.support.handover_desk import TODAY, day, days, fire, hear_of, report, store_facts, told
from tests.support.one_service import OneService
from tests.support.sales_desk import cancel, create, update
from tests.support.statements import counted

MATCHED, MISMATCHED = DailyHandover.STATE_MATCHED, DailyHandover.STATE_MISMATCHED
YESTERDAY = "2026-05-19"


def violations(error: pytest.ExceptionInfo[DomainError]) -> list[tuple[str, str]]:
    return [(violation.field, violation.rule) for violation in error.value.violations]


async def test_zero_deliveries_are_confirmed_and_told(sales: OneService) -> None:
    made = await report(sales, 0, note="heavy rain")

    assert made.name == f"stores/{STORE}/dailyHandovers/{TODAY}"
    assert made.HasField("reported_deliveries")
    assert (made.reported_deliveries, made.recorded_deliveries, made.state) == (0, 0, MATCHED)
    assert (made.note, made.reporter, made.late, made.etag) == ("heavy rain", "staff/tester", False, '"1"')
    assert made.report_time.ToJsonString() == "2026-05-20T04:00:00Z"
    assert made.cut_off_time.ToJsonString() == "2026-05-20T10:30:00Z"
    assert not made.HasField("alert_time")
    assert await day(sales) == made
    (event,) = await sales.told(DailyHandoverReported)
    assert event == DailyHandoverReported(handover_id=f"{STORE}/{TODAY}", store_id=STORE, date=TODAY, version=1)


async def test_nothing_said_is_not_zero(sales: OneService) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await report(sales, None, date="2026-05-21")

    assert violations(refused) == [
        ("daily_handover.date", "DATE_IN_FUTURE"),
        ("daily_handover.reported_deliveries", "COUNT_MISSING"),
    ]
    assert await sales.rows("select * from daily_handover") == []


async def test_today_is_the_store_s_today(sales: OneService) -> None:
    sales.clock.set(sales.clock.now().replace(hour=16, minute=1))

    assert (await report(sales, 0, date="2026-05-21")).date == "2026-05-21"
    with pytest.raises(InvalidArgument):
        await report(sales, 0, date="2026-05-22")


async def test_a_note_with_control_characters_is_refused_and_a_kept_one_is_sealed(sales: OneService) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await report(sales, 0, note="a\0b")
    await report(sales, 0, note="王小明 comes tomorrow")

    assert violations(refused) == [("daily_handover.note", "TEXT_CHARACTERS")]
    kept = await sales.rows(
        "select note_sealed from daily_handover union all select note_sealed from daily_handover_report"
    )
    assert len(kept) == 2
    assert all("王小明".encode() not in row["note_sealed"] for row in kept)


async def test_a_count_that_disagrees_is_shown_and_told_once(sales: OneService) -> None:
    await create(sales, 1)

    first = await report(sales, 2)
    again = await report(sales, 2)
    other = await report(sales, 3)

    assert [one.state for one in (first, again, other)] == [MISMATCHED] * 3
    assert (first.reported_deliveries, first.recorded_deliveries) == (2, 1)
    assert [name for name, _ in await told(sales)] == ["Reported", "Mismatched", "Reported", "Reported", "Mismatched"]
    first_told, last_told = await sales.told(DailyHandoverMismatched)
    assert first_told == DailyHandoverMismatched(
        handover_id=f"{STORE}/{TODAY}",
        store_id=STORE,
        date=TODAY,
        version=1,
        reported_deliveries=2,
        recorded_deliveries=1,
    )
    assert (last_told.version, last_told.reported_deliveries) == (3, 3)


async def test_a_second_report_replaces_the_first_which_stays_on_record(sales: OneService) -> None:
    await report(sales, 2, note="first")
    sales.clock.advance(timedelta(minutes=1))

    made = await report(sales, 0)

    assert (made.reported_deliveries, made.note, made.etag) == (0, "", '"2"')
    assert await day(sales) == made
    kept = await sales.rows("select * from daily_handover_report order by version")
    assert [(row["version"], row["reported_deliveries"], row["reporter"]) for row in kept] == [
        (1, 2, "staff/tester"),
        (2, 0, "staff/tester"),
    ]
    assert [row["note_sealed"] is None for row in kept] == [False, True]
    assert [event.version for event in await sales.told(DailyHandoverReported)] == [1, 2]


async def test_what_is_recorded_is_counted_when_it_is_read(sales: OneService) -> None:
    first = await create(sales, 1)
    assert (await report(sales, 1)).state == MATCHED

    second = await create(sales, 2)
    assert (await day(sales)).recorded_deliveries == 2
    assert (await day(sales)).state == MISMATCHED

    second.delivery_time.FromDatetime(DELIVERED - timedelta(days=1))
    await update(sales, second, "delivery_time")
    assert (await day(sales)).state == MATCHED
    assert (await day(sales, YESTERDAY)).recorded_deliveries == 1

    await cancel(sales, first.name)
    assert ((await day(sales)).recorded_deliveries, (await day(sales)).state) == (0, MISMATCHED)
    # Reading tells nobody.
    assert [name for name, _ in await told(sales)] == ["Reported"]


async def test_of_two_clerks_at_once_both_are_kept_and_with_etags_only_one(sales: OneService) -> None:
    made = await asyncio.gather(*(report(sales, count) for count in (1, 2, 3, 4)))
    assert sorted(one.etag for one in made) == ['"1"', '"2"', '"3"', '"4"']
    last = max(made, key=lambda one: one.etag)
    assert (await day(sales)).reported_deliveries == last.reported_deliveries

    etag = (await day(sales, YESTERDAY)).etag
    outcomes = await asyncio.gather(
        *(report(sales, count, date=YESTERDAY, etag=etag) for count in (1, 2, 3, 4)), return_exceptions=True
    )

    assert sum(isinstance(one, DailyHandover) for one in outcomes) == 1
    assert sum(isinstance(one, StaleEtag) for one in outcomes) == 3
    assert len(await sales.rows("select 1 from daily_handover_report where date = '2026-05-19'")) == 1


async def test_a_report_with_an_old_etag_is_refused(sales: OneService) -> None:
    seen = await report(sales, 1)
    await report(sales, 2)

    with pytest.raises(StaleEtag):
        await report(sales, 0, etag=seen.etag)

    assert (await day(sales)).reported_deliveries == 2


async def test_a_day_of_which_nothing_is_kept_is_expected_or_missing(sales: OneService) -> None:
    await hear_of(sales, store_facts(closed_on=[7]))

    assert (await day(sales)).state == DailyHandover.STATE_EXPECTED
    assert (await day(sales, YESTERDAY)).state == DailyHandover.STATE_MISSING
    assert (await day(sales, "2026-05-17")).state == DailyHandover.STATE_NOT_EXPECTED
    sales.clock.set(sales.clock.now().replace(hour=10, minute=30))
    missing = await day(sales)

    assert missing.state == DailyHandover.STATE_MISSING
    assert not missing.HasField("reported_deliveries")
    assert not missing.HasField("report_time")
    assert missing.etag == '"0"'
    assert (await days(sales)).daily_handovers == []


@pytest.mark.parametrize("name", ["2026-05-21", "2026-02-30", "2025-04-14", "0000-01-01"])
async def test_a_day_that_cannot_be_reported_is_not_found(sales: OneService, name: str) -> None:
    with pytest.raises(NotFound) as refused:
        await day(sales, name)

    assert refused.value.reason == "DAILY_HANDOVER_NOT_FOUND"


async def test_days_are_listed_from_the_latest_page_by_page(sales: OneService) -> None:
    for number in range(1, 8):
        await report(sales, number % 2, date=f"2026-05-{number:02d}")

    first = await days(sales, page_size=3)
    second = await days(sales, page_size=3, page_token=first.next_page_token)
    third = await days(sales, page_size=3, page_token=second.next_page_token)

    dates = [one.date for page in (first, second, third) for one in page.daily_handovers]
    assert dates == [f"2026-05-{number:02d}" for number in range(7, 0, -1)]
    assert {one.state for one in first.daily_handovers} == {MATCHED, MISMATCHED}
    assert third.next_page_token == ""
    with pytest.raises(InvalidArgument) as refused:
        await days(sales, store=OTHER_STORE, page_token=first.next_page_token)
    assert violations(refused) == [("page_token", "PAGE_TOKEN")]


async def test_a_list_costs_the_same_however_long_it_is(sales: OneService) -> None:
    await report(sales, 0, date="2026-05-01")
    with counted(sales.database) as short:
        await days(sales)
    for number in range(2, 20):
        await report(sales, 0, date=f"2026-05-{number:02d}")
    with counted(sales.database) as long:
        await days(sales)

    assert len(long) == len(short) <= 4


async def test_the_count_of_a_day_and_a_page_use_their_indexes(sales: OneService) -> None:
    async with sales.database.transaction(Scope.store(STORE)) as session:
        connection = await raw_connection(session)
        # The tables are empty: what is asked is which order the indexes can give.
        await connection.execute("set local enable_seqscan = off; set local enable_bitmapscan = off")
        counting = await connection.fetch(f"explain {RECORDED}", [STORE], [DELIVERED.date()])
        listing = await connection.fetch(
            f"explain select * from daily_handover where store_id = '{STORE}' order by date desc limit 51"
        )

    assert "delivery_store_date_idx" in str(counting)
    assert "daily_handover_pkey" in str(listing)
    assert "Sort" not in str(listing)


async def test_care_and_sales_managers_see_what_is_missing_and_only_sales_reports(sales: OneService) -> None:
    await hear_of(sales, store_facts())
    sales.clock.advance(timedelta(hours=7))
    await fire(sales)

    for role in ("ROLE_SALES_MANAGER", "ROLE_CARE_MANAGER", "ROLE_CARE_SPECIALIST", "ROLE_GENERAL_MANAGER"):
        (missing,) = (await days(sales, role=role)).daily_handovers
        assert (missing.date, missing.state) == (TODAY, DailyHandover.STATE_MISSING)
    with pytest.raises(PermissionDenied):
        await days(sales, role="ROLE_SALES_CONSULTANT")
    for role in ("ROLE_CARE_MANAGER", "ROLE_SALES_CONSULTANT", "ROLE_SHOWROOM_SUPERVISOR"):
        with pytest.raises(PermissionDenied):
            await report(sales, 0, role=role)


async def test_another_store_s_days_are_out_of_reach(sales: OneService) -> None:
    await report(sales, 1)
    request = ListDailyHandoversRequest(parent=f"stores/{STORE}")
    elsewhere = sales.token("ROLE_SALES_MANAGER", OTHER_STORE)

    with pytest.raises(DomainError) as refused:
        await sales.call(
            "DailyHandoverService/ListDailyHandovers", request, ListDailyHandoversResponse, token=elsewhere
        )
    assert isinstance(refused.value, NotFound | PermissionDenied)
    assert (await day(sales, store=OTHER_STORE)).recorded_deliveries == 0
    for table in ("daily_handover", "daily_handover_report"):
        async with sales.database.transaction(Scope.store(OTHER_STORE)) as session:
            assert (await session.execute(sa.text(f"select count(*) from {table}"))).scalar_one() == 0
