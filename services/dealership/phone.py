"""Phone numbers in E.164, and the masks under which personal data is shown (GRP-02)."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata

from kit.errors import FieldViolation, InvalidArgument

DEFAULT_REGION: Final = "CN"
_CHINA: Final = "+86"
_MASK: Final = "****"
_CHINA_CODE: Final = 86
# Anything shorter is a hotline of some town, or a local number whose area is missing: 793 1232 may be either.
_FEWEST_CHINESE_DIGITS: Final = 10
_FEWEST_DIGITS: Final = 5
_MOST_DIGITS: Final = 15


def _mobile_numbers() -> re.Pattern[str]:
    """Return the mobile numbers of China as the library's own data describes them."""
    plan = PhoneMetadata.metadata_for_region(DEFAULT_REGION)
    assert plan is not None
    assert plan.mobile is not None
    pattern = plan.mobile.national_number_pattern
    assert pattern is not None
    return re.compile(pattern, re.ASCII)


_MOBILE: Final = _mobile_numbers()


class InvalidPhone(InvalidArgument):
    """The text is not a phone number that could be dialled."""

    reason = "PHONE_INVALID"


class Phone(NamedTuple):
    """A number; `e164` is E.164 when verified, else just the digits as they were given."""

    e164: str
    verified: bool


def parse(text: str, region: str = DEFAULT_REGION, *, field: str = "phone", allow_doubtful: bool = False) -> Phone:
    """Return the number in E.164, read as a number of `region` when it names no country.

    Raises InvalidPhone with rule PHONE_INVALID on `field`. With `allow_doubtful` (imports of old lists, GRP-05) a
    text that holds between 5 and 15 digits is kept unverified instead.
    """
    plain = (text if text.isascii() else unicodedata.normalize("NFKC", text)).strip()
    if region == DEFAULT_REGION and _MOBILE.fullmatch(plain):
        # Nearly every number of a list; all the ways of writing one take the library twenty times as long.
        return Phone(_CHINA + plain, verified=True)
    number = _understood(plain, region)
    if number is not None:
        return Phone(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), verified=True)
    digits = "".join(character for character in plain if character in "0123456789")
    if allow_doubtful and _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS:
        return Phone(("+" if plain.startswith("+") else "") + digits, verified=False)
    description = "not a phone number that exists in its country's numbering plan"
    raise InvalidPhone(description, violations=[FieldViolation(field, "PHONE_INVALID", description)])


def _understood(text: str, region: str) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    # An extension cannot be dialled from E.164, and letters ("1-800-FLOWERS") hide typing errors.
    if number.extension or any(character.isalpha() for character in text):
        return None
    if number.country_code == _CHINA_CODE and _digits(number) < _FEWEST_CHINESE_DIGITS:
        return None
    return number if phonenumbers.is_valid_number(number) else None


def _digits(number: phonenumbers.PhoneNumber) -> int:
    return len(phonenumbers.national_significant_number(number))


def mask_phone(number: str) -> str:
    """Show the first three and the last four digits: `138****5678`; fewer when the number is short."""
    national = number.removeprefix(_CHINA)
    shown_tail = 4 if len(national) >= 8 else 2  # noqa: PLR2004 - a short number keeps four digits hidden
    shown_head = max(0, min(3, len(national) - shown_tail - len(_MASK)))
    return national[:shown_head] + _MASK + national[len(national) - shown_tail :] if national else ""


def mask_name(name: str) -> str:
    """Show the first character only: `王**`; at most two stars, so that the length is not told."""
    plain = name.strip()
    if len(plain) <= 1:
        return "*" if plain else ""
    return plain[0] + "*" * min(2, len(plain) - 1)


def mask_plate(plate: str) -> str:
    """Show the province, the city letter and the last two characters: `京A***45`."""
    plain = plate.strip()
    if len(plain) <= 4:  # noqa: PLR2004 - nothing would be hidden
        return "*" * len(plain)
    return plain[:2] + "*" * (len(plain) - 4) + plain[-2:]
