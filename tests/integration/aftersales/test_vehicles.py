"""Vehicles learnt from deliveries, their warranty and coverage, through the real handler, server and database."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from aftersales.vehicles import handlers, service
from dealerloop.aftersales.events.v1.events_pb2 import FirstServiceChanged
from dealerloop.aftersales.v1 import vehicles_pb2
from dealerloop.aftersales.v1.vehicles_pb2 import (
    CoverageDecision,
    DecideCoverageRequest,
    FirstService,
    GetWarrantyRequest,
    ListFirstServicesForProjectionRequest,
    Warranty,
)
from kit.db.scope import Scope
from kit.errors import DomainError, InvalidArgument, NotFound, PermissionDenied
from tests.support.deliveries import NOW, OTHER_STORE, STORE, cancelled, corrected, recorded, vin_of
from tests.support.one_service import OneService
from tests.support.workshop import create, decide, warranty

TABLES = ("vehicle_sale", "vehicle_relation", "warranty_term")


async def first_services(aftersales: OneService) -> list[tuple[str, str, int]]:
    events = await aftersales.told(FirstServiceChanged)
    services = [event.first_service for event in events]
    return [(one.due_date, one.done_date, one.version) for one in services]


async def state(aftersales: OneService) -> dict[str, Any]:
    """Everything that follows from the deliveries; how often it changed on the way does not."""
    tables: dict[str, Any] = {}
    for table in TABLES:
        rows = await aftersales.rows(f"select * from {table}")
        tables[table] = sorted((tuple(sorted(row.items())) for row in rows), key=str)
    vehicles = await aftersales.rows("select * from vehicle order by vin")
    for vehicle in vehicles:
        del vehicle["first_service_version"], vehicle["update_time"]
    return tables | {"vehicle": vehicles}


async def test_a_delivery_makes_a_vehicle_with_terms_and_a_due_date(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1)])

    found = await warranty(aftersales, 1)

    assert (found.brand, found.series, found.start_date, found.odometer_km) == ("Nissan", "Paladin", "2026-05-20", 12)
    assert [term.end_date for term in found.terms] == ["2029-05-20", "2029-05-20"]
    assert found.terms[0].policy_version == "warrantyPolicies/paladin/versions/1"
    assert found.terms[0].statutory_version == "warrantyPolicies/statutory-floor/versions/1"
    assert found.terms[0].statutory
    assert (found.first_service_due_date, found.first_service_due_km) == ("2026-08-20", 1500)
    assert found.free_services_left == 2
    assert {reason.code for reason in found.reasons} == {"STATUTORY_FLOOR_APPLIES", "FIRST_SERVICE_MONTHS_ASSUMED"}
    assert await first_services(aftersales) == [("2026-08-20", "", 1)]


async def test_what_is_heard_twice_changes_nothing(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1)])
    before = await aftersales.rows("select * from vehicle")

    await aftersales.hear(handlers.handle, [recorded(1), recorded(1)])

    assert await aftersales.rows("select * from vehicle") == before
    assert len(await first_services(aftersales)) == 1


async def test_any_order_of_events_ends_in_the_same_state(aftersales: OneService) -> None:
    story = [
        recorded(1),
        corrected(1, series="D22", delivery_date="2026-01-31", invoice_date="2026-01-31"),
        cancelled(1, version=3, series="D22"),
        recorded(2, vin=vin_of(1), store_id=OTHER_STORE, record_time=NOW + timedelta(hours=1)),
        recorded(3, series="Sylphy"),
        corrected(3, series="锐骐"),
        recorded(4),
        cancelled(4),
    ]
    for event in story:
        await aftersales.hear(handlers.handle, [event])
    expected = await state(aftersales)
    source = random.Random(4)

    for _ in range(5):
        for table in (*TABLES, "vehicle"):
            async with aftersales.database.transaction(Scope.system("test")) as session:
                await session.execute(sa.text(f"delete from {table}"))
        told = story + source.choices(story, k=4)
        source.shuffle(told)
        middle = source.randint(0, len(told))
        await aftersales.hear(handlers.handle, told[:middle])
        await aftersales.hear(handlers.handle, told[middle:])
        assert await state(aftersales) == expected


async def test_a_correction_moves_the_due_date_and_is_told_once(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1)])

    await aftersales.hear(handlers.handle, [corrected(1, delivery_date="2025-11-30", invoice_date="2025-11-30")])
    await aftersales.hear(handlers.handle, [corrected(1, version=3, odometer_km=20, delivery_date="2025-11-30")])

    assert await first_services(aftersales) == [("2026-08-20", "", 1), ("2026-02-28", "", 2)]


async def test_a_cancelled_delivery_takes_the_start_away(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1), recorded(2)])
    await aftersales.hear(handlers.handle, [cancelled(1)])

    found = await warranty(aftersales, 1)

    assert (found.start_date, list(found.terms), found.first_service_due_date) == ("", [], "")
    assert [reason.code for reason in found.reasons] == ["START_UNKNOWN"]
    assert (await first_services(aftersales))[-1] == ("", "", 2)


async def test_an_unknown_series_has_the_floor_and_no_plan(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1, series="Sylphy")])

    found = await warranty(aftersales, 1)

    assert [(term.months, term.policy_version) for term in found.terms] == [(36, ""), (36, "")]
    assert {reason.code for reason in found.reasons} == {"SERIES_WITHOUT_POLICY", "NO_MAINTENANCE_PLAN"}
    assert await first_services(aftersales) == []


async def test_a_vehicle_is_visible_through_a_relation_only(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1)])

    with pytest.raises(NotFound):
        await warranty(aftersales, 1, store=OTHER_STORE)
    with pytest.raises(NotFound):
        await decide(aftersales, 1, store=OTHER_STORE, odometer_km=5)
    with pytest.raises(NotFound):
        await warranty(aftersales, 2)
    with pytest.raises(PermissionDenied):
        await warranty(aftersales, 1, token=aftersales.token("ROLE_WARRANTY_CLERK", OTHER_STORE))

    await create(aftersales, 1, store=OTHER_STORE)

    assert (await warranty(aftersales, 1, store=OTHER_STORE)).start_date == "2026-05-20"


async def test_a_store_that_cancelled_loses_sight_when_another_delivers(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1), cancelled(1)])
    later = {"record_time": NOW + timedelta(hours=1), "store_id": OTHER_STORE}
    await aftersales.hear(handlers.handle, [recorded(2, vin=vin_of(1), **later)])

    assert (await warranty(aftersales, 1, store=OTHER_STORE)).start_date == "2026-05-20"
    with pytest.raises(NotFound):
        await warranty(aftersales, 1)


async def test_the_service_role_sees_related_vehicles_only(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1), recorded(2, store_id=OTHER_STORE)])
    await create(aftersales, 2, store=OTHER_STORE, odometer_km=100)

    async with aftersales.database.transaction(Scope.store(STORE)) as session:
        for table in ("vehicle", "warranty_term", "vehicle_sale", "vehicle_relation", "service_record"):
            seen = (await session.execute(sa.text(f"select distinct vin from {table}"))).scalars().all()
            assert seen in ([vin_of(1)], [])
        assert (await session.execute(sa.text("select count(*) from service_record"))).scalar_one() == 0


async def test_published_policies_cannot_be_changed_by_the_service(aftersales: OneService) -> None:
    for table in ("warranty_policy_version", "warranty_policy_span", "maintenance_plan_version"):
        with pytest.raises(sa.exc.DBAPIError, match="permission denied"):
            async with aftersales.database.transaction(Scope.system("test")) as session:
                await session.execute(sa.text(f"update {table} set version = version + 1"))


async def test_coverage_is_decided_by_time_and_mileage(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1)])

    covered = await decide(aftersales, 1, odometer_km=900)
    ended = await decide(aftersales, 1, odometer_km=60_001)
    unknown = await decide(aftersales, 1)
    worn = await decide(aftersales, 1, odometer_km=900, circumstances=[vehicles_pb2.CIRCUMSTANCE_WEAR_PART])

    assert covered.decision == CoverageDecision.DECISION_COVERED
    assert covered.term.policy_version == "warrantyPolicies/paladin/versions/1"
    assert ended.decision == CoverageDecision.DECISION_NOT_COVERED
    assert [reason.code for reason in ended.reasons] == ["TERM_ENDED_BY_MILEAGE"]
    assert unknown.decision == CoverageDecision.DECISION_REFER
    assert list(unknown.missing_evidence) == ["ODOMETER_READING"]
    assert worn.decision == CoverageDecision.DECISION_REFER
    assert [(reason.code, reason.rule) for reason in worn.reasons] == [("WEAR_PART", "WAR-04")]


async def test_the_term_ends_by_date_in_the_stores_day(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1, delivery_date="2023-05-20", invoice_date="2023-05-20")])
    await create(aftersales, 1, visit_date="2023-08-01", odometer_km=1_000)

    assert (await decide(aftersales, 1, odometer_km=30_000)).decision == CoverageDecision.DECISION_COVERED
    aftersales.clock.advance(timedelta(hours=12))
    late = await decide(aftersales, 1, odometer_km=30_000)

    assert [reason.code for reason in late.reasons] == ["TERM_ENDED_BY_DATE"]


@pytest.mark.parametrize(
    ("day", "rule"),
    [("2026-02-29", "DATE_INVALID"), ("2026-05-21", "DATE_IN_FUTURE"), ("1900-01-01", "DATE_TOO_EARLY")],
)
async def test_a_wrong_fault_date_is_refused_on_its_field(aftersales: OneService, day: str, rule: str) -> None:
    await aftersales.hear(handlers.handle, [recorded(1)])

    with pytest.raises(InvalidArgument) as refused:
        await decide(aftersales, 1, fault_date=day)

    assert refused.value.reason == "FAULT_INVALID"
    assert [(violation.field, violation.rule) for violation in refused.value.violations] == [("fault_date", rule)]


async def test_the_snapshot_tells_first_services_as_the_last_event_did(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1), recorded(2), recorded(3, series="Sylphy")])
    await create(aftersales, 2)
    await aftersales.hear(handlers.handle, [cancelled(1)])

    found = await aftersales.stream(
        "VehicleService/ListFirstServicesForProjection", ListFirstServicesForProjectionRequest(), FirstService
    )

    events = await aftersales.told(FirstServiceChanged)
    last = {event.vin: event.first_service for event in events}
    assert {one.vin: one for one in found} == last
    assert set(last) == {vin_of(1), vin_of(2)}


async def test_an_unreadable_delivery_is_a_permanent_error(aftersales: OneService) -> None:
    with pytest.raises(DomainError):
        await aftersales.hear(handlers.handle, [recorded(1, invoice_date="soon")])


async def test_a_restored_source_wins_over_newer_versions_and_forgets(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1), recorded(2), corrected(1, version=3, series="D22")])
    told = [recorded(1).delivery]

    async with aftersales.database.transaction(Scope.system("test")) as session:
        sales = [handlers.sale_of(facts) for facts in told]
        await service.take_sales(session, sales, NOW, rewound=True)
        await service.forget_sales(session, [one.delivery_id for one in sales], NOW + timedelta(seconds=1), NOW)

    assert (await warranty(aftersales, 1)).series == "Paladin"
    with pytest.raises(NotFound):
        await warranty(aftersales, 2)
    sale = await aftersales.rows("select version from vehicle_sale")
    assert sale == [{"version": 1}]


async def test_hundreds_of_deliveries_are_taken_in_a_fixed_number_of_statements(aftersales: OneService) -> None:
    events = [recorded(number, delivery_date=str(date(2026, 1, 1))) for number in range(1, 501)]

    with aftersales.counting() as statements:
        await aftersales.hear(handlers.handle, events)

    assert len(statements) <= 6
    assert await aftersales.rows("select count(*) as n from vehicle") == [{"n": 500}]
    assert len(await first_services(aftersales)) == 500
    assert (await warranty(aftersales, 500)).first_service_due_date == "2026-04-01"


async def test_a_vin_in_small_letters_is_the_same_vehicle(aftersales: OneService) -> None:
    await aftersales.hear(handlers.handle, [recorded(1)])

    request = GetWarrantyRequest(name=f"stores/{STORE}/vehicles/{vin_of(1).lower()}/warranty")
    token = aftersales.token("ROLE_WARRANTY_CLERK", STORE)
    found = await aftersales.call("VehicleService/GetWarranty", request, Warranty, token=token)

    assert found.name == f"stores/{STORE}/vehicles/{vin_of(1)}/warranty"
    none = GetWarrantyRequest(name=f"stores/{STORE}/vehicles/x/warranty")
    with pytest.raises(NotFound):
        await aftersales.call("VehicleService/GetWarranty", none, Warranty, token=token)


async def test_a_coverage_question_names_the_component_group(aftersales: OneService) -> None:
    request = DecideCoverageRequest(name=f"stores/{STORE}/vehicles/{vin_of(1)}")
    token = aftersales.token("ROLE_WARRANTY_CLERK", STORE)

    with pytest.raises(InvalidArgument) as refused:
        await aftersales.call("VehicleService/DecideCoverage", request, CoverageDecision, token=token)

    assert refused.value.violations[0].field == "component_group"
