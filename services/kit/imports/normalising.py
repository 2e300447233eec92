"""From a cell to a value: text, days, times, whole numbers, as people and their programs write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Final

from kit.imports import dates
from kit.imports.dates import DateOrder
from kit.imports.numbers import WholeNumbers
from kit.imports.values import Field, FieldKind, Remark, Value, rejected, warning

Cell = str | int | float | bool | date | datetime | time | timedelta | None
"""What a reader gives: text of a text file; also numbers and dates of a workbook."""

Converted = tuple[Value | None, Remark | None]
Convert = Callable[[Cell], Converted]

EMPTY_MARKS: Final = frozenset(
    {"", "-", "--", "---", "–", "—", "——", "/", "n/a", "#n/a", "null", "(null)", "nil", "none", "nan", "无", "暂无"}
)
# UTF-8 that was read as a western encoding at some point of its life.
_MOJIBAKE: Final = ("Ã", "Â\u00a0", "Â ", "â€", "\ufffd", "锟斤拷", "ï»¿")
# Characters without a width: byte order marks, joiners, marks of direction, and what steers a terminal.
_INVISIBLE: Final = dict.fromkeys(
    [*range(0x20), *range(0x7F, 0xA0), 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, 0x00AD]
)
_LONGEST_MARK: Final = max(map(len, EMPTY_MARKS))
# What a formula leaves behind that has no value; and a cell that was too narrow for its number.
_ERRORS: Final = frozenset({"#ref!", "#value!", "#div/0!", "#name?", "#num!", "#null!", "#spill!", "#calc!"})
_TOO_NARROW: Final = re.compile(r"#{3,}")
_GUARDED: Final = re.compile(r"'(?:\d|[0-9A-Z]{5,}$)", re.ASCII)
# What `_unquoted` looks at; a text without any of them stays as it is.
_QUOTES: Final = frozenset({"=", "'"})
_SHORTENED: Final = re.compile(r"-?\d(?:\.\d+)?[Ee]\+\d{1,3}", re.ASCII)
# As programs write a column of numbers; a shorter one may be a name, such as an engine's size.
_WHOLE: Final = re.compile(r"(\d{7,15})\.0+", re.ASCII)
_MOST_DIGITS: Final = 15


def text_of(cell: Cell) -> str:
    """A cell as text: blanks of every width collapsed, characters composed, what has no width left out."""
    if isinstance(cell, str):
        text = " ".join(cell.split())
        if text.isascii() and text.isprintable():
            return text
        return " ".join(unicodedata.normalize("NFC", text.translate(_INVISIBLE)).split())
    return _text_of_value(cell)


def folded(text: str) -> str:
    """The form in which two cells are compared: case, width and blanks make no difference."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def is_empty(text: str) -> bool:
    """Whether a text that came out of `text_of` stands for nothing."""
    return len(text) <= _LONGEST_MARK and text.casefold() in EMPTY_MARKS


def converter(
    field: Field,
    *,
    date_order: DateOrder | None,
    replacements: Mapping[str, str],
    longest: int = 10_000,
    days_from_1904: bool = False,
) -> Convert:
    """How the cells of a field are read.

    `replacements` are by the folded cell; `longest` is the limit of one cell in characters. The converter gives a
    value, or none when the cell is empty, and at most one remark: a rejecting one comes without a value.
    """
    read = _reader(field, date_order)
    has_days = days_from_1904 and field.kind in {FieldKind.DAY, FieldKind.TIME}

    def convert(cell: Cell) -> Converted:
        if isinstance(cell, str):
            if len(cell) > longest:
                return None, rejected(field.name, "CELL_TOO_LONG", f"The cell has more than {longest} characters.")
            text = text_of(cell)
            if text[:1] in _QUOTES:
                text = _unquoted(text)
        else:
            if has_days and isinstance(cell, int | float):
                cell += dates.DAYS_TO_1904
            text = text_of(cell)
        if replacements:
            meant = replacements.get(folded(text))
            if meant is not None:
                cell, text = meant, text_of(meant)
        if is_empty(text):
            return None, None
        if text[0] == "#" and (text.casefold() in _ERRORS or _TOO_NARROW.fullmatch(text)):
            # A text may be missing; a day or a number that cannot be read is never taken for one that is not there.
            say = warning if field.kind is FieldKind.TEXT else rejected
            return None, say(field.name, "CELL_ERROR", "The spreadsheet shows an error here in the place of a value.")
        return read(cell, text)

    return convert


def _unquoted(text: str) -> str:
    """A text without what keeps a spreadsheet from reading it as a number: `="138"`, `'138`, or `'LVX12`."""
    if text.startswith('="') and text.endswith('"') and text.count('"') == 2:  # noqa: PLR2004 - a pair
        return text[2:-1].strip()
    return text[1:] if text.startswith("'") and _GUARDED.match(text) else text


def _reader(field: Field, date_order: DateOrder | None) -> Callable[[Cell, str], Converted]:
    """Reads a cell that is not empty, given with its text."""
    name = field.name
    match field.kind:
        case FieldKind.TEXT:
            return lambda cell, text: _text(name, cell, text)
        case FieldKind.DAY:
            return lambda cell, text: _day(name, folded(text) if isinstance(cell, str) else cell, date_order)
        case FieldKind.TIME:
            return lambda cell, text: _moment(name, folded(text) if isinstance(cell, str) else cell, date_order)
        case FieldKind.WHOLE_NUMBER:
            numbers = WholeNumbers(field.units)
            return lambda cell, text: _whole_number(name, cell, text, numbers)


def _text(field: str, cell: Cell, text: str) -> Converted:
    if text.isascii():
        if "+" in text and _SHORTENED.fullmatch(text):
            words = "A spreadsheet has shortened this number, and its last digits are lost: write it out as text."
            return None, warning(field, "NUMBER_SHORTENED", words)
        whole = _WHOLE.fullmatch(text) if "." in text else None
        return (whole[1] if whole else text), None
    if isinstance(cell, str) and any(mark in cell for mark in _MOJIBAKE):
        return text, warning(
            field, "TEXT_MOJIBAKE", "The text looks as if it was once read in a wrong character encoding."
        )
    return text, None


def _moment(field: str, cell: Cell, order: DateOrder | None) -> Converted:
    found = dates.read(cell, order)
    if isinstance(found, dates.Unreadable):
        return None, rejected(field, found.reason, found.message)
    return found, None


def _day(field: str, cell: Cell, order: DateOrder | None) -> Converted:
    found, remark = _moment(field, cell, order)
    return (found.date() if isinstance(found, datetime) else found), remark


def _whole_number(field: str, cell: Cell, text: str, numbers: WholeNumbers) -> Converted:
    number = numbers.read(cell if isinstance(cell, int | float) else folded(text))
    if number is None:
        return None, rejected(field, "NUMBER_INVALID", "This is not a whole number, such as 38076 or 38,076.")
    return number, None


def _text_of_value(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).upper()
        case float() if cell.is_integer() and abs(cell) < 10**_MOST_DIGITS:
            return str(int(cell))
        case datetime():
            return cell.isoformat(sep=" ") if cell.time() != time() else cell.date().isoformat()
        case date() | time():
            return cell.isoformat()
        case _:
            return str(cell)
