"""Decisions about customers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from kit.errors import Conflict
from sales.customers.values import Buyer


class CustomerErased(Conflict):
    """The person's data was erased on request; nothing is written to the record any more (GRP-06)."""

    reason = "CUSTOMER_ERASED"


class Correction(Enum):
    """What a corrected name or telephone number means for the record behind a delivery."""

    NOTHING = auto()
    CONSENTS_ONLY = auto()
    SAME_PERSON = auto()
    OTHER_PERSON = auto()


def correction(known: Buyer, given: Buyer, *, erased: bool) -> Correction:
    """Tell a corrected spelling or a new number from another buyer.

    One of name and telephone changed, or the missing one was found: the same person's record is corrected. Both
    changed: the delivery was booked on the wrong customer. Raises CustomerErased when anything about an erased person
    is to be written.
    """
    if known == given:
        return Correction.NOTHING
    if erased:
        raise CustomerErased("this customer was erased")
    old, new = known.person, given.person
    if old == new:
        return Correction.CONSENTS_ONLY
    if old.phone and old.display_name and old.phone != new.phone and old.name_key != new.name_key:
        return Correction.OTHER_PERSON
    return Correction.SAME_PERSON


def merged_consents(known: Mapping[str, bool], given: Mapping[str, bool]) -> dict[str, bool]:
    """Return the consents after a new delivery: what was asked again wins, the rest stays (GRP-06)."""
    return {**known, **given}
