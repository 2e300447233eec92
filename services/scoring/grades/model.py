"""Stored responses and accumulators."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Numeric
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kit.db.model import Base


class ResponseRow(Base):
    """The latest version of a response; `marks` are triples of question, scale and mark."""

    __tablename__ = "response"

    response_id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    version: Mapped[int]
    delivery_id: Mapped[UUID]
    consultant_id: Mapped[str]
    customer_id: Mapped[str]
    mode: Mapped[str]
    month: Mapped[str]
    submit_time: Mapped[datetime]
    questionnaire_version: Mapped[str]
    model_code: Mapped[str]
    model_version: Mapped[int]
    marks: Mapped[list[list[Any]]] = mapped_column(JSONB)
    # What people decided about it; no later version of the response changes that.
    excluded: Mapped[bool] = mapped_column(server_default="false")
    decision_version: Mapped[int] = mapped_column(server_default="0")
    decision_reason: Mapped[str] = mapped_column(server_default="")
    decider: Mapped[str] = mapped_column(server_default="")
    decide_time: Mapped[datetime | None]


class GradeCell(Base):
    """Exact sums over the responses of one cell; scores in millionths of a point."""

    __tablename__ = "grade_cell"

    store_id: Mapped[str] = mapped_column(primary_key=True)
    month: Mapped[str] = mapped_column(primary_key=True)
    model_code: Mapped[str] = mapped_column(primary_key=True)
    model_version: Mapped[int] = mapped_column(primary_key=True)
    consultant_id: Mapped[str] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    square: Mapped[int] = mapped_column(Numeric(40, 0))
    top: Mapped[int] = mapped_column(BigInteger)
    bottom: Mapped[int] = mapped_column(BigInteger)
