from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealership import vin
from dealership.people import Names
from dealership.staff import staff_of
from kit.imports.normalising import folded
from kit.imports.values import Field, Remark, Row, Severity, Value
from sales.customers.values import Buyer, Person
from sales.imports import rules
from sales.imports.fields import CUSTOMER_FIELDS, DELIVERY_FIELDS
from sales.imports.places import Place, Places
from sales.imports.values import (
    Doubt,
    ListedDelivery,
    pack_customer,
    pack_delivery,
    unpack_customer,
    unpack_delivery,
)
from tests.support.deliveries import NOW, STORE, vin_of
from tests.support.people import colleague

BEIJING = Place(STORE, "Beijing", ZoneInfo("Asia/Shanghai"))
OWN = Places([BEIJING], own=STORE)
STAFF = [
    *(staff_of(colleague(one, STORE, name=name)) for one, name in (("li-lei", "李雷"), ("wang.fang", "王　芳"))),
    *(staff_of(colleague(f"li.na-{number}", STORE, name="李娜")) for number in (1, 2)),
]
PEOPLE = {STORE: Names(STORE, STAFF)}


def row(**changes: Value) -> Row:
    """A row that lacks nothing; a value of nothing takes a cell away. Dots in names of fields are written `_of_`."""
    values: dict[str, Value] = {
        "vin": vin_of(1),
        "brand": "Nissan",
        "series": "Paladin",
        "customer.displayName": "王小明",
        "customer.phone": "13800138000",
        "consultant": "li-lei",
        "deliveryTime": date(2026, 5, 18),
    }
    values |= {name.replace("_of_", "."): value for name, value in changes.items()}
    return Row(7, {name: value for name, value in values.items() if value != ""})


def listed(**changes: Value) -> tuple[ListedDelivery, list[tuple[str, str]]]:
    """What is taken, and field and reason of what was said about it."""
    place, found, remarks = rules.delivery(row(**changes), OWN, PEOPLE, NOW)
    assert place is BEIJING
    assert found is not None
    assert {remark.severity for remark in remarks} <= {Severity.WARNING}
    return found, [(remark.field, remark.reason) for remark in remarks]


def refused(**changes: Value) -> list[tuple[str, str]]:
    """Field and reason of what keeps the row out."""
    _, found, remarks = rules.delivery(row(**changes), OWN, PEOPLE, NOW)
    assert found is None
    return [(remark.field, remark.reason) for remark in remarks if remark.severity is Severity.REJECTED]


def test_a_whole_row_leaves_no_doubt() -> None:
    found, said = listed()

    assert said == []
    assert found.doubts == ()
    assert found.draft.buyer == Buyer(Person("王小明", "+8613800138000"), phone_verified=True)
    assert found.draft.handover.consultant_id == "li-lei"


@pytest.mark.parametrize(
    ("cell", "instant"),
    [
        (date(2026, 5, 18), datetime(2026, 5, 18, 4, tzinfo=UTC)),
        (datetime(2026, 5, 18, 9, 30), datetime(2026, 5, 18, 1, 30, tzinfo=UTC)),  # noqa: DTZ001 - as the cell is written
        (
            datetime(2014, 12, 18, 12, tzinfo=timezone(timedelta(hours=-8))),
            datetime(2014, 12, 18, 20, tzinfo=UTC),
        ),
        # Today's noon is still to come at eight in the morning: it is today all the same.
        (date(2026, 5, 20), datetime(2026, 5, 20, 4, tzinfo=UTC)),
    ],
)
def test_a_handover_is_told_in_the_stores_time_and_a_day_alone_means_noon(cell: Value, instant: datetime) -> None:
    handover = listed(deliveryTime=cell)[0].draft.handover

    assert handover.delivery_time == instant
    assert handover.delivery_date == instant.astimezone(BEIJING.time_zone).date()
    assert handover.invoice_date == handover.delivery_date


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"vin": "LJN"}, ("vin", "VIN_LENGTH")),
        ({"deliveryTime": date(2026, 5, 21)}, ("deliveryTime", "DATE_IN_FUTURE")),
        ({"deliveryTime": date(1989, 5, 21)}, ("deliveryTime", "DATE_TOO_EARLY")),
        ({"invoiceDate": date(2026, 5, 21)}, ("invoiceDate", "DATE_IN_FUTURE")),
        ({"insuranceExpiryDate": date(2126, 5, 21)}, ("insuranceExpiryDate", "DATE_TOO_LATE")),
        ({"financeEndDate": date(1926, 5, 21)}, ("financeEndDate", "DATE_TOO_EARLY")),
        ({"series": "a\x00b"}, ("series", "TEXT_CHARACTERS")),
        ({"odometerKm": -5}, ("odometerKm", "NUMBER_OUT_OF_RANGE")),
        ({"customer_of_displayName": "x" * 101}, ("customer.displayName", "TEXT_TOO_LONG")),
        ({"store": "Shanghai"}, ("store", "STORE_UNKNOWN")),
    ],
)
def test_a_row_breaks_the_same_rules_as_a_call(changes: dict[str, Value], remark: tuple[str, str]) -> None:
    assert refused(**changes) == [remark]


