"""Vehicle identification numbers: normalising, shape and check digit (GB 16735, ISO 3779, 49 CFR 565)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import mul
from typing import Final

from kit.errors import FieldViolation, InvalidArgument

LENGTH: Final = 17
CHECK_POSITION: Final = 8
CHECK_DIGIT_WARNING: Final = "VIN_CHECK_DIGIT"

_VALUES: Final = {
    **{str(digit): digit for digit in range(10)},
    **dict(zip("ABCDEFGH", range(1, 9), strict=True)),
    **dict(zip("JKLMN", range(1, 6), strict=True)),
    "P": 7,
    "R": 9,
    **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
}
_PLAIN: Final = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
_REMAINDERS: Final = "0123456789X"
_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
# Full-width forms and small letters have one meaning each; other look-alikes are left for the check of characters.
_FULL_WIDTH: Final = {0xFEE0 + code: chr(code).upper() for code in range(0x21, 0x7F)}
_SMALL: Final = {code: chr(code).upper() for code in range(ord("a"), ord("z") + 1)}
_SEPARATORS: Final = dict.fromkeys(map(ord, " \t\r\n\u00a0\u3000-\uff0d"))
_SPELLING: Final = {**_FULL_WIDTH, **_SMALL, **_SEPARATORS}
# The 10th character: 1980 is A; I, O, Q, U, Z and 0 are left out, and after 30 years it begins again.
_MODEL_YEAR_POSITION: Final = 9
_MODEL_YEARS: Final = {character: 1980 + place for place, character in enumerate("ABCDEFGHJKLMNPRSTVWXY123456789")}
_MODEL_YEAR_CYCLE: Final = len(_MODEL_YEARS)
# Makers of China (L) and North America (1-5) must compute the digit; the others may use the position freely.
_BINDING: Final = frozenset("L12345")


class InvalidVin(InvalidArgument):
    """The text is not a VIN; the violation says which rule it breaks."""

    reason = "VIN_INVALID"


def parse(text: str, *, field: str = "vin") -> tuple[str, list[str]]:
    """Return the VIN in its one spelling and the warnings that do not refuse it.

    Full-width letters, small letters, blanks and hyphens are put right; nothing is guessed beyond that.
    The only warning is `VIN_CHECK_DIGIT`. Raises InvalidVin with rule VIN_LENGTH, VIN_CHARACTERS or
    VIN_CHECK_DIGIT on `field` (domain section 9).
    """
    # Nearly every one stands there in its one spelling.
    vin = text if _PLAIN.fullmatch(text) else _respelt(text, field)
    if vin[CHECK_POSITION] == check_digit(vin):
        return vin, []
    if vin[0] in _BINDING:
        raise _refused(field, "VIN_CHECK_DIGIT", "the check digit (9th character) does not fit the others")
    return vin, [CHECK_DIGIT_WARNING]


def normalise(text: str) -> str:
    """Return the text in capitals, half-width and without separators; it may still be no VIN."""
    return text.translate(_SPELLING)


def check_digit(vin: str) -> str:
    """Return what the 9th character of these 17 should be: `0`-`9` or `X`."""
    return _REMAINDERS[sum(map(mul, map(_VALUES.__getitem__, vin), _WEIGHTS)) % 11]


def model_year(vin: str, *, latest: int) -> int | None:
    """Return the last model year up to `latest` that the 10th character can mean.

    None when it means none: only makers of China and North America must write the year there.
    """
    first = _MODEL_YEARS.get(vin[_MODEL_YEAR_POSITION]) if vin[0] in _BINDING else None
    if first is None or first > latest:
        return None
    return latest - (latest - first) % _MODEL_YEAR_CYCLE


def _respelt(text: str, field: str) -> str:
    vin = normalise(text)
    if len(vin) != LENGTH:
        raise _refused(field, "VIN_LENGTH", f"a VIN has {LENGTH} characters, this one has {len(vin)}")
    foreign = sorted({character for character in vin if character not in _VALUES})
    if foreign:
        raise _refused(field, "VIN_CHARACTERS", f"not allowed in a VIN: {' '.join(foreign)} (I, O and Q never are)")
    return vin


def _refused(field: str, rule: str, description: str) -> InvalidVin:
    violations: Sequence[FieldViolation] = [FieldViolation(field, rule, description)]
    return InvalidVin(description, violations=violations)
