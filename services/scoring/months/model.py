"""The stored responses of revisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kit.db.model import Base


class CountedResponseRow(Base):
    """A response as a revision counted it; never changed."""

    __tablename__ = "counted_response"

    month: Mapped[str] = mapped_column(primary_key=True)
    store_id: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    response_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    delivery_id: Mapped[UUID]
    consultant_id: Mapped[str]
    customer_id: Mapped[str]
    mode: Mapped[str]
    submit_time: Mapped[datetime]
    questionnaire_version: Mapped[str]
    model_code: Mapped[str]
    model_version: Mapped[int]
    marks: Mapped[list[list[Any]]] = mapped_column(JSONB)