def test_every_problem_of_a_row_is_told_at_once() -> None:
    assert refused(vin="LJN", deliveryTime=date(2026, 6, 1), odometerKm=-1) == [
        ("vin", "VIN_LENGTH"),
        ("deliveryTime", "DATE_IN_FUTURE"),
        ("odometerKm", "NUMBER_OUT_OF_RANGE"),
    ]


@pytest.mark.parametrize(
    ("name", "phone", "kept", "said"),
    [
        ("", "", None, ["CUSTOMER_MISSING"]),
        ("", "on request", None, ["PHONE_INVALID", "CUSTOMER_MISSING"]),
        ("王小明", "", ("王小明", "", False), ["PHONE_MISSING"]),
        ("王小明", "on request", ("王小明", "", False), ["PHONE_INVALID", "PHONE_MISSING"]),
        ("王小明", "826-4678", ("王小明", "8264678", False), ["PHONE_UNVERIFIED"]),
        ("", "13800138000", ("", "+8613800138000", True), ["NAME_MISSING"]),
        ("王小明", "138 0013 8000 / 010-62345678", ("王小明", "+8613800138000", True), ["PHONE_SEVERAL"]),
        ("王小明", "8264678、13800138000", ("王小明", "+8613800138000", True), ["PHONE_SEVERAL"]),
        ("王小明", "8264678/8264679", ("王小明", "82646788264679", False), ["PHONE_UNVERIFIED"]),
    ],
)
def test_who_is_not_or_badly_known_is_taken_with_a_warning(
    name: str, phone: str, kept: tuple[str, str, bool] | None, said: list[str]
) -> None:
    found, remarks = listed(customer_of_displayName=name, customer_of_phone=phone)

    buyer = found.draft.buyer
    assert (buyer and (buyer.person.display_name, buyer.person.phone, buyer.phone_verified)) == kept
    assert [reason for _, reason in remarks] == said


@pytest.mark.parametrize(
    ("written", "consultant", "said"),
    [
        ("li-lei", "li-lei", []),
        (f"stores/{STORE}/staff/li-lei", "li-lei", []),
        ("", "", ["CONSULTANT_MISSING"]),
        ("李雷", "li-lei", []),
        ("李 雷", "li-lei", []),
        ("王芳", "wang.fang", []),
        ("李娜", "", ["CONSULTANT_AMBIGUOUS", "CONSULTANT_MISSING"]),
        ("li.na-2", "li.na-2", []),
        ("张伟", "", ["CONSULTANT_UNKNOWN", "CONSULTANT_MISSING"]),
        ("nobody", "", ["CONSULTANT_UNKNOWN", "CONSULTANT_MISSING"]),
        (f"stores/{STORE}/staff/nobody", "", ["CONSULTANT_UNKNOWN", "CONSULTANT_MISSING"]),
        ("stores/sh-01/staff/li-lei", "", ["CONSULTANT_UNKNOWN", "CONSULTANT_MISSING"]),
    ],
)
def test_a_consultant_is_named_by_id_or_by_a_name_of_his_own_and_anybody_else_is_found_out_later(
    written: str, consultant: str, said: list[str]
) -> None:
    found, remarks = listed(consultant=written)

    assert found.draft.handover.consultant_id == consultant
    assert [reason for _, reason in remarks] == said


def test_every_doubt_is_a_warning_of_the_dry_run_and_names_the_field_of_its_data_correction() -> None:
    for changes in ({"customer_of_displayName": "", "customer_of_phone": ""}, {"customer_of_phone": "8264678"}):
        found, remarks = listed(consultant="", **changes)

        assert {doubt.value for doubt in found.doubts} <= {reason for _, reason in remarks}
    assert {doubt.field for doubt in Doubt if doubt.of_person} == {"customer.displayName", "customer.phone"}
    assert {doubt.field for doubt in Doubt if not doubt.of_person} == {"customer", "consultant"}


def car(model_year: str) -> str:
    """An American car of the model year with this character."""
    draft = f"5FNRL5H20{model_year}B009338"
    return draft[: vin.CHECK_POSITION] + vin.check_digit(draft) + draft[vin.CHECK_POSITION + 1 :]


@pytest.mark.parametrize(
    ("changes", "odometer"),
    [
        # Model year 2015 by F, handed over in 2026, in 2016 and in 2017.
        ({"vin": car("F"), "odometerKm": 1}, 0),
        ({"vin": car("F"), "odometerKm": 1, "deliveryTime": date(2016, 5, 18)}, 1),
        ({"vin": car("F"), "odometerKm": 1, "deliveryTime": date(2017, 5, 18)}, 0),
        ({"vin": car("F"), "odometerKm": 2}, 2),
        # A maker who need not write the year there.
        ({"vin": "WDD2040021A065432", "odometerKm": 1}, 1),
        ({"odometerKm": 999_999}, 0),
        ({"odometerKm": 99_999}, 99_999),
        ({"odometerKm": 999_998}, 999_998),
    ],
)
def test_nines_and_one_kilometre_on_a_used_car_are_no_readings(changes: dict[str, Value], odometer: int) -> None:
    found, said = listed(**changes)

    assert found.draft.handover.odometer_km == odometer
    assert (("odometerKm", "ODOMETER_SENTINEL") in said) is (odometer == 0)


