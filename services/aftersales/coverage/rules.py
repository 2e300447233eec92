"""The coverage decision (WAR-02), pure: time and mileage decide, circumstances are referred to a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aftersales.warranty.values import Circumstance, Decision, Fault, Reason, Ruling, Standing, Term

ODOMETER_READING: Final = "ODOMETER_READING"
FIRST_SERVICE_RECORD: Final = "FIRST_SERVICE_RECORD"


class _Doubt(NamedTuple):
    rule: str
    text: str
    evidence: tuple[str, ...]


_DOUBTS: Final = {
    Circumstance.MAINTENANCE_IN_DOUBT: _Doubt(
        "WAR-03", "checks or scheduled maintenance may have been missed", ("MAINTENANCE_RECORDS",)
    ),
    Circumstance.MODIFIED_OR_ACCIDENT: _Doubt(
        "WAR-04", "fitted or modified outside the works, or an accident car", ("TECHNICAL_REPORT", "ACCIDENT_HISTORY")
    ),
    Circumstance.WEAR_PART: _Doubt("WAR-04", "a part of normal service and wear", ("PART_WEAR_ASSESSMENT",)),
    Circumstance.MISUSE: _Doubt("WAR-04", "misuse is suspected", ("TECHNICAL_REPORT", "PROPER_USE_RECORDS")),
    Circumstance.WRONG_FLUIDS: _Doubt("WAR-04", "wrong or dirty fluids are suspected", ("FLUID_SAMPLE",)),
    Circumstance.NON_GENUINE_PARTS: _Doubt("WAR-04", "parts may not be genuine", ("PART_ORIGIN",)),
    Circumstance.DRIVEN_ON: _Doubt("WAR-04", "driving on may have increased the damage", ("TECHNICAL_REPORT",)),
    Circumstance.ENVIRONMENT: _Doubt("WAR-04", "the environment may be the cause", ("TECHNICAL_REPORT",)),
    Circumstance.OUTSIDE_REPAIR: _Doubt("WAR-04", "repaired outside the network", ("OUTSIDE_REPAIR_INVOICES",)),
    Circumstance.ODOMETER_ALTERED: _Doubt("WAR-04", "the odometer may have been altered", ("ODOMETER_HISTORY",)),
    Circumstance.POOR_STORAGE: _Doubt("WAR-04", "long standstill with poor storage", ("STORAGE_RECORDS",)),
    Circumstance.OTHER_PARTY: _Doubt(
        "WAR-06", "a converter, a carrier or a dealer may be liable", ("LIABILITY_STATEMENT",)
    ),
    Circumstance.FLEET_OR_EXPORT: _Doubt("WAR-08", "a fleet or export vehicle has written terms", ("SPECIAL_TERMS",)),
    Circumstance.DOUBTFUL_CAUSE: _Doubt(
        "WAR-07",
        "the cause is in doubt",
        ("PROPER_USE_RECORDS", "MAINTENANCE_RECORDS", "MANUFACTURER_CONSENT"),
    ),
    Circumstance.REPLACEMENT_PART: _Doubt(
        "WAR-01", "a replacement part has a term of its own", ("REPLACEMENT_PART_TERM",)
    ),
}
# Only these bring another term with them; any other circumstance can exclude, but never revive an ended term.
_OWN_TERMS: Final = frozenset({Circumstance.FLEET_OR_EXPORT, Circumstance.REPLACEMENT_PART})


@dataclass
class _File:
    """Collects reasons and the evidence that is missing, each once and in order."""

    reasons: list[Reason] = field(default_factory=list)
    evidence: dict[str, None] = field(default_factory=dict)

    def note(self, code: str, rule: str, text: str, *evidence: str) -> None:
        self.reasons.append(Reason(code, rule, text))
        self.evidence.update(dict.fromkeys(evidence))

    def ruling(self, decision: Decision, term: Term | None) -> Ruling:
        return Ruling(decision, tuple(self.reasons), tuple(self.evidence), term)


def decide(standing: Standing, fault: Fault) -> Ruling:
    """Decide whether a fault is covered.

    An ended term is not covered, whatever else is unknown: date or mileage, whichever comes first; the last day and
    the last km are still covered. Circumstances that bring terms of their own (fleet, export, replacement part) are
    referred even then. Within the term, with a known odometer and nothing in doubt, the fault is covered. Anything
    else is referred, with every missing evidence (WAR-02).

    'First service overdue' (WAR-03) means the day after its due date, as CAD-08 has it; a mileage beyond the first
    service's is told as a reason with the evidence that would settle it, but does not withhold cover by itself.
    """
    file = _File()
    term = next((one for one in standing.terms if one.component_group is fault.component_group), None)
    _note_circumstances(file, fault)
    if term is not None and not fault.circumstances & _OWN_TERMS:
        ended = _ended(standing, term, fault)
        if ended:
            return Ruling(Decision.NOT_COVERED, ended, (), term)
    if standing.start is None:
        file.note("START_UNKNOWN", "WAR-12", "the day of the first retail delivery is not known", "DELIVERY_RECORD")
    elif term is None:
        file.note("NO_TERM_KNOWN", "WAR-01", "no term for this component group is known", "WARRANTY_POLICY")
    elif fault.date < standing.start:
        text = "the fault is dated before the delivery to the first customer"
        file.note("FAULT_BEFORE_START", "WAR-09", text, "FAULT_DATE", "DELIVERY_RECORD")
    _note_odometer(file, standing, fault)
    _note_overdue_service(file, standing, fault)
    if file.reasons or term is None:
        return file.ruling(Decision.REFER, term)
    file.note("WITHIN_TERM", "WAR-12", _within(term))
    _note_service_mileage(file, standing, fault)
    return file.ruling(Decision.COVERED, term)


def _ended(standing: Standing, term: Term, fault: Fault) -> tuple[Reason, ...]:
    reasons = []
    if fault.date > term.end_date:
        text = f"the term ended on {term.end_date} ({term.months} months)"
        reasons.append(Reason("TERM_ENDED_BY_DATE", "WAR-12", text))
    # Without a reading of the day, an earlier one beyond the limit says the same.
    known = [reading.odometer_km for reading in standing.readings if reading.date <= fault.date]
    if fault.odometer_km is not None:
        known = [fault.odometer_km]
    if max(known, default=0) > term.distance_km:
        text = f"the term ended at {term.distance_km} km; the odometer showed {max(known)} km"
        reasons.append(Reason("TERM_ENDED_BY_MILEAGE", "WAR-12", text))
    return tuple(reasons)


def _note_circumstances(file: _File, fault: Fault) -> None:
    for circumstance in sorted(fault.circumstances, key=lambda one: one.value):
        doubt = _DOUBTS[circumstance]
        file.note(circumstance.value, doubt.rule, doubt.text, *doubt.evidence)


def _note_odometer(file: _File, standing: Standing, fault: Fault) -> None:
    if fault.odometer_km is None:
        file.note("ODOMETER_UNKNOWN", "WAR-12", "the odometer at the fault is not known", ODOMETER_READING)
        return
    earlier = [reading for reading in standing.readings if reading.date <= fault.date]
    highest = max(earlier, key=lambda reading: reading.odometer_km, default=None)
    if highest is not None and highest.odometer_km > fault.odometer_km:
        text = f"the odometer showed {highest.odometer_km} km on {highest.date} already"
        file.note("ODOMETER_DECREASED", "WAR-04", text, ODOMETER_READING, "ODOMETER_HISTORY")


def _note_overdue_service(file: _File, standing: Standing, fault: Fault) -> None:
    service = standing.first_service
    if service.due_date is not None and fault.date > service.due_date and not _served(standing, fault):
        text = f"the first service was due on {service.due_date} and is not recorded"
        file.note("FIRST_SERVICE_OVERDUE", "WAR-03", text, FIRST_SERVICE_RECORD)


def _note_service_mileage(file: _File, standing: Standing, fault: Fault) -> None:
    due_km = standing.first_service.due_km
    if due_km and (fault.odometer_km or 0) > due_km and not _served(standing, fault):
        text = f"the first service at {due_km} km is not recorded yet"
        file.note("FIRST_SERVICE_MILEAGE_PASSED", "WAR-03", text, FIRST_SERVICE_RECORD)


def _served(standing: Standing, fault: Fault) -> bool:
    done = standing.first_service.done_date
    return done is not None and done <= fault.date


def _within(term: Term) -> str:
    versions = " and ".join(name for name in (term.policy_version, term.statutory_version) if name)
    return f"within {term.months} months and {term.distance_km} km, until {term.end_date}, by {versions}"
