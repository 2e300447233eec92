"""From a row to a visit: the same rules as for a visit that is entered by hand."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from aftersales.imports import values
from aftersales.imports.values import KIND, KINDS, NEXT_DUE_DATE, NEXT_DUE_KM, ODOMETER_KM, VIN, VISIT_DATE
from aftersales.visits import rules as visits
from aftersales.visits.values import Draft
from dealership import vin
from kit.errors import DomainError
from kit.imports.values import Remark, Row, rejected, warning

if TYPE_CHECKING:
    from dealerloop.aftersales.v1 import vehicles_pb2

LARGEST_KM: Final = 2_000_000
_FIELDS: Final = {
    "workshop_visit.vin": VIN,
    "workshop_visit.visit_date": VISIT_DATE,
    "workshop_visit.odometer_km": ODOMETER_KM,
    "workshop_visit.next_due_date": NEXT_DUE_DATE,
    "workshop_visit.next_due_km": NEXT_DUE_KM,
}
DUPLICATE: Final = rejected("", "VISIT_ALREADY_RECORDED", "an earlier row has this visit: same vehicle, day and kind")


def read(row: Row, *, today: date) -> tuple[Draft | None, list[Remark]]:
    """Return the visit of a row, or none, with everything that is to be said of it; `today` is the store's date.

    Rejected with KIND_UNKNOWN, NUMBER_OUT_OF_RANGE, or a rule of `visits.rules.read`; VIN_CHECK_DIGIT is a warning
    where makers may use the digit freely.
    """
    remarks: list[Remark] = []
    kind = KINDS.get(values.spelled(row.text(KIND)))
    if kind is None:
        remarks.append(rejected(KIND, "KIND_UNKNOWN", "not a kind of visit, such as 首保, 保养, 维修, 事故 or 检查"))
    odometer_km = _distance(row, ODOMETER_KM, remarks)
    next_due_km = _distance(row, NEXT_DUE_KM, remarks)
    draft = None
    try:
        draft = visits.read(_message(row, odometer_km, next_due_km), today=today)
    except visits.InvalidVisit as error:
        remarks.extend(remarks_of(error))
    if kind is None or draft is None or remarks:
        return None, remarks
    if draft.vin[vin.CHECK_POSITION] != vin.check_digit(draft.vin):
        remarks.append(warning(VIN, vin.CHECK_DIGIT_WARNING, "the check digit (9th character) does not fit the others"))
    return Draft(draft.vin, draft.visit_date, odometer_km, kind, draft.next_due_date, next_due_km), remarks


def remarks_of(error: DomainError) -> list[Remark]:
    """Return what an error of the visit says of its row; a visit that is there already is about the whole row."""
    if not error.violations:
        return [rejected("", error.reason, error.message)]
    return [rejected(_FIELDS.get(at, ""), rule, words) for at, rule, words in error.violations]


def key(draft: Draft) -> str:
    """Return what may be taken once: the natural identity of a visit in its store."""
    return f"{draft.vin} {draft.visit_date} {draft.kind.value}"


def _distance(row: Row, field: str, remarks: list[Remark]) -> int:
    value = row.values.get(field, 0)
    if isinstance(value, int) and 0 <= value <= LARGEST_KM:
        return value
    remarks.append(rejected(field, "NUMBER_OUT_OF_RANGE", f"must be 0 to {LARGEST_KM} km"))
    return 0


def _message(row: Row, odometer_km: int, next_due_km: int) -> vehicles_pb2.WorkshopVisit:
    from dealerloop.aftersales.v1 import vehicles_pb2

    return vehicles_pb2.WorkshopVisit(
        vin=row.text(VIN),
        visit_date=row.text(VISIT_DATE),
        odometer_km=odometer_km,
        # Known kinds were looked up before; any will do for the rules about the other fields.
        kind=vehicles_pb2.WorkshopVisit.KIND_REPAIR,
        next_due_date=row.text(NEXT_DUE_DATE),
        next_due_km=next_due_km,
    )
