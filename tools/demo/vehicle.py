"""Invented vehicles and people: numbers that are well formed and belong to nobody."""

from __future__ import annotations

import random

_CHARACTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
_VALUES = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", [*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)], strict=True))
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_CHECK_AT = 8


def vin(source: random.Random) -> str:
    """A VIN of an invented maker in China, with the right check digit."""
    text = "LDL" + "".join(source.choices(_CHARACTERS, k=8)) + "".join(source.choices("0123456789", k=6))
    remainder = sum(_value(sign) * weight for sign, weight in zip(text, _WEIGHTS, strict=True)) % 11
    return text[:_CHECK_AT] + ("X" if remainder == 10 else str(remainder)) + text[_CHECK_AT + 1 :]  # noqa: PLR2004


def phone(source: random.Random) -> str:
    """A mobile number of the right form."""
    return f"1390000{source.randrange(10_000):04d}"


def _value(sign: str) -> int:
    return int(sign) if sign.isdigit() else _VALUES[sign]
