"""The words of complaints: levels, kinds, steps, verbs, and what opens a case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

SYSTEM: Final = "system"
"""The actor of a case that a survey's answers opened."""

GENERAL_MANAGER: Final = "ROLE_GENERAL_MANAGER"
CARE_MANAGER: Final = "ROLE_CARE_MANAGER"
QUALITY_MANAGER: Final = "ROLE_GROUP_QUALITY_MANAGER"


class Level(StrEnum):
    """How serious a case is (CARE-07), the mildest first."""

    DISSATISFACTION = "DISSATISFACTION"
    GRIEVANCE = "GRIEVANCE"
    COMPLAINT = "COMPLAINT"

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return LEVELS.index(self)


LEVELS: Final = tuple(Level)


class Kind(StrEnum):
    """What it is about (CMP-1)."""

    PRODUCT = "PRODUCT"
    SERVICE = "SERVICE"
    COMMUNICATION = "COMMUNICATION"
    POLICY = "POLICY"
    PRICE = "PRICE"
    DELIVERY = "DELIVERY"
    PARTS = "PARTS"
    OTHER = "OTHER"


class Channel(StrEnum):
    """How it came in, or how somebody spoke with the customer."""

    PHONE = "PHONE"
    VISIT = "VISIT"
    SURVEY = "SURVEY"
    MESSAGE = "MESSAGE"
    MANUFACTURER = "MANUFACTURER"
    OTHER = "OTHER"


class Severity(StrEnum):
    """How bad it is."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class Department(StrEnum):
    """The departments of a store."""

    SALES = "SALES"
    AFTERSALES = "AFTERSALES"
    CUSTOMER_CARE = "CUSTOMER_CARE"
    INSURANCE = "INSURANCE"
    USED_CARS = "USED_CARS"
    PARTS = "PARTS"
    FINANCE = "FINANCE"


MANAGERS: Final = {
    Department.SALES: "ROLE_SALES_MANAGER",
    Department.AFTERSALES: "ROLE_AFTERSALES_MANAGER",
    Department.CUSTOMER_CARE: CARE_MANAGER,
    Department.FINANCE: "ROLE_FINANCE_MANAGER",
}
"""The managers of departments; one without a manager role is answered by the GM (domain section 0)."""


class Step(StrEnum):
    """What a complaint waits for."""

    OPINION = "OPINION"
    REVIEW = "REVIEW"
    DISPATCH = "DISPATCH"
    RETURN = "RETURN"
    CALL_BACK = "CALL_BACK"
    SIGN = "SIGN"
    ARCHIVE = "ARCHIVE"
    ARCHIVED = "ARCHIVED"


CLOSED: Final = frozenset({Step.ARCHIVE, Step.ARCHIVED})


class Verb(StrEnum):
    """What people do with a complaint."""

    OPEN = "OPEN"
    SET_OPINION = "SET_OPINION"
    REVIEW = "REVIEW"
    DISPATCH = "DISPATCH"
    RECORD_CONTACT = "RECORD_CONTACT"
    RETURN = "RETURN"
    CALL_BACK = "CALL_BACK"
    SIGN = "SIGN"
    ARCHIVE = "ARCHIVE"
    EXTEND = "EXTEND"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    REOPEN = "REOPEN"


class ClockKind(StrEnum):
    """The clocks of a complaint (CMP-11)."""

    CONTACT = "CONTACT"
    RETURN = "RETURN"
    CLOSE = "CLOSE"
    CALL_BACK = "CALL_BACK"
    PROGRESS = "PROGRESS"


class ClockState(StrEnum):
    """Where a clock stands."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    MET = "MET"
    BREACHED = "BREACHED"
    MET_LATE = "MET_LATE"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What opens a case, by hand or from the answers of a survey (CMP-1, CARE-07).

    `actor` is `staff/{staff}`, or SYSTEM for a survey that the customer answered. A customer who is on file comes by
    id, somebody else with name and number as they were checked. `vin` is empty or normalised.
    """

    store_id: str
    level: Level
    kind: Kind
    channel: Channel
    description: str
    actor: str
    severity: Severity | None = None
    customer_wish: str = ""
    customer_id: UUID | None = None
    contact_name: str | None = None
    contact_phone: str | None = None
    vin: str = ""
    delivery_id: UUID | None = None
    survey_id: UUID | None = None
    department: Department | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `id` as the history shows it, the person's id, and the roles held in the store of the complaint."""

    id: str
    staff_id: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Round:
    """One way from the department to the customer and back (CMP-6); what was not done yet is None or empty."""

    number: int
    dispatch_time: datetime | None = None
    responsible_id: str = ""
    promised_date: date | None = None
    return_time: datetime | None = None
    satisfied: bool | None = None
    call_back_time: datetime | None = None
