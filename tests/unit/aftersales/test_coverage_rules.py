from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersales.coverage.rules import decide
from aftersales.warranty.values import Circumstance, ComponentGroup, Decision, Fault, FirstService, Reading, Ruling
from tests.support.visits import standing

LAST_DAY = date(2029, 1, 15)


def fault(**changes: Any) -> Fault:
    fields: dict[str, Any] = {
        "component_group": ComponentGroup.ENGINE,
        "date": date(2026, 5, 20),
        "odometer_km": 5_000,
        "circumstances": frozenset(),
    }
    return Fault(**fields | changes)


def codes(ruling: Ruling) -> list[str]:
    return [reason.code for reason in ruling.reasons]


def test_a_fault_within_time_and_mileage_is_covered_and_names_both_versions() -> None:
    ruling = decide(standing(), fault())

    assert ruling.decision is Decision.COVERED
    assert codes(ruling) == ["WITHIN_TERM"]
    assert "warrantyPolicies/paladin/versions/1" in ruling.reasons[0].text
    assert "warrantyPolicies/statutory-floor/versions/1" in ruling.reasons[0].text
    assert ruling.term is not None


def test_the_last_day_and_the_last_km_are_covered() -> None:
    assert decide(standing(), fault(date=LAST_DAY, odometer_km=60_000)).decision is Decision.COVERED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"date": LAST_DAY + timedelta(days=1)}, ["TERM_ENDED_BY_DATE"]),
        ({"odometer_km": 60_001}, ["TERM_ENDED_BY_MILEAGE"]),
        (
            {"date": LAST_DAY + timedelta(days=1), "odometer_km": 60_001},
            ["TERM_ENDED_BY_DATE", "TERM_ENDED_BY_MILEAGE"],
        ),
        ({"date": LAST_DAY + timedelta(days=1), "odometer_km": None}, ["TERM_ENDED_BY_DATE"]),
        ({"odometer_km": 60_001, "circumstances": frozenset({Circumstance.MISUSE})}, ["TERM_ENDED_BY_MILEAGE"]),
    ],
)
def test_whichever_comes_first_ends_the_term(changes: dict[str, Any], expected: list[str]) -> None:
    ruling = decide(standing(), fault(**changes))

    assert ruling.decision is Decision.NOT_COVERED
    assert codes(ruling) == expected
    assert ruling.missing_evidence == ()


def test_an_earlier_reading_beyond_the_limit_ends_the_term_without_a_new_one() -> None:
    driven = standing(readings=(Reading(date(2026, 5, 1), 61_000),))

    assert codes(decide(driven, fault(odometer_km=None))) == ["TERM_ENDED_BY_MILEAGE"]


@pytest.mark.parametrize(
    ("vehicle", "changes", "code", "evidence"),
    [
        ({}, {"odometer_km": None}, "ODOMETER_UNKNOWN", "ODOMETER_READING"),
        ({"start": None, "terms": ()}, {}, "START_UNKNOWN", "DELIVERY_RECORD"),
        ({"terms": ()}, {}, "NO_TERM_KNOWN", "WARRANTY_POLICY"),
        ({"readings": ()}, {"date": date(2026, 1, 14)}, "FAULT_BEFORE_START", "FAULT_DATE"),
        ({"readings": (Reading(date(2026, 5, 1), 5_001),)}, {}, "ODOMETER_DECREASED", "ODOMETER_HISTORY"),
        ({"first_service": FirstService(date(2026, 4, 15), 1500)}, {}, "FIRST_SERVICE_OVERDUE", "FIRST_SERVICE_RECORD"),
    ],
)
def test_what_is_not_known_is_referred_with_the_missing_evidence(
    vehicle: dict[str, Any], changes: dict[str, Any], code: str, evidence: str
) -> None:
    ruling = decide(standing(**vehicle), fault(**changes))

    assert ruling.decision is Decision.REFER
    assert code in codes(ruling)
    assert evidence in ruling.missing_evidence


@pytest.mark.parametrize("circumstance", list(Circumstance))
def test_every_circumstance_is_referred_with_its_rule_and_evidence(circumstance: Circumstance) -> None:
    ruling = decide(standing(), fault(circumstances=frozenset({circumstance})))

    assert ruling.decision is Decision.REFER
    assert codes(ruling) == [circumstance.value]
    assert ruling.reasons[0].rule.startswith("WAR-")
    assert ruling.missing_evidence


@pytest.mark.parametrize("circumstance", [Circumstance.FLEET_OR_EXPORT, Circumstance.REPLACEMENT_PART])
def test_terms_of_their_own_are_referred_even_when_the_usual_term_ended(circumstance: Circumstance) -> None:
    late = fault(date=LAST_DAY + timedelta(days=1), circumstances=frozenset({circumstance}))

    assert decide(standing(), late).decision is Decision.REFER


def test_a_first_service_that_was_late_but_before_the_fault_is_recorded() -> None:
    late = standing(first_service=FirstService(date(2026, 4, 15), 1500, date(2026, 5, 10)))

    assert decide(late, fault()).decision is Decision.COVERED


def test_a_mileage_beyond_the_first_service_is_told_but_does_not_withhold_cover() -> None:
    young = standing(first_service=FirstService(date(2026, 6, 15), 1500))

    ruling = decide(young, fault())

    assert ruling.decision is Decision.COVERED
    assert codes(ruling) == ["WITHIN_TERM", "FIRST_SERVICE_MILEAGE_PASSED"]
    assert ruling.missing_evidence == ("FIRST_SERVICE_RECORD",)


@given(
    st.dates(date(2025, 1, 1), date(2032, 1, 1)),
    st.none() | st.integers(0, 100_000),
    st.frozensets(st.sampled_from(Circumstance)),
)
def test_covered_means_within_both_limits_and_nothing_in_doubt(
    day: date, odometer_km: int | None, circumstances: frozenset[Circumstance]
) -> None:
    ruling = decide(standing(), fault(date=day, odometer_km=odometer_km, circumstances=circumstances))

    assert ruling.reasons
    if ruling.decision is Decision.COVERED:
        assert date(2026, 1, 15) <= day <= LAST_DAY
        assert odometer_km is not None
        assert odometer_km <= 60_000
        assert not circumstances
    if ruling.decision is Decision.REFER:
        assert ruling.missing_evidence
    if ruling.decision is Decision.NOT_COVERED:
        assert day > LAST_DAY or (odometer_km or 0) > 60_000
