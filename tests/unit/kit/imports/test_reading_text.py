"""Text files in every encoding and with every delimiter, and those that are none."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.imports.reading.source import Hints
from kit.imports.values import FileRefusedError, Limits
from tests.support.files import opened, rows_of, written

ENCODINGS = {
    "utf-8": "utf-8",
    "utf-8-sig": "utf-8",
    "utf-16": "utf-16",
    "gb18030": "gb18030",
}
# Any character that a file may hold; a NUL is refused, and what is half a character cannot be written.
characters = st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"])
cells = st.text(characters, max_size=12)
tables = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=8)
)


def refused(content: str | bytes, limits: Limits | None = None, hints: Hints | None = None) -> FileRefusedError:
    with pytest.raises(FileRefusedError) as refusal:
        rows_of(content, limits=limits, hints=hints)
    return refusal.value


@given(
    tables,
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from([",", ";", "\t", "|", "^"]),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.integers(1, 50),
)
def test_every_table_comes_back_as_it_was_written(
    table: list[list[str]], encoding: str, delimiter: str, newline: str, piece: int
) -> None:
    table = [["a", *table[0][1:]], *table]
    text = written(table, delimiter=delimiter, newline=newline)
    found = rows_of(text.encode(encoding), piece=piece, hints=Hints(encoding=ENCODINGS[encoding], delimiter=delimiter))

    assert found == [row for row in table if any(row)]


@given(
    st.lists(st.lists(st.text("王伟abc 0123", min_size=1), min_size=3, max_size=3), min_size=2, max_size=8),
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_encoding_and_delimiter_are_recognised(table: list[list[str]], encoding: str, delimiter: str) -> None:
    rows = [["单号", "日期", "姓名"], *table]
    assert rows_of(written(rows, delimiter=delimiter).encode(encoding)) == rows


def test_what_was_recognised_is_told() -> None:
    assert opened("a;b\n1;2\n").recognised == {"kind": "text", "encoding": "utf-8", "delimiter": ";"}
    assert opened("单号\t日期\n1\t2\n".encode("gb18030")).recognised["encoding"] == "gb18030"
    assert opened("a\tb\n".encode("utf-16")).recognised["delimiter"] == "tab"


def test_rows_are_numbered_as_a_spreadsheet_does() -> None:
    content = 'a,b\n\n1,"two\nlines"\n2,x\n'
    assert [row.number for row in opened(content).rows] == [1, 3, 4]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('a,b\n1,"x\n2,"y"\n', 2),
        ('a,b\n1,x\n2,"y\n3,z\n', 3),
        ('a,b\n1,"x"y\n', 2),
        ('a,b\n"1" ,x\n', 2),
        ('a,b\n1,"' + "x" * 200_000 + '"\n', 2),
    ],
)
def test_a_broken_quotation_mark_is_refused_with_its_line(content: str, line: int) -> None:
    refusal = refused(content)
    assert refusal.reason == "QUOTE_BROKEN"
    assert f"line {line}" in refusal.message


@given(tables, st.data())
def test_a_quotation_mark_too_much_never_swallows_rows_unseen(table: list[list[str]], data: st.DataObject) -> None:
    table = [["a", "b"]] + [["x", "y"] for _ in table]
    lines = written(table, newline="\n").splitlines(keepends=True)
    place = data.draw(st.integers(1, len(lines) - 1))
    lines[place] = '"' + lines[place]

    assert refused("".join(lines), hints=Hints(delimiter=",")).reason == "QUOTE_BROKEN"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "FILE_EMPTY"),
        (b" \r\n\r\n ", "FILE_EMPTY"),
        (b"%PDF-1.7\n1 0 obj", "FILE_NOT_A_TABLE"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "FILE_NOT_A_TABLE"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "FILE_NOT_A_TABLE"),
        (b"<html><body><table>", "FILE_NOT_A_TABLE"),
        (codecs.BOM_UTF8 + b'<?xml version="1.0"?>', "FILE_NOT_A_TABLE"),
        (b'{"code": 1}', "FILE_NOT_A_TABLE"),
        (b"code,day\nA\0,1\n", "FILE_NOT_A_TABLE"),
        ("a\0,b\n".encode("utf-16"), "FILE_NOT_A_TABLE"),
        ("name,ort\nMüller,Köln\nWörner,Düren\n".encode("latin-1"), "ENCODING_UNKNOWN"),
        (codecs.BOM_UTF32_LE + "a,b\n".encode("utf-32-le"), "ENCODING_UNKNOWN"),
        (b"\xff\xfea", "ENCODING_UNKNOWN"),
        (b"a" * 10_000_000, "LINE_TOO_LONG"),
        (",".join("x" * 300), "COLUMNS_TOO_MANY"),
    ],
)
def test_what_is_no_table_is_refused_with_a_reason(content: bytes, reason: str) -> None:
    assert refused(content).reason == reason


def test_headers_that_begin_like_other_files_are_headers() -> None:
    for word in ("BMW", "RIFFLE", "MZ", "PK"):
        assert rows_of(f"{word},b\n1,2\n") == [[word, "b"], ["1", "2"]]


def test_an_encoding_that_is_named_wrongly_is_refused_with_the_line() -> None:
    refusal = refused("a,b\n1,2\nx,é\n".encode("latin-1"), hints=Hints(encoding="utf-8"))
    assert (refusal.reason, "line 3" in refusal.message) == ("ENCODING_UNKNOWN", True)
    assert rows_of("a,é\n".encode("windows-1252"), hints=Hints(encoding="cp1252")) == [["a", "é"]]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised_without_its_mark(encoding: str) -> None:
    content = "单号,日期,姓名\n1,2026-01-01,王伟\n"
    assert opened(content.encode(encoding)).recognised["encoding"] == encoding


def test_a_broken_byte_in_a_long_chinese_text_is_refused_with_its_line() -> None:
    content = "姓名,备注\n".encode() + "王伟,第一次保养\n".encode() * 10
    refusal = refused(content + b"\xe7\x20\x9f,x\n")
    assert refusal.reason == "ENCODING_UNKNOWN"
    assert "line 12 is damaged" in refusal.message


def test_another_chinese_encoding_is_not_taken_for_gb_18030() -> None:
    content = "code,name\n1,陳大文\n2,國語文字說明\n".encode("big5")
    assert refused(content).reason == "ENCODING_UNKNOWN"
    assert rows_of(content, hints=Hints(encoding="big5"))[1] == ["1", "陳大文"]


def test_a_file_that_is_too_large_is_refused() -> None:
    assert refused("a,b\n", limits=Limits(file_bytes=3)).reason == "FILE_TOO_LARGE"
