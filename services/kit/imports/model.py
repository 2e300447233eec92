"""Imports and kept mappings as they are stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from kit.db.model import Base
from kit.imports.values import State


class ImportJob(Base):
    """One file on its way in; the store is empty for a file of the group.

    `run` counts the beginnings of its check, so that one that was overtaken notices; `planned` and `handled` are
    rows of the confirmed set; `attempts` and `wake_time` say when a failed work is tried again.
    """

    __tablename__ = "import_job"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    store_id: Mapped[str]
    state: Mapped[State]
    file_name: Mapped[str]
    file_bytes: Mapped[int]
    mapping: Mapped[bytes]
    mapping_profile: Mapped[str]
    validate_only: Mapped[bool]
    all_or_nothing: Mapped[bool]
    row_count: Mapped[int] = mapped_column(default=0)
    progress_percent: Mapped[int] = mapped_column(default=0)
    planned: Mapped[int] = mapped_column(default=0)
    taken: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    handled: Mapped[int] = mapped_column(default=0)
    rejected_by_reason: Mapped[dict[str, Any]] = mapped_column(default=dict)
    warnings_by_reason: Mapped[dict[str, Any]] = mapped_column(default=dict)
    refusal_reason: Mapped[str] = mapped_column(default="")
    refusal_message: Mapped[str] = mapped_column(default="")
    recognised: Mapped[dict[str, Any]] = mapped_column(default=dict)
    headers: Mapped[list[str]] = mapped_column(default=list)
    creator: Mapped[str]
    confirmer: Mapped[str] = mapped_column(default="")
    create_time: Mapped[datetime]
    confirm_time: Mapped[datetime | None]
    finish_time: Mapped[datetime | None]
    expire_time: Mapped[datetime | None]
    run: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    wake_time: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

    @property
    def name(self) -> str:
        """`stores/{store}/deliveryImports/{import}`, or without the store."""
        return f"stores/{self.store_id}/{self.kind}/{self.id}" if self.store_id else f"{self.kind}/{self.id}"

    def end(self, state: State, now: datetime) -> None:
        """Go into a state in which nothing happens any more."""
        self.state = state
        self.finish_time = now
        self.expire_time = None
        self.version += 1

    def refuse(self, reason: str, message: str, now: datetime) -> None:
        """End it with nothing taken."""
        self.taken = 0
        self.refusal_reason, self.refusal_message = reason, message
        self.end(State.REFUSED, now)

    def begin_taking_over(self, confirmer: str, now: datetime) -> None:
        """Confirm what the dry run showed; `taken` counts anew from here."""
        self.confirmer, self.confirm_time = confirmer, now
        self.planned, self.taken, self.handled = self.taken, 0, 0
        self.attempts, self.wake_time, self.expire_time = 0, now, None
        self.progress_percent = 0
        self.state = State.TAKING_OVER
        self.version += 1


class MappingProfileRow(Base):
    """A kept mapping, as a serialised message of the contract."""

    __tablename__ = "mapping_profile"

    kind: Mapped[str] = mapped_column(primary_key=True)
    store_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    display_name: Mapped[str]
    mapping: Mapped[bytes]
    update_time: Mapped[datetime]
    version: Mapped[int]
