from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersales.vehicles.values import VisitKind
from aftersales.visits import rules
from aftersales.visits.values import Draft
from aftersales.warranty.values import Reading
from tests.support.deliveries import vin_of
from tests.support.visits import visit

TODAY = date(2026, 5, 20)


def read(**changes: Any) -> Draft:
    return rules.read(visit(**changes), today=TODAY)


def violations(**changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(rules.InvalidVisit) as refused:
        read(**changes)
    return [(violation.field, violation.rule) for violation in refused.value.violations]


def odometer(day: date, odometer_km: int) -> Draft:
    return Draft(vin_of(1), day, odometer_km, VisitKind.REPAIR, None, 0)


def test_a_valid_visit_is_normalised() -> None:
    draft = read(vin=vin_of(1).lower(), next_due_date="2026-11-20", next_due_km=5_000)

    assert draft == Draft(vin_of(1), TODAY, 1450, VisitKind.FIRST_SERVICE, date(2026, 11, 20), 5_000)


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"vin": "LJN"}, "vin", "VIN_LENGTH"),
        ({"visit_date": "2026-02-29"}, "visit_date", "DATE_INVALID"),
        ({"visit_date": "2026-W21-3"}, "visit_date", "DATE_INVALID"),
        ({"visit_date": "2026-05-21"}, "visit_date", "DATE_IN_FUTURE"),
        ({"visit_date": "1989-12-31"}, "visit_date", "DATE_TOO_EARLY"),
        ({"next_due_date": "2026-05-20"}, "next_due_date", "NEXT_DUE_PASSED"),
        ({"next_due_date": "2126-05-20"}, "next_due_date", "DATE_TOO_LATE"),
        ({"next_due_km": 1450}, "next_due_km", "NEXT_DUE_PASSED"),
    ],
)
def test_a_wrong_visit_is_refused_on_its_field(changes: dict[str, Any], field: str, rule: str) -> None:
    assert violations(**changes) == [(f"workshop_visit.{field}", rule)]


def test_every_problem_is_told_at_once() -> None:
    assert len(violations(vin="", visit_date="x", next_due_date="y", next_due_km=1)) == 4


def test_an_odometer_below_an_earlier_reading_is_refused_and_the_reading_named() -> None:
    with pytest.raises(rules.InvalidVisit) as refused:
        rules.check_odometer(odometer(TODAY, 999), [Reading(date(2026, 5, 1), 1_000), Reading(TODAY, 500)])

    assert refused.value.violations[0].rule == "ODOMETER_DECREASED"
    assert "1000 km on 2026-05-01" in refused.value.violations[0].description
    assert "store" not in refused.value.message


def test_an_old_visit_above_a_later_reading_is_refused() -> None:
    with pytest.raises(rules.InvalidVisit) as refused:
        rules.check_odometer(odometer(date(2026, 4, 1), 1_001), [Reading(date(2026, 5, 1), 1_000)])

    assert refused.value.violations[0].rule == "ODOMETER_ABOVE_LATER"


@given(st.lists(st.tuples(st.dates(date(2026, 1, 1), TODAY), st.integers(0, 50)), max_size=8))
def test_what_is_accepted_one_by_one_never_runs_backwards(visits: list[tuple[date, int]]) -> None:
    accepted: list[Reading] = []
    for day, km in visits:
        try:
            rules.check_odometer(odometer(day, km), accepted)
        except rules.InvalidVisit:
            continue
        accepted.append(Reading(day, km))

    by_day = sorted(accepted, key=lambda reading: (reading.date, reading.odometer_km))
    assert [reading.odometer_km for reading in by_day] == sorted(reading.odometer_km for reading in accepted)
