from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aftersales.vehicles import rules
from aftersales.vehicles.values import Derived, RelationKind, Sale, VisitKind
from aftersales.warranty.values import FirstService
from tests.support.deliveries import NOW, OTHER_STORE, STORE, vin_of
from tests.support.visits import sale, service, shipped

VIN = vin_of(1)


def derive(*sales: Sale) -> Derived:
    return rules.derive(VIN, list(rules.newest(sales).values()), [], shipped())


@st.composite
def stories(draw: st.DrawFn) -> list[Sale]:
    """Deliveries of one vehicle: each recorded, corrected some times, and cancelled unless it is the last."""
    told: list[Sale] = []
    deliveries = draw(st.integers(1, 3))
    for number in range(1, deliveries + 1):
        store = draw(st.sampled_from([STORE, OTHER_STORE]))
        day = date(2026, 1, 31) + timedelta(days=number)
        first = sale(
            number, store_id=store, delivery_date=day, invoice_date=day, record_time=NOW + timedelta(hours=number)
        )
        versions = [first]
        for _ in range(draw(st.integers(0, 2))):
            fields = {name: getattr(first, name) for name in Sale.__slots__}
            km, series = draw(st.integers(0, 99)), draw(st.sampled_from(["Paladin", "D22", "Sylphy"]))
            versions.append(Sale(**fields | {"version": len(versions) + 1, "odometer_km": km, "series": series}))
        if number < deliveries or draw(st.booleans()):
            fields = {name: getattr(versions[-1], name) for name in Sale.__slots__}
            versions.append(Sale(**fields | {"version": len(versions) + 1, "cancelled": True}))
        told.extend(versions)
    return told


@given(st.data())
def test_any_order_and_repetition_ends_in_the_same_vehicle(data: st.DataObject) -> None:
    story = data.draw(stories())
    repeated = data.draw(st.lists(st.sampled_from(story), max_size=6))
    shuffled = data.draw(st.permutations(story + repeated))
    cuts = data.draw(st.lists(st.integers(0, len(shuffled)), max_size=3).map(sorted))

    kept: dict[UUID, Sale] = {}
    for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True):
        # Batch by batch, as the handler does: the newest of the batch, then the newer of it and what is kept.
        kept = rules.newest([*kept.values(), *rules.newest(shuffled[start:end]).values()])

    assert rules.derive(VIN, list(kept.values()), [], shipped()) == derive(*story)


def test_a_delivery_gives_terms_and_a_due_date() -> None:
    derived = derive(sale(delivery_date=date(2026, 1, 31), invoice_date=date(2026, 1, 20)))

    assert derived.vehicle.first_service == FirstService(date(2026, 4, 30), 1500)
    assert derived.vehicle.plan_version == "maintenancePlans/paladin/versions/1"
    assert {term.end_date for term in derived.terms} == {date(2029, 1, 20)}
    assert derived.sellers == ((STORE, RelationKind.SOLD),)


def test_a_cancelled_delivery_takes_the_start_away_and_keeps_the_vehicle() -> None:
    derived = derive(sale(), sale(version=2, cancelled=True))

    assert derived.vehicle.invoice_date is None
    assert derived.vehicle.series == "Paladin"
    assert derived.vehicle.first_service == FirstService()
    assert derived.terms == ()
    assert derived.sellers == ((STORE, RelationKind.SALE_CANCELLED),)


def test_the_next_delivery_takes_the_vehicle_from_the_store_that_cancelled() -> None:
    derived = derive(
        sale(1, version=2, cancelled=True),
        sale(2, store_id=OTHER_STORE, invoice_date=date(2026, 5, 21), record_time=NOW + timedelta(days=1)),
    )

    assert derived.vehicle.invoice_date == date(2026, 5, 21)
    assert derived.sellers == ((OTHER_STORE, RelationKind.SOLD),)


def test_an_unknown_series_has_no_plan() -> None:
    derived = derive(sale(series="Sylphy"))

    assert derived.vehicle.plan_version == ""
    assert derived.vehicle.first_service == FirstService()
    assert [term.policy_version for term in derived.terms] == ["", ""]


def test_the_earliest_first_service_counts_and_the_latest_reading() -> None:
    visits = [
        service(date(2026, 6, 20), 1_500),
        service(date(2026, 6, 10), 1_200),
        service(date(2026, 9, 1), 5_000, VisitKind.SCHEDULED_MAINTENANCE),
    ]

    derived = rules.derive(VIN, [sale()], visits, shipped())

    assert derived.vehicle.first_service.done_date == date(2026, 6, 10)
    assert derived.vehicle.odometer_km == 5_000
    assert rules.scheduled_visits(visits) == 1


def test_nothing_known_is_a_vehicle_without_anything() -> None:
    derived = rules.derive(VIN, [], [], shipped())

    assert derived.vehicle.series == ""
    assert derived.sellers == ()
