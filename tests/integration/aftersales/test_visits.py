"""Workshop visits through the real server, interceptors and database."""

from __future__ import annotations

import asyncio

import pytest

from aftersales.vehicles import handlers
from dealerloop.aftersales.events.v1.events_pb2 import FirstServiceChanged, VisitFinished
from dealerloop.aftersales.v1.vehicles_pb2 import GetWorkshopVisitRequest, WorkshopVisit
from kit.errors import AlreadyExists, DomainError, InvalidArgument, NotFound
from tests.support.deliveries import OTHER_STORE, STORE, recorded, vin_of
from tests.support.one_service import OneService
from tests.support.workshop import create, page, warranty

REPAIR = WorkshopVisit.KIND_REPAIR
MAINTENANCE = WorkshopVisit.KIND_SCHEDULED_MAINTENANCE


def rules(error: pytest.ExceptionInfo[DomainError]) -> list[tuple[str, str]]:
    return [(violation.field, violation.rule) for violation in error.value.violations]


async def test_a_first_service_is_recorded_told_and_closes_the_due_date(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1, delivery_date="2026-04-01", invoice_date="2026-04-01")])

    made = await create(aftersales, next_due_date="2026-11-20", next_due_km=5_000)

    assert made.name.startswith(f"stores/{STORE}/workshopVisits/")
    finished = (await aftersales.told(VisitFinished))[0]
    assert (finished.visit_id, finished.store_id) == (made.name.rpartition("/")[2], STORE)
    assert (finished.vin, finished.visit_date, finished.next_due_km) == (vin_of(1), "2026-05-20", 5_000)
    assert finished.kind == WorkshopVisit.KIND_FIRST_SERVICE
    last = (await aftersales.told(FirstServiceChanged))[-1]
    assert (last.first_service.done_date, last.first_service.version) == ("2026-05-20", 2)
    found = await warranty(aftersales, 1)
    assert (found.first_service_date, found.odometer_km, found.free_services_left) == ("2026-05-20", 1450, 1)


async def test_a_visit_before_the_delivery_is_heard_of_counts_all_the_same(aftersales: OneService) -> None:
    await create(aftersales, visit_date="2026-05-19")
    unknown = await warranty(aftersales, 1)
    await aftersales.hear(handlers.handle, [recorded(1, delivery_date="2026-04-01", invoice_date="2026-04-01")])

    known = await warranty(aftersales, 1)

    assert (unknown.series, list(unknown.terms)) == ("", [])
    assert [reason.code for reason in unknown.reasons] == ["START_UNKNOWN"]
    assert (known.first_service_date, known.first_service_due_date) == ("2026-05-19", "2026-07-01")
    events = await aftersales.told(FirstServiceChanged)
    assert [(event.first_service.due_date, event.first_service.done_date) for event in events] == [
        ("", "2026-05-19"),
        ("2026-07-01", "2026-05-19"),
    ]


async def test_the_earliest_first_service_counts(aftersales: OneService) -> None:
    await create(aftersales, visit_date="2026-05-10", odometer_km=1_500)
    await create(aftersales, visit_date="2026-05-01", odometer_km=1_200, store=OTHER_STORE)
    await create(aftersales, visit_date="2026-05-12", odometer_km=1_600)

    events = await aftersales.told(FirstServiceChanged)
    assert [event.first_service.done_date for event in events] == ["2026-05-10", "2026-05-01"]
    assert (await warranty(aftersales, 1)).odometer_km == 1_600


async def test_an_odometer_never_runs_backwards_and_no_store_is_named(aftersales: OneService) -> None:
    await create(aftersales, visit_date="2026-05-10", odometer_km=30_000, kind=REPAIR, store=OTHER_STORE)

    with pytest.raises(InvalidArgument) as refused:
        await create(aftersales, odometer_km=29_999, kind=MAINTENANCE)

    assert rules(refused) == [("workshop_visit.odometer_km", "ODOMETER_DECREASED")]
    assert refused.value.metadata == {"reading_date": "2026-05-10", "reading_km": "30000"}
    assert OTHER_STORE not in str((refused.value.message, refused.value.metadata, refused.value.violations))
    with pytest.raises(NotFound):
        await warranty(aftersales, 1)


