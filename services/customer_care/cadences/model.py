"""Cadence templates as rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from customer_care.cadences.content import step_of
from customer_care.cadences.values import TemplateVersion, VersionState
from kit.db.model import Base


class CadenceTemplateRow(Base):
    """One template; the row that gives out version numbers."""

    __tablename__ = "cadence_template"

    template: Mapped[str] = mapped_column(Text, primary_key=True)
    last_number: Mapped[int] = mapped_column(BigInteger)


class CadenceVersionRow(Base):
    """One version of a template; configuration of the group, readable in every scope."""

    __tablename__ = "cadence_template_version"

    template: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    create_time: Mapped[datetime]
    publish_time: Mapped[datetime | None]


def version_of(row: CadenceVersionRow) -> TemplateVersion:
    """Return the row as a value."""
    return TemplateVersion(
        template=row.template,
        number=row.number,
        steps=tuple(step_of(step) for step in row.steps),
        state=VersionState(row.state),
        create_time=row.create_time,
        publish_time=row.publish_time,
    )
