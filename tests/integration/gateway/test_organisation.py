"""The organisation over real gRPC, a real database and a real stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from dealerloop.gateway.events.v1.events_pb2 import StoreChanged
from dealerloop.gateway.v1 import organisation_pb2 as pb
from kit.errors import (
    AlreadyExists,
    DomainError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    StaleEtag,
)
from tests.support.organisation import Gateway, gateway
from tests.support.postgres import Cloner


@pytest.fixture
async def it(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(database_urls("gateway"), tmp_path / "keys") as running:
        yield running


def broken(error: DomainError) -> list[tuple[str, str]]:
    return [(violation.field, violation.rule) for violation in error.violations]


async def stores_told(it: Gateway) -> list[StoreChanged]:
    rows = await it.rows("select payload from outbox where type like '%StoreChanged' order by position")
    return [StoreChanged.FromString(row[0]) for row in rows]


async def test_a_new_store_has_our_default_hours_and_zone_and_is_told_to_everybody(it: Gateway) -> None:
    store = await it.create_store("bj-01")
    calendar = await it.call("GetCalendar", pb.GetCalendarRequest(name="stores/bj-01/calendar"), pb.Calendar)

    assert (store.name, store.time_zone, store.region) == ("stores/bj-01", "Asia/Shanghai", "")
    assert [(day.weekday, day.intervals[0].start, day.intervals[0].end) for day in calendar.days] == [
        (weekday, "08:30", "20:00") for weekday in range(1, 8)
    ]
    assert not calendar.confirmed_years
    (told,) = await stores_told(it)
    assert (told.store_id, told.store.version, told.store.time_zone) == ("bj-01", 1, "Asia/Shanghai")
    assert told.store.calendar.days == calendar.days


async def test_every_change_of_a_store_or_its_calendar_is_told_with_a_larger_version(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_region("north")
    patch = pb.Store(name="stores/bj-01", region="regions/north")
    await it.call("UpdateStore", pb.UpdateStoreRequest(store=patch), pb.Store)
    days = pb.Calendar(name="stores/bj-01/calendar", confirmed_years=[2026, 2025, 2026])
    changed = await it.call("UpdateCalendar", pb.UpdateCalendarRequest(calendar=days), pb.Calendar)

    told = await stores_told(it)
    assert [change.store.version for change in told] == [1, 2, 3]
    assert told[1].store.region_id == "north"
    assert list(changed.confirmed_years) == [2025, 2026]
    assert len(told[2].store.calendar.days) == 7


async def test_a_change_that_changes_nothing_is_not_told(it: Gateway) -> None:
    store = await it.create_store("bj-01")

    same = await it.call("UpdateStore", pb.UpdateStoreRequest(store=store), pb.Store)

    assert same.etag == store.etag
    assert len(await stores_told(it)) == 1


async def test_whoever_read_an_older_version_does_not_overwrite(it: Gateway) -> None:
    read_before = await it.create_store("bj-01")
    await it.call(
        "UpdateStore", pb.UpdateStoreRequest(store=pb.Store(name="stores/bj-01", display_name="North")), pb.Store
    )

    read_before.display_name = "South"
    with pytest.raises(StaleEtag):
        await it.call("UpdateStore", pb.UpdateStoreRequest(store=read_before), pb.Store)


async def test_an_update_changes_the_fields_of_its_mask_only(it: Gateway) -> None:
    await it.create_region("north")
    await it.create_store("bj-01", region="regions/north")
    patch = pb.Store(name="stores/bj-01", display_name="ignored")

    store = await it.call(
        "UpdateStore", pb.UpdateStoreRequest(store=patch, update_mask=FieldMask(paths=["region"])), pb.Store
    )

    assert (store.display_name, store.region) == ("BJ-01", "")


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"time_zone": "Asia/Peking"}, "store.time_zone", "TIME_ZONE_UNKNOWN"),
        ({"time_zone": "Asia"}, "store.time_zone", "TIME_ZONE_UNKNOWN"),
        ({"region": "regions/nowhere"}, "store.region", "REGION_UNKNOWN"),
        ({"region": "nowhere"}, "store.region", "string.pattern"),
        ({"display_name": ""}, "store.display_name", "string.min_len"),
    ],
)
async def test_a_store_that_cannot_be_is_refused_by_field(
    it: Gateway, fields: dict[str, str], field: str, rule: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await it.create_store("bj-01", **fields)

    assert broken(refused.value) == [(field, rule)]


async def test_the_rules_hold_for_the_result_of_an_update(it: Gateway) -> None:
    await it.create_store("bj-01")
    patch = pb.Store(name="stores/bj-01", time_zone="Mars/Olympus")

    with pytest.raises(InvalidArgument) as refused:
        await it.call("UpdateStore", pb.UpdateStoreRequest(store=patch), pb.Store)
    assert broken(refused.value) == [("store.time_zone", "TIME_ZONE_UNKNOWN")]

    empty = pb.UpdateStoreRequest(store=pb.Store(name="stores/bj-01"), update_mask=FieldMask(paths=["display_name"]))
    with pytest.raises(InvalidArgument) as refused:
        await it.call("UpdateStore", empty, pb.Store)
    assert broken(refused.value) == [("store.display_name", "string.min_len")]


async def test_a_calendar_that_contradicts_itself_is_refused_by_place(it: Gateway) -> None:
    await it.create_store("bj-01")
    intervals = [pb.OpeningInterval(start="09:00", end="12:00"), pb.OpeningInterval(start="11:00", end="13:00")]
    calendar = pb.Calendar(name="stores/bj-01/calendar", days=[pb.OpeningDay(weekday=1, intervals=intervals)])

    with pytest.raises(InvalidArgument) as refused:
        await it.call("UpdateCalendar", pb.UpdateCalendarRequest(calendar=calendar), pb.Calendar)

    assert broken(refused.value) == [("calendar.days[0].intervals[1]", "CALENDAR_INTERVAL_OVERLAP")]


async def test_ids_are_taken_once(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_region("north")
    await it.create_staff("li.wei", "ROLE_TECHNICIAN", store="bj-01")

    with pytest.raises(AlreadyExists):
        await it.create_store("bj-01")
    with pytest.raises(AlreadyExists):
        await it.create_region("north")
    with pytest.raises(AlreadyExists):
        await it.create_staff("li.wei", "ROLE_TECHNICIAN", store="bj-01")
    with pytest.raises(AlreadyExists):
        await it.create_staff("another", "ROLE_TECHNICIAN", store="bj-01", username="li.wei")


async def test_lists_are_paged_and_end_at_the_callers_reach(it: Gateway) -> None:
    await it.create_region("north")
    await it.create_region("south")
    for store_id in ("bj-01", "bj-02", "sh-01", "sh-02", "tj-01"):
        region = "regions/north" if store_id.startswith("bj") else ""
        await it.create_store(store_id, region=region)

    everything = await pages(it, None)
    mine = await pages(it, it.token("ROLE_SALES_MANAGER", "bj-02", "tj-01"))
    regions = await it.call(
        "ListRegions", pb.ListRegionsRequest(), pb.ListRegionsResponse, token=it.token("ROLE_TECHNICIAN", "bj-02")
    )
    all_regions = await it.call("ListRegions", pb.ListRegionsRequest(), pb.ListRegionsResponse)

    assert everything == [["bj-01", "bj-02"], ["sh-01", "sh-02"], ["tj-01"]]
    assert mine == [["bj-02", "tj-01"]]
    assert [region.name for region in regions.regions] == ["regions/north"]
    assert [region.name for region in all_regions.regions] == ["regions/north", "regions/south"]


async def pages(it: Gateway, token: str | None) -> list[list[str]]:
    found: list[list[str]] = []
    request = pb.ListStoresRequest(page_size=2)
    while True:
        answer = await it.call("ListStores", request, pb.ListStoresResponse, token=token)
        found.append([store.name.removeprefix("stores/") for store in answer.stores])
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


async def test_a_page_token_of_another_list_is_refused(it: Gateway) -> None:
    for store_id in ("bj-01", "bj-02"):
        await it.create_store(store_id)
    first = await it.call("ListStores", pb.ListStoresRequest(page_size=1), pb.ListStoresResponse)

    with pytest.raises(InvalidArgument) as refused:
        await it.call("ListRegions", pb.ListRegionsRequest(page_token=first.next_page_token), pb.ListRegionsResponse)

    assert refused.value.violations[0].field == "page_token"


async def test_a_foreign_store_answers_as_one_that_does_not_exist(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_store("sh-01")
    token = it.token("ROLE_SALES_MANAGER", "bj-01")

    refusals = []
    for store_id in ("sh-01", "no-such"):
        with pytest.raises(PermissionDenied) as refused:
            await it.call("GetStore", pb.GetStoreRequest(name=f"stores/{store_id}"), pb.Store, token=token)
        refusals.append((refused.value.reason, str(refused.value), refused.value.metadata))
    assert refusals[0] == refusals[1]
    with pytest.raises(NotFound):
        await it.call("GetStore", pb.GetStoreRequest(name="stores/no-such"), pb.Store)


async def test_a_repeated_request_creates_once(it: Gateway) -> None:
    request = pb.CreateStoreRequest(store_id="bj-01", store=pb.Store(display_name="Beijing"), request_id="once")

    first = await it.call("CreateStore", request, pb.Store)
    second = await it.call("CreateStore", request, pb.Store)

    assert first == second
    assert len(await stores_told(it)) == 1


async def test_services_read_the_directory_and_people_do_not(it: Gateway) -> None:
    for number in range(3):
        await it.create_store(f"bj-0{number}")
    service = it.context.signer.service_token()

    method = "dealerloop.gateway.v1.OrganisationService/ListStoresForProjection"
    stream = it.peer.stream(method, pb.ListStoresForProjectionRequest(), pb.StoreFacts, timeout=5)
    facts = [store async for store in stream]
    one = await it.call(
        "GetStoreForProjection", pb.GetStoreForProjectionRequest(store_id="bj-01"), pb.StoreFacts, token=service
    )

    assert [store.store_id for store in facts] == ["bj-00", "bj-01", "bj-02"]
    assert one == facts[1]
    assert one.calendar.days[0].intervals[0].start == "08:30"
    with pytest.raises(NotFound):
        await it.call(
            "GetStoreForProjection", pb.GetStoreForProjectionRequest(store_id="no-such"), pb.StoreFacts, token=service
        )
    with pytest.raises(PermissionDenied):
        await it.call("GetStoreForProjection", pb.GetStoreForProjectionRequest(store_id="bj-01"), pb.StoreFacts)


async def test_a_list_costs_the_same_number_of_queries_for_one_store_and_for_many(it: Gateway) -> None:
    await it.create_store("bj-00")
    few = await queries_of_a_list(it)
    for number in range(1, 12):
        await it.create_store(f"bj-{number:02d}")

    assert await queries_of_a_list(it) == few == 1


async def queries_of_a_list(it: Gateway) -> int:
    from sqlalchemy import event

    statements: list[str] = []
    engine = it.context.database.engine.sync_engine

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        await it.call("ListStores", pb.ListStoresRequest(), pb.ListStoresResponse)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return len(statements)


async def test_the_database_itself_hides_the_other_stores(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_store("sh-01")
    await it.create_staff("li.wei", "ROLE_TECHNICIAN", store="sh-01")

    from sqlalchemy import text

    from kit.db.scope import Scope

    async with it.context.database.transaction(Scope.store("bj-01")) as session:
        assert list(await session.scalars(text("select store_id from store"))) == ["bj-01"]
        # Neither the other store's people nor those of the group.
        assert list(await session.scalars(text("select staff_id from staff"))) == []
