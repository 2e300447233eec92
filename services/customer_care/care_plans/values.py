"""The words of a care plan: the facts it is made from, and the contacts it plans."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from customer_care.cadences.values import OwnerRole
from customer_care.followups.values import FollowUpState


class DeliveryState(NamedTuple):
    """A delivery as its latest event told it; `version` grows with every change."""

    delivery_id: UUID
    store_id: str
    version: int
    vin: str
    series: str
    customer_id: UUID | None
    consultant_id: str
    delivery_date: date
    record_time: datetime
    finance_end_date: date | None
    cancelled: bool


class FirstServiceState(NamedTuple):
    """The first service of a vehicle; `visit_date` is the earliest first-service visit that the workshop told."""

    vin: str
    version: int
    due_date: date | None
    due_km: int
    done_date: date | None
    visit_date: date | None = None

    @property
    def finished_on(self) -> date | None:
        """The day on which it was made, by whichever event told it."""
        return self.done_date or self.visit_date


class Days(NamedTuple):
    """All that the windows of a plan depend on; two deliveries with equal days have equal windows."""

    delivery: date
    # The day of the call on the day of delivery: later when the delivery was recorded after closing time.
    first_call: date
    first_service_due: date | None
    first_service_done: date | None
    finance_end: date | None


class Planned(NamedTuple):
    """One follow-up as the cadence asks for it; its identity is (delivery, step, occurrence)."""

    step: str
    occurrence: int
    owner_role: OwnerRole
    window_start: date
    window_end: date
    state: FollowUpState
    questionnaire: str


@dataclass(slots=True)
class Existing:
    """A follow-up that is there already."""

    id: UUID
    step: str
    occurrence: int
    owner_id: str
    window_start: date
    window_end: date
    state: FollowUpState
    version: int = 1


class Change(NamedTuple):
    """The new values of a follow-up that is there already."""

    id: UUID
    owner_id: str
    window_start: date
    window_end: date
    state: FollowUpState


class Reconciliation(NamedTuple):
    """What brings the follow-ups of a plan in step with the facts."""

    inserts: tuple[Planned, ...]
    changes: tuple[Change, ...]
    # Those of `changes` that were open and end now by their stop condition; the others are told of nothing.
    closed: tuple[Existing, ...]
