"""Free remarks that people of sales write; they may hold personal data and are kept sealed."""

from __future__ import annotations

import unicodedata

from kit.errors import FieldViolation, InvalidArgument


class InvalidNote(InvalidArgument):
    """The remark is blank where one is needed, or holds what does not belong into a text."""

    reason = "NOTE_INVALID"


def read(text: str, *, field: str, required: bool = False) -> str:
    """Return the remark as it is kept; raises InvalidNote on `field` (TEXT_EMPTY, TEXT_CHARACTERS)."""
    # Tabs and line breaks come with pasting; what else is invisible does not belong into a text.
    plain = " ".join(unicodedata.normalize("NFC", text).split())
    if any(unicodedata.category(character) == "Cc" for character in plain):
        raise _wrong(field, "TEXT_CHARACTERS", "control characters are not allowed")
    if required and not plain:
        raise _wrong(field, "TEXT_EMPTY", "must not be blank")
    return plain


def _wrong(field: str, rule: str, description: str) -> InvalidNote:
    return InvalidNote(description, violations=[FieldViolation(field, rule, description)])