async def test_the_handover_is_a_reading_too(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1, odometer_km=50)])

    with pytest.raises(InvalidArgument) as refused:
        await create(aftersales, odometer_km=49)

    assert rules(refused) == [("workshop_visit.odometer_km", "ODOMETER_DECREASED")]


async def test_a_visit_is_recorded_once(aftersales: OneService) -> None:
    await create(aftersales)

    with pytest.raises(AlreadyExists) as twice:
        await create(aftersales, odometer_km=1_500)
    await create(aftersales, kind=REPAIR)

    assert twice.value.reason == "VISIT_ALREADY_RECORDED"
    assert len(await aftersales.told(VisitFinished)) == 2


async def test_of_concurrent_equal_visits_one_is_recorded(aftersales: OneService) -> None:
    outcomes = await asyncio.gather(*(create(aftersales) for _ in range(6)), return_exceptions=True)

    assert sum(isinstance(outcome, WorkshopVisit) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 5


async def test_visits_and_deliveries_at_once_lose_nothing(aftersales: OneService) -> None:
    await asyncio.gather(
        *(create(aftersales, number, store=store) for number in range(1, 5) for store in (STORE, OTHER_STORE)),
        *(aftersales.hear(handlers.handle, [recorded(number) for number in range(1, 5)]) for _ in range(2)),
    )

    for number in range(1, 5):
        found = await warranty(aftersales, number)
        assert (found.start_date, found.first_service_date) == ("2026-05-20", "2026-05-20")
    relations = await aftersales.rows("select vin from vehicle_relation")
    assert len(relations) == 4 * 3


async def test_wrong_input_names_field_and_rule(aftersales: OneService) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await create(aftersales, vin="LJN", visit_date="2026-05-21", next_due_km=1)

    assert rules(refused) == [
        ("workshop_visit.vin", "VIN_LENGTH"),
        ("workshop_visit.visit_date", "DATE_IN_FUTURE"),
        ("workshop_visit.next_due_km", "NEXT_DUE_PASSED"),
    ]


async def test_a_visit_is_read_by_its_store_only(aftersales: OneService) -> None:
    made = await create(aftersales)
    token = aftersales.token("ROLE_SERVICE_ADVISOR", STORE, OTHER_STORE)

    async def get(name: str) -> WorkshopVisit:
        request = GetWorkshopVisitRequest(name=name)
        return await aftersales.call("WorkshopVisitService/GetWorkshopVisit", request, WorkshopVisit, token=token)

    assert await get(made.name) == made
    with pytest.raises(NotFound):
        await get(made.name.replace(STORE, OTHER_STORE))


async def test_a_list_is_paged_newest_first_and_costs_one_query(aftersales: OneService) -> None:
    for number in range(1, 6):
        await create(aftersales, number, visit_date=f"2026-05-1{number % 3}")
    await create(aftersales, 9, store=OTHER_STORE)

    with aftersales.counting() as statements:
        first = await page(aftersales, page_size=3)
    second = await page(aftersales, page_size=3, page_token=first.next_page_token)

    assert len(statements) == 1
    listed = [*first.workshop_visits, *second.workshop_visits]
    assert sorted(one.vin for one in listed) == sorted(vin_of(number) for number in range(1, 6))
    assert [one.visit_date for one in listed] == sorted((one.visit_date for one in listed), reverse=True)
    assert second.next_page_token == ""
    assert [one.vin for one in (await page(aftersales, vin=vin_of(2))).workshop_visits] == [vin_of(2)]
    with pytest.raises(InvalidArgument):
        await page(aftersales, vin=vin_of(2), page_token=first.next_page_token)
