"""Workbooks, whole and broken, and those that would fill the memory."""

# ruff: noqa: DTZ001 - a cell has no zone
from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.imports.reading.source import Hints
from kit.imports.values import FileRefusedError, Limits
from tests.support.files import opened, rows_of
from tests.support.workbooks import Value, archive, unpacked, workbook

# What XML can hold; what a cell begins and ends with is kept.
texts = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cn")), max_size=10).filter(
    lambda text: "_x" not in text and "\ufffe" not in text and "\uffff" not in text
)
values = st.one_of(texts, st.integers(-(10**9), 10**9), st.dates(date(1954, 1, 1), date(2099, 12, 31)))


def refused(content: bytes, limits: Limits | None = None, hints: Hints | None = None) -> FileRefusedError:
    with pytest.raises(FileRefusedError) as refusal:
        rows_of(content, limits=limits, hints=hints)
    return refusal.value


@given(st.lists(st.lists(values, min_size=3, max_size=3), min_size=1, max_size=6))
def test_every_table_comes_back_as_it_was_written(table: list[list[str | int | date]]) -> None:
    header: list[str | int | date] = ["a", "b", "c"]
    assert rows_of(workbook([header, *table])) == [header, *(row for row in table if any(cell != "" for cell in row))]


def test_dates_times_and_numbers_are_what_they_are() -> None:
    row: list[Value] = ["x", 13800138000.0, date(2026, 11, 3), datetime(2026, 11, 3, 14, 5)]
    assert rows_of(workbook([row])) == [row]


def test_rows_and_columns_are_numbered_as_they_are_shown() -> None:
    table = opened(workbook([[None, None], [None, "a", "b"], [None, None], [None, "1", "2"]]))
    assert [(row.number, list(row.cells)) for row in table.rows] == [(2, ["", "a", "b"]), (4, ["", "1", "2"])]


def test_merged_cells_are_known_by_their_rows() -> None:
    table = opened(workbook([["t", None], ["a", "b"], ["1", "2"], [None, "3"]], merged=["A1:B1", "A3:A4"]))
    assert table.merged == {1: [(0, 1)], 3: [(0, 0)], 4: [(0, 0)]}


def test_a_sheet_is_chosen_by_its_name() -> None:
    book = workbook([["a"]], sheet="交车", others=["leer"])
    assert opened(book).recognised == {"kind": "workbook", "sheet": "交车"}
    assert opened(book, hints=Hints(sheet=" 交车")).recognised["sheet"] == "交车"
    refusal = refused(book, hints=Hints(sheet="2026"))
    assert (refusal.reason, "交车, leer" in refusal.message) == ("SHEET_UNKNOWN", True)
    assert refused(book, hints=Hints(sheet="leer")).reason == "FILE_EMPTY"


@pytest.mark.parametrize(
    "content",
    [
        workbook([["a"]])[:-200],
        workbook([["a", "b"]])[:50],
        archive({"xl/workbook.xml": "<workbook"}),
        archive({"xl/workbook.xml": "<workbook/>", "xl/worksheets/sheet1.xml": "no xml"}),
        b"PK\x03\x04" + bytes(500),
    ],
    # A workbook holds the time at which it was written, and a test's name does not change.
    ids=["without its end", "its beginning alone", "no more than one part", "a sheet that is none", "blank"],
)
def test_a_damaged_workbook_is_refused(content: bytes) -> None:
    assert refused(content).reason in {"FILE_DAMAGED", "FILE_EMPTY"}


def test_other_archives_are_called_what_they_are() -> None:
    refusal = refused(archive({"word/document.xml": "<w/>"}))
    assert (refusal.reason, "Word" in refusal.message) == ("FILE_NOT_A_TABLE", True)
    assert refused(archive({"a.txt": "hello"})).reason == "FILE_NOT_A_TABLE"


def test_a_workbook_that_unpacks_to_too_much_is_refused_before_it_is_read() -> None:
    bomb = workbook([["a" * 5_000_000]])
    assert len(bomb) < 100_000
    assert refused(bomb, limits=Limits(unpacked_bytes=1_000_000)).reason == "FILE_TOO_LARGE"


@pytest.mark.parametrize(
    "cell",
    [
        '<row r="1048576"><c r="GR1048576"><v>1</v></c></row>',
        '<row r="2"><c r="XFD2"><v>1</v></c></row>',
        '<row r="2">' + "<c><v>1</v></c>" * 300 + "</row>",
        '<row r="2"><c t="n" r="XFD2"><v>1</v></c></row>',
        '<row r="2"><c r="xfd1048576"><v>1</v></c></row>',
        '<row r="2"><c r="GR1048576"><v>1</v></c></row>',
        "<row r='2'><c r='GR1048576'><v>1</v></c></row>",
        '<row r="2"><c t="n" r = "GR1048576"><v>1</v></c></row>',
        '<row r="2"><c x=">" r="GR1048576"><v>1</v></c></row>',
        '<row r="2"><!-- <c " --><c r="GR1048576" t="n"><v>1</v></c></row>',
        f'<row r="2"><c x="{"x" * 3_000_000}" r="GR1048576"><v>1</v></c></row>',
    ],
)
def test_cells_far_away_do_not_fill_the_memory(cell: str) -> None:
    assert refused(workbook([["a"]], raw_rows=cell)).reason == "COLUMNS_TOO_MANY"


