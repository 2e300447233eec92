"""Dates and times as people and programs write them; nothing is guessed that could be read in two ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import Enum
from typing import Final, NamedTuple


class DateOrder(Enum):
    """In which order the numbers of a date such as 1/2/2022 stand."""

    YMD = "YMD"
    MDY = "MDY"
    DMY = "DMY"


class Unreadable(NamedTuple):
    """Why a cell is no date: a reason code and the words."""

    reason: str
    message: str


INVALID: Final = Unreadable("DATE_INVALID", "This is not a date, such as 2026-11-03 or 2026/11/3 14:05.")
AMBIGUOUS: Final = Unreadable(
    "DATE_AMBIGUOUS", "This date can be read in more than one way: say in the mapping in which order dates are written."
)

_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2199
# Days since the turn of 1900 as spreadsheets count them: 1954 to 2099. Smaller and larger numbers are something else.
_FIRST_SERIAL: Final = 20_000
_LAST_SERIAL: Final = 73_050
DAYS_TO_1904: Final = 1462
"""What a number of a workbook that counts its days from 1904 lacks."""
_SERIAL_OF_NO_DAY: Final = 60  # 29 February 1900, which was none
_DAY_SECONDS: Final = 86_400
_NOON: Final = 12
_CENTURY_PIVOT: Final = 70

_MONTH_NAMES: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS: Final = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_MONTH = "(?P<name>" + "|".join(_MONTHS) + r")[a-z]*\.?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_CLOCK = (
    r"(?:(?P<half>上午|下午|晚上|中午|凌晨)\s*)?"
    r"(?P<hour>\d{1,2})\s*[:时点]\s*(?:(?P<minute>\d{1,2})\s*(?:[:分]\s*(?:(?P<second>\d{1,2})(?:[.,]\d{1,9})?\s*秒?)?)?)?"
    r"(?:\s*(?P<meridiem>[ap])\.?m\.?)?"
    r"(?:\s*(?P<zone>z|(?:gmt|utc)?\s*[+-]\d{2}:?\d{2}|gmt|utc)(?:\s*\([^)]*\))?)?"
)
_CHINESE_WEEKDAY = r"(?:\s*[(]?(?:星期|周|礼拜)[一二三四五六日天][)]?)?"
_TAIL = rf"{_CHINESE_WEEKDAY}(?:(?:\s+|t|(?<=[日号])){_CLOCK})?"
# As nearly every date is written; the others are asked for only when it is none of these.
_PLAIN = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[ t](\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?", re.ASCII)
_YEAR_FIRST = re.compile(
    r"(?P<year>\d{4})\s*(?:[-/.]\s*(?P<month>\d{1,2})\s*[-/.]\s*(?P<day>\d{1,2})"
    r"|年\s*(?P<month_zh>\d{1,2})\s*月\s*(?P<day_zh>\d{1,2})\s*[日号]?)" + _TAIL
)
_COMPACT = re.compile(rf"(?P<year>\d{{4}})(?P<month>\d{{2}})(?P<day>\d{{2}})(?:{_TAIL}|(?P<clock>\d{{4}}(?:\d{{2}})?))")
_NAMED = (
    re.compile(rf"{_WEEKDAY}{_MONTH}\s*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}}){_TAIL}"),
    re.compile(rf"{_WEEKDAY}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[\s-]*{_MONTH}[\s,-]*(?P<year>\d{{4}}){_TAIL}"),
)
_THREE = re.compile(r"(?P<a>\d{1,2})\s*[-/.]\s*(?P<b>\d{1,2})\s*[-/.]\s*(?P<c>\d{4}|\d{1,2})" + _TAIL)
_SERIAL = re.compile(r"\d{5}(?:\.\d+)?")


def read(cell: object, order: DateOrder | None) -> date | datetime | Unreadable:
    """The day of a cell, or the instant when a time of day is written: aware with a zone, naive without.

    A text must be folded: small letters, narrow digits, single blanks. Numbers are a spreadsheet's days.
    """
    match cell:
        case datetime():
            return _in_range(cell if cell.time() != time() or cell.tzinfo is not None else cell.date())
        case date():
            return _in_range(cell)
        case bool():
            return INVALID
        case int() | float():
            compact = str(int(cell)) if float(cell).is_integer() else ""
            return _text(compact, order) if len(compact) > len(str(_LAST_SERIAL)) else _serial(float(cell))
        case str():
            plain = _PLAIN.fullmatch(cell)
            return _text(cell, order) if plain is None else _plain(*plain.groups())
        case _:
            return INVALID


def excel_day(serial: int) -> date:
    """The day that a spreadsheet of the 1900 system means; it counts a 29 February 1900 that never was.

    Raises ValueError for that day, and for numbers below 1.
    """
    if serial == _SERIAL_OF_NO_DAY or serial < 1:
        raise ValueError("no such day")
    return date(1899, 12, 31) + timedelta(days=serial - (serial > _SERIAL_OF_NO_DAY))


def _serial(serial: float) -> date | datetime | Unreadable:
    if not _FIRST_SERIAL <= serial <= _LAST_SERIAL:
        return INVALID
    days, seconds = divmod(round(serial * _DAY_SECONDS), _DAY_SECONDS)
    day = excel_day(days)
    return datetime.combine(day, time()) + timedelta(seconds=seconds) if seconds else day


def _text(text: str, order: DateOrder | None) -> date | datetime | Unreadable:
    if match := _YEAR_FIRST.fullmatch(text):
        return _found(match, match["year"], match["month"] or match["month_zh"], match["day"] or match["day_zh"])
    if match := _COMPACT.fullmatch(text):
        return _found(match, match["year"], match["month"], match["day"])
    if match := _THREE.fullmatch(text):
        return _three(match, order)
    for pattern in _NAMED:
        if match := pattern.fullmatch(text):
            return _found(match, match["year"], str(_MONTHS[match["name"]]), match["day"])
    if _SERIAL.fullmatch(text):
        return _serial(float(text))
    return INVALID


def _plain(
    year: str, month: str, day: str, hour: str | None, minute: str | None, second: str | None
) -> date | datetime | Unreadable:
    found = _day(year, month, day)
    if found is None:
        return INVALID
    return found if hour is None else _at(found, int(hour), int(minute or 0), int(second or 0))


def _three(match: re.Match[str], order: DateOrder | None) -> date | datetime | Unreadable:
    readings = {day for reading, day in _readings(match) if order in {None, reading}}
    if not readings:
        return INVALID
    if len(readings) > 1:
        return AMBIGUOUS
    day = readings.pop()
    return _found(match, str(day.year), str(day.month), str(day.day))


def _readings(match: re.Match[str]) -> Iterator[tuple[DateOrder, date]]:
    """Every day that the three numbers can mean; a year of two digits stands where the order puts it."""
    a, b, c = match["a"], match["b"], match["c"]
    orders = [(DateOrder.MDY, (c, a, b)), (DateOrder.DMY, (c, b, a)), (DateOrder.YMD, (a, b, c))]
    for order, (year, month, day) in orders:
        # A year has two digits or four, and only a year has four.
        found = _day(_full_year(year), month, day) if len(year) != 1 and len(day) <= len("31") else None
        if found is not None:
            yield order, found


def _full_year(year: str) -> str:
    if len(year) > len("26"):
        return year
    return str(int(year) + (2000 if int(year) < _CENTURY_PIVOT else 1900))


def _found(match: re.Match[str], year: str, month: str, day: str) -> date | datetime | Unreadable:
    found = _day(year, month, day)
    if found is None:
        return INVALID
    if match.re is _COMPACT and match["clock"]:
        clock = match["clock"]
        return _at(found, int(clock[:2]), int(clock[2:4]), int(clock[4:] or 0))
    written, minute, second, half, meridiem, zone = match.group("hour", "minute", "second", "half", "meridiem", "zone")
    if not written:
        return found
    hour = _hour(int(written), half, meridiem)
    if hour is None:
        return INVALID
    instant = _at(found, hour, int(minute or 0), int(second or 0))
    if not zone or isinstance(instant, Unreadable):
        return instant
    offset = _zone(zone)
    return INVALID if offset is None else instant.replace(tzinfo=offset)


def _hour(hour: int, half: str | None, meridiem: str | None) -> int | None:
    if half is None and meridiem is None:
        return hour
    if not 1 <= hour <= _NOON:
        # 下午14:05 says the same thing twice.
        return hour if meridiem is None else None
    late = meridiem == "p" or half in {"下午", "晚上", "中午"}
    if half == "中午" and hour != _NOON:
        # 中午 stands around noon: eleven is before it.
        return hour if hour == _NOON - 1 else hour + _NOON
    return hour % _NOON + (_NOON if late else 0)


def _at(day: date, hour: int, minute: int, second: int) -> datetime | Unreadable:
    try:
        return datetime(day.year, day.month, day.day, hour, minute, second)  # noqa: DTZ001 - the zone follows
    except ValueError:
        return INVALID


def _zone(text: str) -> timezone | None:
    digits = re.sub(r"[^0-9+-]", "", text)
    if not digits:
        return UTC
    minutes = int(digits[1:3]) * 60 + int(digits[3:5])
    if minutes >= _DAY_SECONDS // 60:
        return None
    return timezone(timedelta(minutes=minutes if digits[0] == "+" else -minutes))


def _day(year: str, month: str, day: str) -> date | None:
    if not _FIRST_YEAR <= int(year) <= _LAST_YEAR:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _in_range(found: date | datetime) -> date | datetime | Unreadable:
    return found if _FIRST_YEAR <= found.year <= _LAST_YEAR else INVALID
