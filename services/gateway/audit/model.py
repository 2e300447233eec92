"""The audit trail as it is stored."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from gateway.organisation.model import GatewayModel


class AuditRecord(GatewayModel):
    """One action; `store_id` is none for what concerns the whole group. Never changed."""

    __tablename__ = "audit_record"

    action_id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str | None]
    actor: Mapped[str]
    roles: Mapped[list[str]]
    method: Mapped[str]
    resource: Mapped[str]
    fields: Mapped[list[str]]
    act_time: Mapped[datetime]
    trace_id: Mapped[str]
    reason: Mapped[str]
