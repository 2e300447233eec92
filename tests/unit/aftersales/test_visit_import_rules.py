"""A row of a list of visits follows the same rules as a visit that is entered by hand (GRP-05)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersales.imports import rules
from aftersales.imports.checkers import VisitChecker
from aftersales.imports.importer import VisitImporter
from aftersales.imports.values import FIELDS, KINDS, unpack_visit
from aftersales.vehicles.rules import readings
from aftersales.vehicles.values import Service, VisitKind
from aftersales.visits import rules as visit_rules
from aftersales.visits.values import UNKNOWN, Draft, History
from aftersales.warranty.values import FirstService
from kit.imports.values import Row, Severity
from tests.support.deliveries import STORE, vin_of

TODAY = date(2026, 5, 20)
AMERICAN = "5FNRL5H24CB009338"


def row(**changes: Any) -> Row:
    """A first service of last week, as the engine reads it."""
    values: dict[str, Any] = {
        "vin": vin_of(1),
        "visitDate": date(2026, 5, 13),
        "odometerKm": 1450,
        "kind": "首保",
    } | changes
    return Row(7, {field: value for field, value in values.items() if value is not None})


def read(**changes: Any) -> Draft | None:
    return rules.read(row(**changes), today=TODAY)[0]


def told(**changes: Any) -> list[tuple[str, str]]:
    return [(remark.field, remark.reason) for remark in rules.read(row(**changes), today=TODAY)[1]]


def at(day: date, odometer_km: int, kind: VisitKind = VisitKind.REPAIR, number: int = 1) -> tuple[str, Draft]:
    return STORE, Draft(vin_of(number), day, odometer_km, kind, None, 0)


def history(*services: Service, recorded: frozenset[tuple[str, date, VisitKind]] = frozenset()) -> History:
    return History(date(2026, 1, 1), 10, FirstService(), 0, services, recorded)


def verdicts(visits: list[tuple[str, Draft]], known: History = UNKNOWN) -> list[str | None]:
    return [
        None if found is None else (found.violations[0].rule if found.violations else found.reason)
        for found in visit_rules.judge(visits, {vin_of(1): known})
    ]


def test_a_good_row_is_a_visit() -> None:
    draft = read(vin=f" {vin_of(1).lower()} ", nextDueDate=date(2026, 11, 13), nextDueKm=6_500)

    expected = Draft(vin_of(1), date(2026, 5, 13), 1450, VisitKind.FIRST_SERVICE, date(2026, 11, 13), 6_500)
    assert draft == expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("首 保", VisitKind.FIRST_SERVICE),
        ("定期保养", VisitKind.SCHEDULED_MAINTENANCE),
        ("Regular Service", VisitKind.SCHEDULED_MAINTENANCE),
        ("KIND_SCHEDULED_MAINTENANCE", VisitKind.SCHEDULED_MAINTENANCE),
        ("机电维修", VisitKind.REPAIR),
        ("accident-repair", VisitKind.ACCIDENT_REPAIR),
        ("钣金/喷漆", VisitKind.ACCIDENT_REPAIR),
        ("年检", VisitKind.INSPECTION),
    ],
)
def test_a_kind_is_known_by_its_usual_names(text: str, kind: VisitKind) -> None:
    draft = read(kind=text)

    assert draft is not None
    assert draft.kind is kind


def test_every_kind_has_a_chinese_name() -> None:
    assert {kind for name, kind in KINDS.items() if not name.isascii()} == set(VisitKind)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"vin": "LJN"}, [("vin", "VIN_LENGTH")]),
        ({"visitDate": date(2026, 5, 21)}, [("visitDate", "DATE_IN_FUTURE")]),
        ({"visitDate": date(1989, 12, 31)}, [("visitDate", "DATE_TOO_EARLY")]),
        ({"odometerKm": -1}, [("odometerKm", "NUMBER_OUT_OF_RANGE")]),
        ({"odometerKm": 2**40}, [("odometerKm", "NUMBER_OUT_OF_RANGE")]),
        ({"kind": "洗车"}, [("kind", "KIND_UNKNOWN")]),
        ({"nextDueKm": 1450}, [("nextDueKm", "NEXT_DUE_PASSED")]),
        ({"nextDueDate": date(2026, 5, 13)}, [("nextDueDate", "NEXT_DUE_PASSED")]),
        ({"nextDueDate": date(2046, 5, 13)}, [("nextDueDate", "DATE_TOO_LATE")]),
        ({"vin": "", "kind": "?"}, [("kind", "KIND_UNKNOWN"), ("vin", "VIN_LENGTH")]),
    ],
)  # fmt: skip
def test_everything_that_is_wrong_with_a_row_is_told_by_its_field(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert read(**changes) is None
    assert told(**changes) == expected


def test_a_check_digit_that_is_not_binding_is_a_warning_only() -> None:
    """Only makers of China and North America must compute it (domain, section 9)."""
    european = "W" + AMERICAN[1:]

    draft, remarks = rules.read(row(vin=european), today=TODAY)

    assert draft is not None
    assert [(remark.severity, remark.reason) for remark in remarks] == [(Severity.WARNING, "VIN_CHECK_DIGIT")]
    assert told(vin=AMERICAN[:8] + "9" + AMERICAN[9:]) == [("vin", "VIN_CHECK_DIGIT")]


def test_a_visit_waits_as_the_same_visit() -> None:
    checker = VisitChecker(STORE, TODAY)
    source = row(nextDueDate=date(2026, 11, 13))

    draft, _ = checker.check(source)

    assert draft is not None
    assert (draft.row, draft.store_id, draft.key) == (7, STORE, f"{vin_of(1)} 2026-05-13 FIRST_SERVICE")
    assert unpack_visit(draft.payload) == rules.read(source, today=TODAY)[0]


def test_no_two_fields_share_a_header() -> None:
    headers = [header.casefold() for field in FIELDS for header in (field.name, *field.synonyms)]

    assert len(headers) == len(set(headers))
    assert VisitImporter.duplicate.severity is Severity.REJECTED


def test_a_visit_that_is_there_already_is_not_doubled() -> None:
    known = history(recorded=frozenset({(STORE, date(2026, 5, 1), VisitKind.REPAIR)}))

    assert verdicts([at(date(2026, 5, 1), 900), at(date(2026, 5, 1), 900, VisitKind.INSPECTION)], known) == [
        "VISIT_ALREADY_RECORDED",
        None,
    ]


def test_the_rows_of_a_list_need_not_be_in_order() -> None:
    later, earlier = at(date(2026, 5, 2), 2_000), at(date(2026, 5, 1), 1_000)

    assert verdicts([later, earlier]) == [None, None]


def test_an_odometer_never_runs_backwards_neither_in_the_list_nor_against_what_is_known() -> None:
    known = history(Service(date(2026, 3, 1), 5_000, VisitKind.REPAIR))
    list_of_visits = [
        at(date(2026, 2, 1), 5_001),
        at(date(2026, 4, 1), 4_999),
        at(date(2026, 5, 1), 9_000),
        at(date(2026, 5, 2), 8_000),
        at(date(2026, 1, 1), 9),
    ]

    assert verdicts(list_of_visits, known) == [
        "ODOMETER_ABOVE_LATER",
        "ODOMETER_DECREASED",
        None,
        "ODOMETER_DECREASED",
        "ODOMETER_DECREASED",
    ]


_VISITS = st.lists(
    st.builds(
        lambda day, km, kind, number: at(TODAY - timedelta(days=day), km, kind, number),
        st.integers(0, 30),
        st.integers(0, 40).map(lambda km: km * 100),
        st.sampled_from(VisitKind),
        st.integers(1, 2),
    ),
    max_size=12,
)


@given(visits=_VISITS)
def test_what_is_accepted_of_any_list_fits_together(visits: list[tuple[str, Draft]]) -> None:
    judged = visit_rules.judge(visits, {vin_of(1): history()})
    accepted = [visit for (_, visit), refused in zip(visits, judged, strict=True) if refused is None]

    assert len({(visit.vin, visit.visit_date, visit.kind) for visit in accepted}) == len(accepted)
    for vin in {visit.vin for visit in accepted}:
        services = [Service(it.visit_date, it.odometer_km, it.kind) for it in accepted if it.vin == vin]
        known = readings(date(2026, 1, 1), 10, services) if vin == vin_of(1) else readings(None, 0, services)
        by_time = sorted(known, key=lambda reading: (reading.date, reading.odometer_km))
        assert [one.odometer_km for one in by_time] == sorted(one.odometer_km for one in by_time)
    if visits:
        # The oldest of a vehicle that nobody has heard of is always right.
        oldest = min(range(len(visits)), key=lambda place: (visits[place][1].visit_date, visits[place][1].odometer_km))
        assert judged[oldest] is None or visits[oldest][1].vin == vin_of(1)
