"""Terms and due dates: which version holds, how long, until when."""

from __future__ import annotations

import calendar
import unicodedata
from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

from aftersales.warranty.values import (
    Catalogue,
    ComponentGroup,
    PlanVersion,
    PolicyKind,
    PolicyVersion,
    Reason,
    Span,
    Term,
    Validity,
)

_MONTHS_A_YEAR = 12


class Version(Protocol):
    """What versions of policies and plans have in common."""

    @property
    def version(self) -> int:
        """Its number."""

    @property
    def validity(self) -> Validity:
        """Whom and when it is for."""

    @property
    def name(self) -> str:
        """Its name."""


V = TypeVar("V", bound=Version)


def add_months(day: date, months: int) -> date:
    """Return the same day of the month that many calendar months on, or that month's last day when it is shorter.

    A term counted so ends with that day: it is the last covered one, as the Civil Code counts periods (art. 201 and
    202: the first day is not counted, the corresponding day is the last).
    """
    years, month = divmod(day.month - 1 + months, _MONTHS_A_YEAR)
    year = day.year + years
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def in_force(versions: Iterable[V], *, brand: str, series: str, at: date) -> V | None:
    """Return the version for this vehicle on that day: the one in force latest, then the highest number."""
    found = [version for version in versions if _holds(version.validity, _plain(brand), _plain(series), at)]
    return max(found, key=lambda one: (one.validity.effective_from, one.version, one.name), default=None)


def terms(catalogue: Catalogue, *, brand: str, series: str, start: date) -> tuple[Term, ...]:
    """Return the effective term of each component group for a vehicle invoiced on `start`.

    Precedence (WAR-12), our reading: the effective term is the longer of policy and statutory floor in months and,
    separately, in km. A buyer must never be worse off than either text alone makes him, and with 'whichever first'
    only the longer of both numbers ensures that. Both versions are named. `statutory` is set when policy alone would
    be shorter and the floor alone gives the result. Without a policy the floor stands alone; without both there is
    no term.
    """
    policies = [one for one in catalogue.policies if one.kind is PolicyKind.MANUFACTURER]
    floors = [one for one in catalogue.policies if one.kind is PolicyKind.STATUTORY]
    policy = in_force(policies, brand=brand, series=series, at=start)
    floor = in_force(floors, brand=brand, series=series, at=start)
    found = (_term(group, policy, floor, start) for group in ComponentGroup)
    return tuple(term for term in found if term is not None)


def plan_for(catalogue: Catalogue, *, brand: str, series: str, at: date) -> PlanVersion | None:
    """Return the maintenance plan of a series, or none when the series is not known (AFT-04)."""
    return in_force(catalogue.plans, brand=brand, series=series, at=at)


def free_services_left(plan: PlanVersion | None, *, first_service_done: bool, scheduled_visits: int) -> int:
    """Return how many free services are left: the first service uses one, each scheduled maintenance the next."""
    if plan is None:
        return 0
    return max(0, plan.free_services - int(first_service_done) - scheduled_visits)


def explain(*, start: date | None, terms: tuple[Term, ...], plan: PlanVersion | None) -> tuple[Reason, ...]:
    """Say why a vehicle's terms are as they are, or why there are none."""
    if start is None:
        return (Reason("START_UNKNOWN", "WAR-12", "no valid delivery to a first customer is known, so no term runs"),)
    reasons = []
    if not terms:
        reasons.append(Reason("NO_TERM_KNOWN", "WAR-01", "neither a policy nor a statutory floor held on that day"))
    elif not any(term.policy_version for term in terms):
        text = "no policy for this series is known; the statutory floor alone applies"
        reasons.append(Reason("SERIES_WITHOUT_POLICY", "WAR-01", text))
    elif any(term.statutory for term in terms):
        text = "the statutory floor is longer than the manufacturer's policy"
        reasons.append(Reason("STATUTORY_FLOOR_APPLIES", "WAR-12", text))
    if plan is None:
        reasons.append(Reason("NO_MAINTENANCE_PLAN", "AFT-04", "no maintenance plan for this series is known"))
        return tuple(reasons)
    for figure in plan.assumed:
        text = f"{figure} of {plan.name} is a default of ours, to be confirmed by the group"
        reasons.append(Reason(f"{figure.upper()}_ASSUMED", "AFT-04", text))
    return tuple(reasons)


def _holds(validity: Validity, brand: str, series: str, at: date) -> bool:
    if at < validity.effective_from or (validity.effective_to is not None and at > validity.effective_to):
        return False
    return _matches(validity.brand_patterns, brand) and _matches(validity.series_patterns, series)


def _matches(patterns: Iterable[str], text: str) -> bool:
    return any(fnmatchcase(text, _plain(pattern)) for pattern in patterns)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _term(group: ComponentGroup, policy: PolicyVersion | None, floor: PolicyVersion | None, start: date) -> Term | None:
    own = policy.spans.get(group) if policy else None
    least = floor.spans.get(group) if floor else None
    spans = [span for span in (own, least) if span is not None]
    if not spans:
        return None
    longest = Span(max(span.months for span in spans), max(span.distance_km for span in spans))
    return Term(
        component_group=group,
        months=longest.months,
        distance_km=longest.distance_km,
        end_date=add_months(start, longest.months),
        policy_version=policy.name if policy and own else "",
        statutory_version=floor.name if floor and least else "",
        statutory=longest == least and longest != own,
    )
