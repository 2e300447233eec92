"""Texts and whole numbers as they stand in files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.imports.normalising import Cell, converter, folded, is_empty, text_of
from kit.imports.values import Field, FieldKind, Severity

number = converter(Field("km", FieldKind.WHOLE_NUMBER, units=("km", "公里")), date_order=None, replacements={})
text = converter(Field("name"), date_order=None, replacements={}, longest=100)


@pytest.mark.parametrize(
    "cell",
    ["38076", "38,076", "38 076", "38\u00a0076", "38'076", "38076.0", "３８０７６", "３８，０７６", "38076km",
     "38,076 KM", "38076 公里", " 38076 ", "3.8076万公里", 38076, 38076.0],
)  # fmt: skip
def test_a_whole_number_is_read_however_it_is_written(cell: Cell) -> None:
    assert number(cell) == (38076, None)


@pytest.mark.parametrize("cell", ["38,07", "38.5", "3,80,76", "1,234 567", "many", "38076 miles", 38.5, True, "9" * 16])
def test_what_is_no_whole_number_is_rejected(cell: Cell) -> None:
    value, remark = number(cell)
    assert (value, remark and remark.reason) == (None, "NUMBER_INVALID")


@given(st.integers(-(10**14), 10**14))
def test_every_number_with_and_without_groups_is_itself(value: int) -> None:
    assert number(str(value))[0] == number(f"{value:,}")[0] == number(f"{value}.00 km")[0] == value


@pytest.mark.parametrize("cell", ["", " ", "\u3000", "-", "—", "——", "N/A", "n/a", "#N/A", "null", "NULL", "无", None])
@pytest.mark.parametrize("read", [text, number])
def test_marks_for_nothing_are_nothing(cell: Cell, read: object) -> None:
    assert callable(read)
    assert read(cell) == (None, None)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("ahfc/honda lease trust/hvt  inc. eot", "ahfc/honda lease trust/hvt inc. eot"),
        ("　张　三　", "张 三"),
        ("\ufeffLi\u200b Wei", "Li Wei"),
        (13800138000.0, "13800138000"),
        (13800138000, "13800138000"),
        (1.5, "1.5"),
        (True, "TRUE"),
    ],
)
def test_a_text_is_cleaned_of_what_nobody_sees(cell: Cell, expected: str) -> None:
    assert text(cell) == (expected, None)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('="13800138000"', "13800138000"),
        ("'13800138000", "13800138000"),
        ("'LSVAA4187E2123456", "LSVAA4187E2123456"),
        ("13800138000\t", "13800138000"),
        ("13800138000.0", "13800138000"),
        ("2.0", "2.0"),
        ("'t Hooft", "'t Hooft"),
        ('="a"&"b"', '="a"&"b"'),
        ("a\0b\x1b", "ab"),
    ],
)
def test_a_text_is_freed_of_what_programs_put_around_it(cell: str, expected: str) -> None:
    assert text(cell) == (expected, None)


@pytest.mark.parametrize("cell", ["1.38E+10", "1.38001e+10", "1E+17", 1e20])
def test_a_number_that_a_spreadsheet_has_shortened_is_told_and_never_kept(cell: Cell) -> None:
    value, remark = text(cell)
    assert (value, remark and (remark.severity, remark.reason)) == (None, (Severity.WARNING, "NUMBER_SHORTENED"))


@pytest.mark.parametrize("cell", ["#REF!", "#VALUE!", "#DIV/0!", "#name?", "########"])
def test_an_error_of_the_spreadsheet_is_no_value(cell: str) -> None:
    value, remark = text(cell)
    assert (value, remark and (remark.severity, remark.reason)) == (None, (Severity.WARNING, "CELL_ERROR"))
    value, remark = number(cell)
    assert (value, remark and (remark.severity, remark.reason)) == (None, (Severity.REJECTED, "CELL_ERROR"))


@pytest.mark.parametrize("cell", ["DoubleÂ\u00a0Overhead Camshaft", "CafÃ©", "Itâ€™s", "Zo\ufffd"])
def test_a_text_in_a_wrong_encoding_is_taken_and_told(cell: str) -> None:
    value, remark = text(cell)
    assert value
    assert remark is not None
    assert (remark.severity, remark.reason) == (Severity.WARNING, "TEXT_MOJIBAKE")


@pytest.mark.parametrize("cell", ["Łódź", "São Paulo", "Ângela", "张伟", "l’été"])
def test_a_text_with_accents_is_no_wrong_encoding(cell: str) -> None:
    assert text(cell) == (cell, None)


def test_a_cell_that_is_too_long_is_rejected() -> None:
    value, remark = text("x" * 101)
    assert (value, remark and remark.reason) == (None, "CELL_TOO_LONG")


def test_a_replacement_counts_whatever_the_case_the_width_and_the_blanks() -> None:
    meant = {folded("Honda  Nord"): "bj-01", folded(""): "sh-01"}
    read = converter(Field("store"), date_order=None, replacements=meant)
    assert [read(cell)[0] for cell in ("ｈｏｎｄａ nord ", "HONDA\u3000NORD", "", "other")] == [
        *("bj-01", "bj-01", "sh-01", "other"),
    ]


def test_what_a_cell_means_is_read_like_a_cell() -> None:
    read = converter(Field("km", FieldKind.WHOLE_NUMBER), date_order=None, replacements={"new": "10", "999999": ""})
    assert [read(cell) for cell in ("New", "999999")] == [(10, None), (None, None)]


@given(st.text())
def test_cleaning_twice_changes_nothing_more(cell: str) -> None:
    assert text_of(text_of(cell)) == text_of(cell)
    assert folded(folded(cell)) == folded(cell) or not cell.isascii()
    assert is_empty(text_of("")) is True
