"""Whole numbers as people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

_TEN_THOUSAND: Final = 10_000
_MOST_DIGITS: Final = 15
# Groups of three, all with the same sign between them; or digits alone; nothing but noughts behind the point.
_NUMBER: Final = r"(?P<sign>[+-]?)(?P<digits>\d{1,3}(?:(?P<gap>[, '])\d{3})(?:(?P=gap)\d{3})*|\d+)(?:\.(?P<part>\d*))?"


class WholeNumbers:
    """Reads `38,076`, `38 076`, `38076.0`, `3.8万` and, with the unit, `38076 km`."""

    def __init__(self, units: Sequence[str]) -> None:
        words = "|".join(re.escape(unit.casefold()) for unit in sorted(units, key=len, reverse=True))
        unit = rf"(?:\s*(?:{words}))?" if words else ""
        self._pattern = re.compile(rf"{_NUMBER}\s*(?P<ten_thousand>万)?{unit}\s*")

    def read(self, cell: str | float) -> int | None:
        """The number of a folded text or of a number; none when it is something else, or not whole."""
        if isinstance(cell, bool):
            return None
        if isinstance(cell, int):
            return cell if len(str(abs(cell))) <= _MOST_DIGITS else None
        if isinstance(cell, float):
            return int(cell) if cell.is_integer() and abs(cell) < 10**_MOST_DIGITS else None
        if cell.isdecimal():
            return int(cell) if len(cell) <= _MOST_DIGITS else None
        match = self._pattern.fullmatch(cell)
        return None if match is None else _number(match)


def _number(match: re.Match[str]) -> int | None:
    digits = match["digits"].replace(match["gap"] or ",", "")
    if len(digits) > _MOST_DIGITS:
        return None
    if not match["part"] and not match["ten_thousand"]:
        return -int(digits) if match["sign"] == "-" else int(digits)
    number = Decimal(f"{digits}.{match['part'] or '0'}") * (_TEN_THOUSAND if match["ten_thousand"] else 1)
    if number != int(number):
        return None
    return -int(number) if match["sign"] == "-" else int(number)
