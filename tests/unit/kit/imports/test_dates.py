"""Dates as people and programs write them."""

# ruff: noqa: DTZ001 - a cell has no zone
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.imports.dates import AMBIGUOUS, INVALID, DateOrder, excel_day, read
from kit.imports.normalising import Cell, converter
from kit.imports.values import Field, FieldKind

days = st.dates(date(1900, 1, 1), date(2199, 12, 31))
times = st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)).map(lambda at: at.replace(microsecond=0))


def value_of(cell: Cell, kind: FieldKind = FieldKind.TIME, order: DateOrder | None = None) -> object:
    value, remark = converter(Field("day", kind), date_order=order, replacements={})(cell)
    return value if remark is None else remark.reason


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026/11/3", date(2026, 11, 3)),
        ("2026-11-03", date(2026, 11, 3)),
        ("2026.11.3", date(2026, 11, 3)),
        ("20261103", date(2026, 11, 3)),
        ("2026年11月3日", date(2026, 11, 3)),
        ("２０２６年１１月３日", date(2026, 11, 3)),
        ("2026年11月3号 星期二", date(2026, 11, 3)),
        ("2026年11月3日14时05分", datetime(2026, 11, 3, 14, 5)),
        ("2026-11-03 下午2:05", datetime(2026, 11, 3, 14, 5)),
        ("2026-11-03 中午12:30", datetime(2026, 11, 3, 12, 30)),
        ("2026-11-03 12:05 am", datetime(2026, 11, 3, 0, 5)),
        ("2026/11/3  14:05:09", datetime(2026, 11, 3, 14, 5, 9)),
        ("20261103140509", datetime(2026, 11, 3, 14, 5, 9)),
        ("2026-11-03T10:00:00+08:00", datetime(2026, 11, 3, 10, tzinfo=timezone(timedelta(hours=8)))),
        ("2026-11-03T10:00:00.123Z", datetime(2026, 11, 3, 10, tzinfo=UTC)),
        (
            "Thu Dec 18 2014 12:00:00 GMT-0800 (PST)",
            datetime(2014, 12, 18, 12, tzinfo=timezone(timedelta(hours=-8))),
        ),
        ("Dec 18, 2014", date(2014, 12, 18)),
        ("18-Dec-2014", date(2014, 12, 18)),
        (date(2026, 11, 3), date(2026, 11, 3)),
        (datetime(2026, 11, 3, 14, 5), datetime(2026, 11, 3, 14, 5)),
        (datetime(2026, 11, 3), date(2026, 11, 3)),
        (20261103.0, date(2026, 11, 3)),
        (46329, date(2026, 11, 3)),
        (46329.5, datetime(2026, 11, 3, 12)),
    ],
)
def test_a_date_is_read_however_it_is_written(cell: Cell, expected: object) -> None:
    found = value_of(cell)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "cell",
    ["tomorrow", "2026-02-30", "2026/13/1", "2026-11-03 25:00", "12", "2026", "99999", 3.0, 99999, True, "1899-12-31",
     "2026-11-03T10:00:00+99:00"],
)  # fmt: skip
def test_what_is_no_date_is_rejected(cell: Cell) -> None:
    assert value_of(cell) == "DATE_INVALID"


@pytest.mark.parametrize("cell", ["1/2/2022", "01-02-2022", "1.2.22", "3/4/05"])
def test_a_date_with_two_readings_is_not_guessed(cell: str) -> None:
    assert value_of(cell) == "DATE_AMBIGUOUS"


def test_the_order_decides_what_can_be_read_in_two_ways() -> None:
    assert value_of("1/2/2022", order=DateOrder.MDY) == date(2022, 1, 2)
    assert value_of("1/2/2022", order=DateOrder.DMY) == date(2022, 2, 1)
    assert value_of("22/1/2", order=DateOrder.YMD) == date(2022, 1, 2)
    assert value_of("13/2/2022", order=DateOrder.MDY) == "DATE_INVALID"
    assert value_of("2022-02-01", order=DateOrder.DMY) == date(2022, 2, 1)


@given(days)
def test_without_an_order_a_date_is_read_only_when_one_day_is_possible(day: date) -> None:
    found = read(f"{day.day}/{day.month}/{day.year}", None)
    assert found == (AMBIGUOUS if day.day <= 12 and day.day != day.month else day)


@given(days, st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日"]))
def test_every_day_is_read_as_it_is_written_with_the_year_first(day: date, form: str) -> None:
    assert value_of(day.strftime(form)) == day


@given(times, st.sampled_from(["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y年%m月%d日 %H时%M分%S秒"]))
def test_every_moment_is_read_as_it_is_written(moment: datetime, form: str) -> None:
    assert value_of(moment.strftime(form)) == moment


@given(times)
def test_a_day_field_takes_the_day_that_is_written_whatever_the_zone(moment: datetime) -> None:
    assert value_of(moment.strftime("%a %b %d %Y %H:%M:%S GMT-0800 (PST)"), FieldKind.DAY) == moment.date()


def test_a_spreadsheet_counts_a_day_that_never_was() -> None:
    assert [excel_day(1), excel_day(59), excel_day(61)] == [date(1900, 1, 1), date(1900, 2, 28), date(1900, 3, 1)]
    with pytest.raises(ValueError, match="no such day"):
        excel_day(60)


@given(st.text())
def test_any_text_is_a_date_or_a_reason(text: str) -> None:
    found = value_of(text)
    assert found in {None, "DATE_INVALID", "DATE_AMBIGUOUS"} or isinstance(found, date)


def test_the_words_say_what_to_do() -> None:
    assert "order" in AMBIGUOUS.message
    assert INVALID.reason == "DATE_INVALID"
