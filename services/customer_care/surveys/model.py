"""Questionnaires, surveys and responses as rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from customer_care.complaints.values import Department, Kind
from customer_care.surveys.values import (
    ComplaintSubject,
    InterviewMode,
    Question,
    QuestionnaireFactor,
    QuestionnaireVersion,
    QuestionPurpose,
    QuestionType,
    SurveyState,
)
from kit.db.model import Base


class QuestionnaireRow(Base):
    """One published version of a questionnaire; configuration of the group, readable in every scope."""

    __tablename__ = "questionnaire_version"

    code: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    content: Mapped[dict[str, Any]]
    publish_time: Mapped[datetime]


class Survey(Base):
    """One invitation; belongs to the follow-up with the same (delivery, step, occurrence)."""

    __tablename__ = "survey"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    delivery_id: Mapped[UUID]
    step: Mapped[str]
    occurrence: Mapped[int] = mapped_column(Integer)
    questionnaire: Mapped[str]
    questionnaire_number: Mapped[int] = mapped_column(Integer)
    state: Mapped[SurveyState]
    expire_time: Mapped[datetime]
    version: Mapped[int]
    create_time: Mapped[datetime]
    submit_time: Mapped[datetime | None]

    @property
    def questionnaire_name(self) -> str:
        """Resource name of its questionnaire version."""
        return f"questionnaires/{self.questionnaire}/versions/{self.questionnaire_number}"


class Response(Base):
    """The answers to a survey: marks by question, and free texts encrypted, since people name people in them."""

    __tablename__ = "response"

    survey_id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    mode: Mapped[InterviewMode]
    actor: Mapped[str]
    submit_time: Mapped[datetime]
    marks: Mapped[dict[str, Any]]
    sealed_texts: Mapped[bytes | None]


def questionnaire_of(row: QuestionnaireRow) -> QuestionnaireVersion:
    """Return the row as a value."""
    return QuestionnaireVersion(
        code=row.code,
        number=row.number,
        satisfaction_model=row.content["satisfaction_model"],
        titles=row.content["titles"],
        complaint_subject=_subject(row.content["complaint_subject"]),
        factors=tuple(
            QuestionnaireFactor(one["code"], one["titles"], _subject(one["complaint_subject"]))
            for one in row.content.get("factors", ())
        ),
        questions=tuple(_question(content) for content in row.content["questions"]),
        publish_time=row.publish_time,
    )


def _question(content: Mapping[str, Any]) -> Question:
    return Question(
        code=content["code"],
        type=QuestionType(content["type"].removeprefix("QUESTION_TYPE_")),
        purpose=QuestionPurpose(content["purpose"]),
        required=content.get("required", False),
        factor=content.get("factor", ""),
        texts=content["texts"],
    )


def _subject(content: Mapping[str, Any]) -> ComplaintSubject:
    department = content.get("department")
    return ComplaintSubject(Kind(content["kind"]), Department(department) if department else None)
