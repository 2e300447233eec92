"""Follow-ups and attempts as rows."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from customer_care.followups.values import AttemptFact, FollowUpState, Outcome
from kit.db.model import Base


class FollowUp(Base):
    """One planned contact; unique by (delivery, step, occurrence)."""

    __tablename__ = "follow_up"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    store_id: Mapped[str]
    delivery_id: Mapped[UUID]
    step: Mapped[str]
    occurrence: Mapped[int] = mapped_column(Integer)
    owner_id: Mapped[str]
    window_start_date: Mapped[date]
    window_end_date: Mapped[date]
    state: Mapped[FollowUpState]
    version: Mapped[int]
    create_time: Mapped[datetime]
    finish_time: Mapped[datetime | None]
    next_attempt_time: Mapped[datetime | None]


class Attempt(Base):
    """One attempt to reach a customer; `sealed_note` is the caller's note, encrypted: it may hold personal data."""

    __tablename__ = "attempt"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    follow_up_id: Mapped[UUID]
    attempt_time: Mapped[datetime]
    outcome: Mapped[Outcome]
    sealed_note: Mapped[bytes | None]
    actor: Mapped[str]

    @property
    def fact(self) -> AttemptFact:
        """The attempt as the rules see it."""
        return AttemptFact(self.attempt_time, self.outcome)
