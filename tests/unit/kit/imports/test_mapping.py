"""From headers to fields, and the rows behind them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.imports.mapping import ColumnMapping, Columns, RowReader, find_columns, letters
from kit.imports.values import Field, FieldKind, FileRefusedError, Limits, Remark, Row
from tests.support.files import opened, written
from tests.support.workbooks import Value, archive, unpacked, workbook

FIELDS = (
    Field("vin", synonyms=("车架号", "VIN code"), required=True),
    Field("day", FieldKind.DAY, ("交车日期",), required=True),
    Field("km", FieldKind.WHOLE_NUMBER, ("里程", "odometer")),
    Field("phone", synonyms=("电话", "手机"), personal=True),
    Field("store", synonyms=("门店",), required_for_group=True),
)


def read(
    content: str | bytes, mapping: ColumnMapping | None = None, store_id: str = "bj-01"
) -> tuple[Columns, list[tuple[Row, list[Remark]]]]:
    mapping = mapping or ColumnMapping()
    table = opened(content)
    columns = find_columns(table, FIELDS, mapping, store_id)
    reader = RowReader(table, columns, FIELDS, mapping, store_id, Limits())
    return columns, [reader.read(row) for row in columns.rows]


def reasons(content: str | bytes, mapping: ColumnMapping | None = None) -> list[list[str]]:
    return [[f"{one.field} {one.reason}" for one in remarks] for _, remarks in read(content, mapping)[1]]


def refused(content: str | bytes, mapping: ColumnMapping | None = None, store_id: str = "bj-01") -> FileRefusedError:
    with pytest.raises(FileRefusedError) as refusal:
        read(content, mapping, store_id)
    return refusal.value


@pytest.mark.parametrize("header", ["vin,day", "VIN,Day", "车架号,交车日期", "Vin-Code,交车日期*", " v i n ,（day）"])
def test_columns_are_recognised_by_their_usual_names(header: str) -> None:
    assert read(f"{header}\nA,2026-01-01\n")[0].places == {"vin": 0, "day": 1}


def test_the_mapping_comes_before_what_is_recognised() -> None:
    content = "vin,old,day,when\nA,B,2026-01-01,2026-01-02\n"
    columns, rows = read(content, ColumnMapping(columns={"vin": " OLD ", "day": "#d"}))
    assert columns.named() == {"vin": "old", "day": "when"}
    assert rows[0][0].values == {"vin": "B", "day": date(2026, 1, 2)}


def test_a_column_is_given_to_one_field_only() -> None:
    columns, _ = read("vin,day,电话\nA,2026-01-01,1\n", ColumnMapping(columns={"store": "电话"}))
    assert columns.places == {"vin": 0, "day": 1, "store": 2}


def test_a_constant_stands_for_an_empty_cell_and_for_a_column_that_is_not_there() -> None:
    mapping = ColumnMapping(constants={"store": "bj-01", "km": "1,000", "day": "2026-01-01"})
    _, rows = read("vin,km\nA,5\nB,\n", mapping)
    assert [(row.values["km"], row.values["store"], row.values["day"]) for row, _ in rows] == [
        (5, "bj-01", date(2026, 1, 1)),
        (1000, "bj-01", date(2026, 1, 1)),
    ]


def test_a_replacement_counts_for_its_field_only() -> None:
    mapping = ColumnMapping(replacements=[("store", "north", "bj-01")])
    _, rows = read("vin,day,store\nnorth,2026-01-01, North\n", mapping)
    assert rows[0][0].values == {"vin": "north", "day": date(2026, 1, 1), "store": "bj-01"}


def test_the_header_is_found_below_a_title() -> None:
    columns, rows = read("交车清单 2026,,\n,,\nvin,day,x\nA,2026-01-01,\n")
    assert (columns.header_row, [row.number for row, _ in rows]) == (3, [4])


def test_a_merged_title_does_no_harm_and_a_merged_cell_of_the_data_does() -> None:
    table: list[list[Value]] = [
        ["List", None, None],
        ["vin", "day", "note"],
        ["A", "2026-01-01", "x"],
        ["B", None, "x"],
    ]
    book = workbook(table, merged=["A1:C1", "B3:B4"])
    assert reasons(book) == [["day CELL_MERGED"], ["day CELL_MERGED"]]
    assert reasons(workbook(table, merged=["A1:C1", "C3:C4"])) == [[], ["day CELL_MISSING"]]


@pytest.mark.parametrize("first", ["Nr,Wann", "Nr,1/2/2026", "Nr,2026-01-01"])
def test_with_places_alone_a_first_row_that_can_be_data_is_data(first: str) -> None:
    mapping = ColumnMapping(columns={"vin": "#A", "day": "#B"})
    columns, rows = read(f"{first}\nA,2026-01-01\n", mapping)
    assert columns.header_row == (1 if first == "Nr,Wann" else 0)
    assert [row.number for row, _ in rows] == ([2] if columns.header_row else [1, 2])


def test_the_row_of_the_header_can_be_given() -> None:
    columns, rows = read("vin,day\nfahrzeug,vin\nA,x\n", ColumnMapping(header_row=2, constants={"day": "2026-01-01"}))
    assert columns.places == {"vin": 1}
    assert [row.values["vin"] for row, _ in rows] == ["x"]
    assert refused("vin,day\n\nA,x\n", ColumnMapping(header_row=2)).reason == "HEADERS_MISSING"


@pytest.mark.parametrize("second", ["VIN,Day,km", "车架号,交车日期,里程", "vin,day,", "vin,交车日期,"])
def test_a_second_header_is_no_data(second: str) -> None:
    assert reasons(f"vin,day,km\n{second}\nA,2026-01-01,1\nVIN,day,km\n") == [
        *([" HEADER_REPEATED"], [], [" HEADER_REPEATED"]),
    ]


def test_a_row_with_a_headers_word_in_it_is_data() -> None:
    assert reasons("vin,day,phone\nvin,2026-01-01,\nA,2026-01-01,phone\n") == [[], []]


@pytest.mark.parametrize(
    ("content", "mapping", "reason", "word"),
    [
        ("vin,day,VIN\nA,2026-01-01,B\n", ColumnMapping(), "HEADER_TWICE", "A and C"),
        ("a,b,a\n1,2,3\n", ColumnMapping(columns={"vin": "a", "day": "b"}), "HEADER_TWICE", "#A"),
        ("vin,day\n", ColumnMapping(columns={"vin": "chassis"}), "COLUMN_UNKNOWN", "vin, day"),
        ("vin,day\n", ColumnMapping(columns={"vin": "#C"}), "COLUMN_UNKNOWN", "#C"),
        ("vin,x\n", ColumnMapping(), "FIELD_UNMAPPED", "day"),
        ("a,b\n1,2\n", ColumnMapping(), "HEADERS_MISSING", "a, b"),
        ("\ufeff,,\n,,\n", ColumnMapping(), "FILE_EMPTY", ""),
    ],
)
def test_a_file_whose_columns_cannot_be_known_is_refused(
    content: str, mapping: ColumnMapping, reason: str, word: str
) -> None:
    refusal = refused(content, mapping)
    assert refusal.reason == reason
    assert word in refusal.message


def test_a_header_that_stands_twice_does_no_harm_where_nobody_needs_it() -> None:
    assert read("vin,day,note,note\nA,2026-01-01,1,2\n")[0].places == {"vin": 0, "day": 1}
    mapping = ColumnMapping(columns={"vin": "#A", "day": "#B"})
    assert read("vin,day,vin\nA,2026-01-01,B\n", mapping)[1][0][0].text("vin") == "A"


def test_of_two_usual_names_the_likelier_one_is_taken() -> None:
    assert read("vin,day,手机,电话\nA,2026-01-01,1,2\n")[0].places["phone"] == 3


def test_a_file_of_the_group_needs_the_store() -> None:
    assert "store" in refused("vin,day\n", store_id="").message
    assert read("vin,day\n", store_id="bj-01")[1] == []


def test_every_bad_cell_of_a_row_is_told() -> None:
    assert reasons("vin,day,km\n,1/2/2022,much\n") == [
        *(["day DATE_AMBIGUOUS", "km NUMBER_INVALID", "vin CELL_MISSING"],),
    ]


def test_a_required_cell_with_an_error_is_missing_too() -> None:
    assert reasons("vin,day\n#REF!,2026-01-01\n") == [["vin CELL_ERROR", "vin CELL_MISSING"]]


def test_without_headers_a_row_about_persons_is_not_repeated_in_the_refusal() -> None:
    refusal = refused("王伟,13800138000\n张三,13800138001\n")
    assert refusal.reason == "HEADERS_MISSING"
    assert "#A" in refusal.message
    assert "王伟" not in refusal.message
    assert "138" not in refusal.message


def test_with_places_alone_a_first_row_with_a_long_number_is_data() -> None:
    mapping = ColumnMapping(columns={"vin": "#A", "phone": "#B"}, constants={"day": "2026-01-01"})
    columns, rows = read("王伟,13800138000\n", mapping)
    assert (columns.header_row, len(rows)) == (0, 1)


def test_a_header_that_looks_like_a_place_is_named_by_its_place() -> None:
    assert read("#VIN,day\nA,2026-01-01\n")[0].named() == {"vin": "#A", "day": "day"}


def test_a_row_with_more_cells_than_the_header_was_cut_wrongly() -> None:
    assert reasons("vin,day\nA,2026-01-01,x\nB,2026-01-01,\nC\n") == [
        *([" CELLS_TOO_MANY"], [], ["day CELL_MISSING"]),
    ]


def test_numbers_of_a_workbook_keep_apart_what_python_thinks_equal() -> None:
    _, rows = read(workbook([["vin", "day"], [1, date(2026, 1, 1)], [1.5, date(2026, 1, 1)], ["1", date(2026, 1, 1)]]))
    assert [row.values["vin"] for row, _ in rows] == ["1", "1.5", "1"]


@given(st.lists(st.tuples(st.text("ab 12", max_size=4), st.text("ab 12", max_size=4)), max_size=30))
def test_the_memory_of_cells_changes_nothing(pairs: list[tuple[str, str]]) -> None:
    content = written([["vin", "phone", "day"], *([a, b, "2026-01-01"] for a, b in pairs)])
    for (row, _), (vin, phone) in zip(read(content)[1], pairs, strict=True):
        assert row.text("vin") == " ".join(vin.split())
        assert row.text("phone") == " ".join(phone.split())


@pytest.mark.parametrize("day", [date(2022, 1, 4), 44565])
def test_a_workbook_that_counts_from_1904_means_the_day_that_it_shows(day: Value) -> None:
    parts = unpacked(workbook([["vin", "day"], ["A", day]]))
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace("<sheets>", '<workbookPr date1904="1"/><sheets>')
    [(row, _)] = read(archive(parts))[1]
    assert row.values["day"] == date(2026, 1, 5)


def test_columns_are_lettered_as_a_spreadsheet_does() -> None:
    assert [letters(place) for place in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]
