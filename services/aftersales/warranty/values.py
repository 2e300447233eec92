"""What the rules about warranty and maintenance speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum


class ComponentGroup(Enum):
    """A part of the vehicle with a term of its own."""

    ENGINE = "ENGINE"
    REST_OF_VEHICLE = "REST_OF_VEHICLE"


class PolicyKind(Enum):
    """Who set a policy."""

    MANUFACTURER = "MANUFACTURER"
    STATUTORY = "STATUTORY"


@dataclass(frozen=True, slots=True)
class Validity:
    """Which vehicles a version is for, and when.

    Patterns are shell-style, compared without regard to case and width; one of each must match. A version is in
    force from the first day up to and including the last; an open end is None.
    """

    brand_patterns: tuple[str, ...]
    series_patterns: tuple[str, ...]
    effective_from: date
    effective_to: date | None


@dataclass(frozen=True, slots=True)
class Span:
    """A length in months and in km, whichever ends first."""

    months: int
    distance_km: int


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One immutable version of a warranty policy (WAR-01), with a span per component group."""

    policy: str
    version: int
    kind: PolicyKind
    validity: Validity
    spans: dict[ComponentGroup, Span]

    @property
    def name(self) -> str:
        """The name by which decisions cite it."""
        return f"warrantyPolicies/{self.policy}/versions/{self.version}"


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """One immutable version of a maintenance plan (AFT-04).

    `first_service` counts from the hand-over; `assumed` names the figures that are ours and not the source's.
    """

    plan: str
    version: int
    validity: Validity
    first_service: Span
    free_services: int
    assumed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name by which a vehicle cites it."""
        return f"maintenancePlans/{self.plan}/versions/{self.version}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every version of every policy and plan."""

    policies: tuple[PolicyVersion, ...]
    plans: tuple[PlanVersion, ...]

    def plan(self, name: str) -> PlanVersion | None:
        """Return the plan of this name."""
        return next((plan for plan in self.plans if plan.name == name), None)


@dataclass(frozen=True, slots=True)
class Term:
    """How long a component group of one vehicle is covered; `end_date` is the last covered day.

    `policy_version` is empty where no policy of the manufacturer is known, `statutory_version` where no floor was in
    force; `statutory` says that the floor is what counts.
    """

    component_group: ComponentGroup
    months: int
    distance_km: int
    end_date: date
    policy_version: str
    statutory_version: str
    statutory: bool


@dataclass(frozen=True, slots=True)
class FirstService:
    """When the first service is due (date and km), and when it was made; None or 0 where that is not known."""

    due_date: date | None = None
    due_km: int = 0
    done_date: date | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """An odometer reading, km, on a store-local day."""

    date: date
    odometer_km: int


class Circumstance(Enum):
    """What time and mileage alone cannot decide; names as in the contract."""

    MAINTENANCE_IN_DOUBT = "MAINTENANCE_IN_DOUBT"
    MODIFIED_OR_ACCIDENT = "MODIFIED_OR_ACCIDENT"
    WEAR_PART = "WEAR_PART"
    MISUSE = "MISUSE"
    WRONG_FLUIDS = "WRONG_FLUIDS"
    NON_GENUINE_PARTS = "NON_GENUINE_PARTS"
    DRIVEN_ON = "DRIVEN_ON"
    ENVIRONMENT = "ENVIRONMENT"
    OUTSIDE_REPAIR = "OUTSIDE_REPAIR"
    ODOMETER_ALTERED = "ODOMETER_ALTERED"
    POOR_STORAGE = "POOR_STORAGE"
    OTHER_PARTY = "OTHER_PARTY"
    FLEET_OR_EXPORT = "FLEET_OR_EXPORT"
    DOUBTFUL_CAUSE = "DOUBTFUL_CAUSE"
    REPLACEMENT_PART = "REPLACEMENT_PART"


class Decision(Enum):
    """The outcome of a coverage question (WAR-02); goodwill is a person's, never this rule's."""

    COVERED = "COVERED"
    NOT_COVERED = "NOT_COVERED"
    REFER = "REFER"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: a stable code, the rule behind it, and words."""

    code: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is asked about: a component group, the day, the odometer (km, None when unknown), what was seen."""

    component_group: ComponentGroup
    date: date
    odometer_km: int | None
    circumstances: frozenset[Circumstance] = frozenset()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of the vehicle that the fault is on."""

    start: date | None
    terms: tuple[Term, ...]
    first_service: FirstService
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision with its reasons, the evidence that would change it, and the term that was applied."""

    decision: Decision
    reasons: tuple[Reason, ...]
    missing_evidence: tuple[str, ...]
    term: Term | None