def test_remarks_of_a_call_are_remarks_of_a_row() -> None:
    _, said = listed(vin="WDD2040021A065432", invoiceDate=date(2025, 1, 1), insuranceExpiryDate=date(2026, 5, 1))

    assert said == [
        ("vin", "VIN_CHECK_DIGIT"),
        ("invoiceDate", "INVOICE_DATE_FAR_FROM_DELIVERY"),
        ("insuranceExpiryDate", "INSURANCE_EXPIRED_BEFORE_DELIVERY"),
    ]


@pytest.mark.parametrize("text", ["bj-01", "BJ-01", "stores/bj-01", " beijing ", "ＢＥＩＪＩＮＧ"])
def test_a_store_is_known_by_id_name_and_resource_name(text: str) -> None:
    assert Places([BEIJING]).find(text) is BEIJING


def test_a_name_that_two_stores_share_and_no_name_at_all_mean_no_store() -> None:
    twins = Places([BEIJING, Place("bj-02", "BEIJING", BEIJING.time_zone)])

    assert twins.find("Beijing") is None
    assert twins.find("") is None
    found = twins.find("bj-02")
    assert found is not None
    assert found.id == "bj-02"


def test_an_id_comes_before_a_name_that_reads_like_it() -> None:
    confusing = Place("sh-01", "bj-01", BEIJING.time_zone)

    assert Places([confusing, BEIJING]).find("bj-01") is BEIJING


def test_a_customer_of_a_list_has_fields_of_his_own() -> None:
    def said(**values: Value) -> list[Remark]:
        return rules.customer(Row(1, {"displayName": "Emma", **values}), OWN)[2]

    assert [(one.field, one.reason) for one in said(phone="8264678")] == [("phone", "PHONE_UNVERIFIED")]
    assert [(one.field, one.reason) for one in said()] == [("phone", "PHONE_MISSING")]
    assert [(one.field, one.reason) for one in said(displayName="x" * 101)] == [("displayName", "TEXT_TOO_LONG")]
    assert [(one.field, one.reason) for one in said(store="nowhere")] == [("store", "STORE_UNKNOWN")]


TEXTS = st.text(max_size=30)
CELLS = {
    "TEXT": TEXTS,
    "DAY": st.dates(),
    "TIME": st.dates() | st.datetimes() | st.datetimes(timezones=st.just(timezone(timedelta(hours=-23)))),
    "WHOLE_NUMBER": st.integers(-(10**12), 10**12),
}
ROWS = st.fixed_dictionaries(
    {field.name: CELLS[field.kind.value] for field in DELIVERY_FIELDS if field.required},
    optional={field.name: CELLS[field.kind.value] for field in DELIVERY_FIELDS if not field.required},
)


@given(ROWS, st.booleans())
def test_any_row_is_taken_or_refused_with_a_reason_and_is_the_same_after_waiting(
    values: dict[str, Value], whole: bool
) -> None:
    # Most random rows break at the VIN; half of them get a good one, brand and series.
    good: dict[str, Value] = {"vin": vin_of(1), "brand": "B", "series": "S", "deliveryTime": date(2020, 2, 29)}
    place, found, remarks = rules.delivery(
        Row(1, {**values, **good} if whole else values), Places([BEIJING], own=STORE), PEOPLE, NOW
    )

    rejections = [remark for remark in remarks if remark.severity is Severity.REJECTED]
    assert (found is None) is bool(rejections)
    names = {field.name for field in DELIVERY_FIELDS}
    assert {remark.field for remark in remarks} <= names
    if found is not None:
        assert place is BEIJING
        assert unpack_delivery(pack_delivery(found)) == found


@given(TEXTS, TEXTS)
def test_any_customer_is_taken_or_refused_with_a_reason_and_is_the_same_after_waiting(name: str, phone: str) -> None:
    _, found, remarks = rules.customer(Row(1, {"displayName": name, "phone": phone}), OWN)

    assert (found is None) is any(remark.severity is Severity.REJECTED for remark in remarks)
    assert {remark.field for remark in remarks} <= {field.name for field in CUSTOMER_FIELDS}
    if found is not None:
        assert unpack_customer(pack_customer(found)) == found


@pytest.mark.parametrize("fields", [DELIVERY_FIELDS, CUSTOMER_FIELDS])
def test_no_header_means_two_fields(fields: tuple[Field, ...]) -> None:
    meant: dict[str, set[str]] = {}
    for field in fields:
        for header in (field.name, *field.synonyms):
            meant.setdefault(folded(header), set()).add(field.name)

    assert {header: names for header, names in meant.items() if len(names) > 1} == {}
