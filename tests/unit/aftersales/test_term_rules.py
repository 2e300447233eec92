from __future__ import annotations

import calendar
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersales.warranty import rules
from aftersales.warranty.values import (
    Catalogue,
    ComponentGroup,
    PolicyKind,
    PolicyVersion,
    Span,
    Term,
    Validity,
)
from tests.support.visits import shipped

DAYS = st.dates(date(1990, 1, 1), date(2100, 12, 31))
SPANS = st.builds(Span, st.integers(1, 120), st.integers(1_000, 300_000))
FLOOR = "warrantyPolicies/statutory-floor/versions/1"


def terms(series: str, start: date, catalogue: Catalogue | None = None) -> dict[ComponentGroup, Term]:
    found = rules.terms(catalogue or shipped(), brand="Nissan", series=series, start=start)
    return {term.component_group: term for term in found}


def version(kind: PolicyKind, span: Span, number: int = 1, first: date = date(1990, 1, 1)) -> PolicyVersion:
    validity = Validity(("*",), ("*",), first, None)
    spans = dict.fromkeys(ComponentGroup, span)
    return PolicyVersion(kind.value.lower(), number, kind, validity, spans)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (date(2026, 1, 15), 24, date(2028, 1, 15)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2024, 2, 29), 36, date(2027, 2, 28)),
        (date(2024, 2, 29), 48, date(2028, 2, 29)),
        (date(2025, 11, 30), 3, date(2026, 2, 28)),
        (date(2025, 12, 1), 1, date(2026, 1, 1)),
    ],
)
def test_months_are_calendar_months_and_end_with_a_shorter_month(start: date, months: int, end: date) -> None:
    assert rules.add_months(start, months) == end


@given(DAYS, st.integers(0, 240))
def test_the_last_day_is_the_same_day_of_the_month_or_the_months_last(start: date, months: int) -> None:
    end = rules.add_months(start, months)

    assert (end.year - start.year) * 12 + end.month - start.month == months
    assert end.day == min(start.day, calendar.monthrange(end.year, end.month)[1])


@given(DAYS, DAYS, st.integers(0, 240))
def test_a_later_start_never_ends_earlier(one: date, other: date, months: int) -> None:
    first, second = sorted((one, other))

    assert rules.add_months(first, months) <= rules.add_months(second, months)


def test_the_statutory_floor_is_longer_than_every_shipped_policy() -> None:
    for series in ("Paladin", "D22", "锐骐"):
        for term in terms(series, date(2026, 1, 31)).values():
            assert (term.months, term.distance_km, term.end_date) == (36, 60_000, date(2029, 1, 31))
            assert term.statutory
            assert term.statutory_version == FLOOR
            assert term.policy_version.startswith("warrantyPolicies/")


def test_before_the_floor_was_in_force_the_policy_stands_alone() -> None:
    found = terms("d22", date(2021, 12, 31))

    engine, rest = found[ComponentGroup.ENGINE], found[ComponentGroup.REST_OF_VEHICLE]
    assert (engine.months, engine.distance_km) == (24, 50_000)
    assert (rest.months, rest.distance_km) == (18, 30_000)
    assert not engine.statutory
    assert engine.statutory_version == ""


def test_an_unknown_series_has_the_floor_alone() -> None:
    found = terms("Sylphy", date(2026, 1, 1))

    assert [term.policy_version for term in found.values()] == ["", ""]
    assert [term.statutory_version for term in found.values()] == [FLOOR, FLOOR]
    assert terms("Sylphy", date(2021, 1, 1)) == {}


@pytest.mark.parametrize("spelling", ["PALADIN", " paladin ", "Ｐａｌａｄｉｎ", "帕拉丁", "Paladin 2.5 4WD"])
def test_a_series_is_recognised_in_its_spellings(spelling: str) -> None:
    assert terms(spelling, date(2026, 1, 1))[ComponentGroup.ENGINE].policy_version == (
        "warrantyPolicies/paladin/versions/1"
    )


@given(SPANS, SPANS, DAYS)
def test_the_effective_term_is_never_shorter_than_policy_or_floor(policy: Span, floor: Span, start: date) -> None:
    both = Catalogue((version(PolicyKind.MANUFACTURER, policy), version(PolicyKind.STATUTORY, floor)), ())

    for term in terms("any", start, both).values():
        assert term.months == max(policy.months, floor.months)
        assert term.distance_km == max(policy.distance_km, floor.distance_km)
        assert term.policy_version
        assert term.statutory_version
        assert not (term.statutory and policy == floor)


def test_the_version_in_force_at_the_invoice_date_holds() -> None:
    old = version(PolicyKind.MANUFACTURER, Span(24, 50_000), 1)
    new = version(PolicyKind.MANUFACTURER, Span(60, 100_000), 2, date(2026, 3, 1))
    both = Catalogue((new, old), ())

    before, after = terms("any", date(2026, 2, 28), both), terms("any", date(2026, 3, 1), both)

    assert before[ComponentGroup.ENGINE].policy_version.endswith("/versions/1")
    assert after[ComponentGroup.ENGINE].policy_version.endswith("/versions/2")


def test_reasons_say_why_terms_are_as_they_are() -> None:
    known = rules.terms(shipped(), brand="Nissan", series="Ruiqi", start=date(2026, 1, 1))
    plan = rules.plan_for(shipped(), brand="Nissan", series="Ruiqi", at=date(2026, 1, 1))
    unknown = rules.terms(shipped(), brand="Nissan", series="Sylphy", start=date(2026, 1, 1))

    assert [reason.code for reason in rules.explain(start=date(2026, 1, 1), terms=known, plan=plan)] == [
        "STATUTORY_FLOOR_APPLIES",
        "FIRST_SERVICE_MONTHS_ASSUMED",
        "FIRST_SERVICE_KM_ASSUMED",
    ]
    assert [reason.code for reason in rules.explain(start=date(2026, 1, 1), terms=unknown, plan=None)] == [
        "SERIES_WITHOUT_POLICY",
        "NO_MAINTENANCE_PLAN",
    ]
    assert [reason.code for reason in rules.explain(start=None, terms=(), plan=None)] == ["START_UNKNOWN"]
    assert rules.explain(start=date(2020, 1, 1), terms=(), plan=None)[0].code == "NO_TERM_KNOWN"


def test_free_services_are_used_up_one_by_one() -> None:
    plan = rules.plan_for(shipped(), brand="Nissan", series="Paladin", at=date(2026, 1, 1))

    assert rules.free_services_left(plan, first_service_done=False, scheduled_visits=0) == 2
    assert rules.free_services_left(plan, first_service_done=True, scheduled_visits=0) == 1
    assert rules.free_services_left(plan, first_service_done=True, scheduled_visits=3) == 0
    assert rules.free_services_left(None, first_service_done=False, scheduled_visits=0) == 0
