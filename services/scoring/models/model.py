"""The stored versions of satisfaction models."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kit.db.model import Base


class SatisfactionModelRow(Base):
    """One published version; configuration, the same for the whole group, never changed."""

    __tablename__ = "satisfaction_model_version"

    code: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    publish_time: Mapped[datetime]
