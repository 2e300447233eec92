"""Complaints as rows. What people write of people is encrypted; an erased customer leaves those columns empty."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Integer, Interval
from sqlalchemy.orm import Mapped, mapped_column

from customer_care.complaints.policy import TimeKind
from customer_care.complaints.values import Channel, ClockKind, Department, Kind, Level, Severity, Step, Verb
from kit.db.model import Base

# What each sealed column is bound to.
DESCRIPTION: Final = "customer_care.complaint.description"
WISH: Final = "customer_care.complaint.customer_wish"
NAME: Final = "customer_care.complaint.customer_display_name"
PHONE: Final = "customer_care.complaint.customer_phone"
OPINION: Final = "customer_care.complaint.opinion"
PAUSE_REASON: Final = "customer_care.complaint.pause_reason"
LESSON: Final = "customer_care.complaint.lesson"
NOTE: Final = "customer_care.complaint_action.note"
CAUSE: Final = "customer_care.complaint_round.cause"
ACTION: Final = "customer_care.complaint_round.action"


class Complaint(Base):
    """One form; `version` and `update_time` are those of its last action, `since` is its last opening."""

    __tablename__ = "complaint"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    version: Mapped[int]
    level: Mapped[Level]
    kind: Mapped[Kind]
    channel: Mapped[Channel]
    severity: Mapped[Severity | None]
    step: Mapped[Step]
    department: Mapped[Department | None]
    customer_id: Mapped[UUID | None]
    vin: Mapped[str]
    delivery_id: Mapped[UUID | None]
    survey_id: Mapped[UUID | None]
    checker_id: Mapped[str]
    opinion_by: Mapped[str]
    sealed_description: Mapped[bytes | None]
    sealed_customer_wish: Mapped[bytes | None]
    sealed_display_name: Mapped[bytes | None]
    sealed_phone: Mapped[bytes | None]
    sealed_opinion: Mapped[bytes | None]
    sealed_pause_reason: Mapped[bytes | None]
    sealed_lesson: Mapped[bytes | None]
    open_time: Mapped[datetime]
    update_time: Mapped[datetime]
    since: Mapped[datetime]
    contact_time: Mapped[datetime | None]
    close_time: Mapped[datetime | None]
    paused_since: Mapped[datetime | None]


class ComplaintAction(Base):
    """One thing that somebody did: its number is the version that it made. Never changed, never removed (CMP-12)."""

    __tablename__ = "complaint_action"

    complaint_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    verb: Mapped[Verb]
    actor: Mapped[str]
    action_time: Mapped[datetime]
    from_step: Mapped[Step | None]
    to_step: Mapped[Step]
    round: Mapped[int] = mapped_column(Integer)
    sealed_note: Mapped[bytes | None]
    changes: Mapped[dict[str, Any]]


class ComplaintRound(Base):
    """One way from the department to the customer and back (CMP-6)."""

    __tablename__ = "complaint_round"

    complaint_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    store_id: Mapped[str]
    dispatch_time: Mapped[datetime | None]
    responsible_id: Mapped[str]
    sealed_cause: Mapped[bytes | None]
    sealed_action: Mapped[bytes | None]
    promised_date: Mapped[date | None]
    return_time: Mapped[datetime | None]
    satisfied: Mapped[bool | None]
    call_back_time: Mapped[datetime | None]


class ComplaintClock(Base):
    """One clock of a round; the columns are those of `clocks.Clock`."""

    __tablename__ = "complaint_clock"

    complaint_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[ClockKind] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(Integer, primary_key=True)
    store_id: Mapped[str]
    time: Mapped[TimeKind]
    start_time: Mapped[datetime]
    length: Mapped[timedelta] = mapped_column(Interval)
    due_time: Mapped[datetime]
    term: Mapped[int] = mapped_column(Integer)
    percent: Mapped[int] = mapped_column(Integer)
    paused: Mapped[timedelta] = mapped_column(Interval)
    held: Mapped[timedelta] = mapped_column(Interval)
    paused_since: Mapped[datetime | None]
    done_time: Mapped[datetime | None]
    stop_time: Mapped[datetime | None]


class ComplaintEscalation(Base):
    """One threshold of a clock that was passed, and who was told; never changed (CMP-11).

    `vacant_roles` were to be told before `target_role`, the lowest first: nobody held them for the store.
    """

    __tablename__ = "complaint_escalation"

    complaint_id: Mapped[UUID] = mapped_column(primary_key=True)
    clock: Mapped[ClockKind] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(Integer, primary_key=True)
    term: Mapped[int] = mapped_column(Integer, primary_key=True)
    percent: Mapped[int] = mapped_column(Integer, primary_key=True)
    store_id: Mapped[str]
    target_role: Mapped[str]
    vacant_roles: Mapped[list[str]]
    due_time: Mapped[datetime]
    fire_time: Mapped[datetime]
