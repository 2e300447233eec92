"""What makes a workshop visit acceptable; every problem of the input is told at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from aftersales.vehicles.rules import readings
from aftersales.vehicles.values import VisitKind
from aftersales.visits.values import UNKNOWN, Draft, History
from aftersales.warranty.values import Reading
from dealership import vin
from kit.errors import AlreadyExists, FieldViolation, InvalidArgument

if TYPE_CHECKING:
    from dealerloop.aftersales.v1 import vehicles_pb2

EARLIEST: Final = date(1990, 1, 1)
LONGEST_INTERVAL: Final = timedelta(days=10 * 366)
_PREFIX: Final = "workshop_visit."


class InvalidVisit(InvalidArgument):
    """The visit breaks rules of its fields; the violations name each of them."""

    reason = "VISIT_INVALID"


class VisitAlreadyRecorded(AlreadyExists):
    """The store has a visit of this kind for this vehicle and day already."""

    reason = "VISIT_ALREADY_RECORDED"


def day(field: str, text: str) -> date:
    """Return a day of the calendar since 1990; raises InvalidVisit (DATE_INVALID, DATE_TOO_EARLY) on `field`."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    # ISO 8601 has other spellings (20260131, 2026-W05-6), which the contract has not.
    if found is None or found.isoformat() != text:
        raise _refused(field, "DATE_INVALID", "not a day of the calendar, or not written as YYYY-MM-DD")
    if found < EARLIEST:
        raise _refused(field, "DATE_TOO_EARLY", f"must not be before {EARLIEST}")
    return found


def past_day(field: str, text: str, today: date) -> date:
    """Return a day that is not after today in the store; raises InvalidVisit, also with DATE_IN_FUTURE."""
    found = day(field, text)
    if found > today:
        raise _refused(field, "DATE_IN_FUTURE", "must not be after today in the store")
    return found


def read(visit: vehicles_pb2.WorkshopVisit, *, today: date) -> Draft:
    """Return the checked visit; field paths start with `workshop_visit.`, `today` is the store's date.

    Raises InvalidVisit with all violations: VIN_*, DATE_INVALID, DATE_TOO_EARLY, DATE_IN_FUTURE, DATE_TOO_LATE,
    NEXT_DUE_PASSED.
    """
    from dealerloop.aftersales.v1 import vehicles_pb2

    found: list[FieldViolation] = []
    vehicle, visit_date, next_due = "", today, None
    try:
        vehicle, _ = vin.parse(visit.vin, field=f"{_PREFIX}vin")
    except InvalidArgument as error:
        found.extend(error.violations)
    try:
        visit_date = past_day(f"{_PREFIX}visit_date", visit.visit_date, today)
    except InvalidVisit as error:
        found.extend(error.violations)
    try:
        next_due = _next_due_date(visit.next_due_date, visit_date)
    except InvalidVisit as error:
        found.extend(error.violations)
    if 0 < visit.next_due_km <= visit.odometer_km:
        description = "the next maintenance is due at more than the present mileage"
        found.append(FieldViolation(f"{_PREFIX}next_due_km", "NEXT_DUE_PASSED", description))
    if found:
        raise InvalidVisit(found[0].description, violations=found)
    kind = VisitKind(vehicles_pb2.WorkshopVisit.Kind.Name(visit.kind).removeprefix("KIND_"))
    return Draft(vehicle, visit_date, visit.odometer_km, kind, next_due, visit.next_due_km)


def check_odometer(visit: Draft, others: Iterable[Reading]) -> None:
    """Refuse an odometer that runs backwards between any two readings of the vehicle.

    The other reading is named by day and km, never by store (GRP-01a). Raises InvalidVisit with rule
    ODOMETER_DECREASED (an earlier reading is higher) or ODOMETER_ABOVE_LATER (a later one is lower).
    """
    known = list(others)
    earlier = [one for one in known if one.date <= visit.visit_date and one.odometer_km > visit.odometer_km]
    if earlier:
        highest = max(earlier, key=lambda one: one.odometer_km)
        raise _backwards(visit.odometer_km, "ODOMETER_DECREASED", "earlier", highest)
    later = [one for one in known if one.date > visit.visit_date and one.odometer_km < visit.odometer_km]
    if later:
        raise _backwards(
            visit.odometer_km, "ODOMETER_ABOVE_LATER", "later", min(later, key=lambda one: one.odometer_km)
        )


def judge(
    visits: Sequence[tuple[str, Draft]], histories: Mapping[str, History]
) -> list[InvalidVisit | VisitAlreadyRecorded | None]:
    """Say of each visit of a store why it cannot be recorded after the others, oldest first; None where it can."""
    verdicts: list[InvalidVisit | VisitAlreadyRecorded | None] = [None] * len(visits)
    known: dict[str, list[Reading]] = {}
    recorded = {vin: set(history.recorded) for vin, history in histories.items()}
    order = sorted(range(len(visits)), key=lambda at: (visits[at][1].visit_date, visits[at][1].odometer_km))
    for at in order:
        store_id, visit = visits[at]
        if visit.vin not in known:
            history = histories.get(visit.vin, UNKNOWN)
            known[visit.vin] = list(readings(history.delivery_date, history.delivery_odometer_km, history.services))
        try:
            identity = (store_id, visit.visit_date, visit.kind)
            if identity in recorded.setdefault(visit.vin, set()):
                raise already_recorded(visit)
            check_odometer(visit, known[visit.vin])
        except (InvalidVisit, VisitAlreadyRecorded) as refused:
            verdicts[at] = refused
            continue
        recorded[visit.vin].add(identity)
        known[visit.vin].append(Reading(visit.visit_date, visit.odometer_km))
    return verdicts


def already_recorded(visit: Draft) -> VisitAlreadyRecorded:
    """Return the error of a visit that the store has already."""
    return VisitAlreadyRecorded(
        "this visit was already recorded",
        metadata={"vin": visit.vin, "visit_date": visit.visit_date.isoformat(), "kind": visit.kind.value},
    )


def _next_due_date(text: str, visit_date: date) -> date | None:
    field = f"{_PREFIX}next_due_date"
    if not text:
        return None
    found = day(field, text)
    if found <= visit_date:
        raise _refused(field, "NEXT_DUE_PASSED", "must be after the visit")
    if found - visit_date > LONGEST_INTERVAL:
        raise _refused(field, "DATE_TOO_LATE", "must not be more than 10 years after the visit")
    return found


def _backwards(given: int, rule: str, which: str, reading: Reading) -> InvalidVisit:
    description = f"{given} km does not fit the {which} reading of {reading.odometer_km} km on {reading.date}"
    violation = FieldViolation(f"{_PREFIX}odometer_km", rule, description)
    facts = {"reading_date": reading.date.isoformat(), "reading_km": str(reading.odometer_km)}
    return InvalidVisit(description, metadata=facts, violations=[violation])


def _refused(field: str, rule: str, description: str) -> InvalidVisit:
    return InvalidVisit(description, violations=[FieldViolation(field, rule, description)])
