"""Many visits at once are what as many single ones are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from aftersales.vehicles import handlers
from aftersales.vehicles.values import VisitKind
from aftersales.visits import service
from aftersales.visits.values import Draft
from dealerloop.aftersales.events.v1.events_pb2 import FirstServiceChanged, VisitFinished
from dealerloop.aftersales.v1.vehicles_pb2 import WorkshopVisit
from kit.db.scope import Scope
from tests.support.deliveries import NOW, OTHER_STORE, STORE, recorded, vin_of
from tests.support.one_service import OneService
from tests.support.postgres import Cloner
from tests.support.workshop import create

Visit = tuple[int, date, int, VisitKind]
VISITS: list[Visit] = [
    (1, date(2026, 5, 1), 1_400, VisitKind.FIRST_SERVICE),
    (1, date(2026, 5, 10), 2_000, VisitKind.REPAIR),
    (2, date(2026, 5, 2), 900, VisitKind.REPAIR),
    (3, date(2026, 5, 3), 800, VisitKind.FIRST_SERVICE),
    (3, date(2026, 5, 4), 850, VisitKind.FIRST_SERVICE),
]


@pytest.fixture
async def other(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[OneService]:
    """A second after-sales, to compare with."""
    running = OneService("aftersales", database_urls("aftersales"), tmp_path / "other", NOW)
    await running.start(STORE, OTHER_STORE)
    yield running
    await running.stop()


def draft(visit: Visit) -> Draft:
    number, day, odometer_km, kind = visit
    return Draft(vin_of(number), day, odometer_km, kind, None, 0)


async def record(aftersales: OneService, *visits: Visit, store: str = STORE) -> list[str]:
    """All in one transaction with the store's own eyes; returns the reasons of those that were not recorded."""
    async with aftersales.database.transaction(Scope.store(store)) as session:
        errors = await service.record_many(session, [(store, draft(visit)) for visit in visits], NOW)
    return ["" if error is None else error.reason for error in errors]


async def state(aftersales: OneService) -> list[object]:
    """Everything that visits leave behind, without ids."""
    queries = (
        "select store_id, vin, visit_date, odometer_km, kind, next_due_km from workshop_visit order by 2, 3",
        "select vin, visit_date, odometer_km, kind from service_record order by 1, 2",
        "select vin, store_id, kind from vehicle_relation order by 1, 2, 3",
        "select vin, odometer_km, first_service_done_date from vehicle order by 1",
    )
    found: list[object] = [[tuple(row.values()) for row in await aftersales.rows(query)] for query in queries]
    events = await aftersales.told(VisitFinished)
    found.append([(it.store_id, it.vin, it.visit_date, it.odometer_km, it.kind) for it in events])
    return found


async def test_many_at_once_leave_behind_what_single_ones_do(aftersales: OneService, other: OneService) -> None:
    for running in (aftersales, other):
        await running.hear(handlers.handle, [recorded(1, delivery_date="2026-04-01", invoice_date="2026-04-01")])
    for number, day, odometer_km, kind in VISITS:
        proto = WorkshopVisit.Kind.Value(f"KIND_{kind.value}")
        await create(other, number, visit_date=day.isoformat(), odometer_km=odometer_km, kind=proto)

    reasons = await record(aftersales, *VISITS)

    assert reasons == [""] * len(VISITS)
    assert await state(aftersales) == await state(other)
    last = {one.vin: one.first_service.done_date for one in await aftersales.told(FirstServiceChanged)}
    assert last == {vin_of(1): "2026-05-01", vin_of(3): "2026-05-03"}


async def test_what_is_there_already_or_runs_backwards_is_left_out(aftersales: OneService) -> None:
    await create(aftersales, 1, visit_date="2026-05-01", odometer_km=1_400)
    await create(aftersales, 2, visit_date="2026-05-05", odometer_km=5_000, store=OTHER_STORE)
    visits: list[Visit] = [*VISITS, (2, date(2026, 5, 6), 4_999, VisitKind.REPAIR)]

    reasons = await record(aftersales, *visits)

    assert reasons == ["VISIT_ALREADY_RECORDED", "", "", "", "", "VISIT_INVALID"]
    assert await record(aftersales, *visits) == [*["VISIT_ALREADY_RECORDED"] * 5, "VISIT_INVALID"]
    assert len(await aftersales.told(VisitFinished)) == 6


async def test_a_dry_look_says_the_same_and_writes_nothing(aftersales: OneService) -> None:
    await create(aftersales, 2, visit_date="2026-05-05", odometer_km=5_000, store=OTHER_STORE)
    before = await state(aftersales)
    visits = [(STORE, draft(visit)) for visit in [*VISITS, (2, date(2026, 5, 6), 4_999, VisitKind.REPAIR)]]

    async with aftersales.database.transaction(Scope.system("test"), read_only=True) as session:
        errors = await service.examine(session, visits)

    assert [error is None for error in errors] == [True] * 5 + [False]
    assert await state(aftersales) == before


async def test_lists_visits_and_deliveries_at_once_lose_nothing(aftersales: OneService) -> None:
    numbers = range(1, 31)
    forward: list[Visit] = [(number, date(2026, 5, 1), 500, VisitKind.REPAIR) for number in numbers]
    backward: list[Visit] = [(number, date(2026, 5, 2), 600, VisitKind.REPAIR) for number in reversed(numbers)]

    outcomes = await asyncio.gather(
        record(aftersales, *forward),
        record(aftersales, *backward),
        record(aftersales, *forward, store=OTHER_STORE),
        aftersales.hear(handlers.handle, [recorded(number, delivery_date="2026-04-01") for number in numbers]),
        *(create(aftersales, number, visit_date="2026-05-03", odometer_km=700) for number in numbers[:5]),
    )

    assert outcomes[:3] == [[""] * 30] * 3
    vehicles = await aftersales.rows("select odometer_km, delivery_date from vehicle order by vin")
    assert [row["odometer_km"] for row in vehicles].count(700) == 5
    assert all(row["delivery_date"] == date(2026, 4, 1) and row["odometer_km"] >= 600 for row in vehicles)
    assert len(vehicles) == 30
    assert len(await aftersales.told(VisitFinished)) == 3 * 30 + 5