def test_a_sheet_is_weighed_whatever_its_file_is_called() -> None:
    parts = unpacked(workbook([["a"]], raw_rows='<row r="2"><c r="GR1048576"><v>1</v></c></row>'))
    parts["xl/data.bin"] = parts.pop("xl/worksheets/sheet1.xml")
    parts["xl/_rels/workbook.xml.rels"] = parts["xl/_rels/workbook.xml.rels"].replace(
        "worksheets/sheet1.xml", "data.bin"
    )
    assert refused(archive(parts)).reason == "COLUMNS_TOO_MANY"


def test_a_workbook_that_lies_about_its_size_is_weighed_all_the_same() -> None:
    bomb = workbook([["a" * 5_000_000]])
    with zipfile.ZipFile(io.BytesIO(bomb)) as archived:
        sheet = archived.getinfo("xl/worksheets/sheet1.xml")
        beginning = archived.read(sheet)[:10]
    truth = struct.pack("<LLL", sheet.CRC, sheet.compress_size, sheet.file_size)
    lie = struct.pack("<LLL", zlib.crc32(beginning), sheet.compress_size, len(beginning))
    assert refused(bomb.replace(truth, lie), limits=Limits(unpacked_bytes=1_000_000)).reason == "FILE_TOO_LARGE"


def test_a_compression_that_nobody_knows_is_damage() -> None:
    book = bytearray(workbook([["a"]]))
    entry = book.index(b"PK\x01\x02")
    while entry >= 0:
        struct.pack_into("<H", book, entry + 10, 97)
        entry = book.find(b"PK\x01\x02", entry + 4)
    assert refused(bytes(book)).reason == "FILE_DAMAGED"


def test_an_endless_cell_is_refused() -> None:
    refusal = refused(workbook([["a" * 10_000_000]]))
    assert (refusal.reason, "longer" in refusal.message) == ("FILE_DAMAGED", True)


def with_shared_texts(texts: list[str], cells: str, *, part: str = "xl/sharedStrings.xml") -> bytes:
    """A workbook whose cells say `<v>number</v>` for a text that it keeps once."""
    parts = unpacked(workbook([], raw_rows=cells))
    kept = "".join(f"<si><t>{text}</t></si>" for text in texts)
    parts[part] = f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{kept}</sst>'
    return archive(parts)


def cells_with(numbers: Iterable[object]) -> str:
    return "".join(
        f'<row r="{row}"><c r="A{row}" t="s"><v>{number}</v></c></row>' for row, number in enumerate(numbers, start=1)
    )


@pytest.mark.parametrize("part", ["xl/sharedStrings.xml", "XL/SHAREDSTRINGS.XML", "xl\\sharedStrings.xml"])
@pytest.mark.parametrize("number", ["1", "+1", " 1 ", "0000000000001", "&#49;", "<![CDATA[1]]>"])
def test_a_small_workbook_whose_cells_repeat_a_long_text_is_refused_before_it_is_read(part: str, number: str) -> None:
    bomb = with_shared_texts(["a", "x" * 3_000_000], cells_with([number] * 100), part=part)

    assert len(bomb) < 20_000
    refusal = refused(bomb)
    assert refusal.reason == "FILE_TOO_LARGE"
    assert "text" in refusal.message


def test_texts_that_are_repeated_within_reason_are_read() -> None:
    """One long text does not make the many short ones heavy, and a number is no text."""
    texts = ["b" * 9_000, "short"]
    rows = cells_with(["0", *["1"] * 30_000])
    numbers = '<row r="30002"><c r="A30002"><v>0</v></c></row>'

    found = rows_of(with_shared_texts(texts, rows + numbers))

    assert [len(found), found[0], found[1], found[-1]] == [30_002, [texts[0]], ["short"], [0]]


def test_cells_that_claim_one_place_are_counted() -> None:
    cells = '<row r="1">' + '<c r="A1"><v>1</v></c>' * 2_000 + "</row>"
    assert refused(workbook([], raw_rows=cells), limits=Limits(area=1_000)).reason == "FILE_TOO_LARGE"


def test_more_shared_texts_than_a_sheet_has_cells_are_refused() -> None:
    book = with_shared_texts([""] * 2_000, cells_with(["0"]))
    assert refused(book, limits=Limits(area=1_000)).reason == "FILE_TOO_LARGE"


def test_markup_of_its_own_makes_a_workbook_damaged() -> None:
    parts = unpacked(with_shared_texts(["a"], cells_with(["0"])))
    parts["xl/sharedStrings.xml"] = '<!DOCTYPE sst [<!ENTITY a "aaaa">]>' + parts["xl/sharedStrings.xml"]
    assert refused(archive(parts)).reason == "FILE_DAMAGED"
