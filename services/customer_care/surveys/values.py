"""The words of surveys: questionnaires, answers and states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from customer_care.complaints.values import Department, Kind


class QuestionType(StrEnum):
    """The kinds of questions; what a mark means is declared, never guessed from its range."""

    SCALE_7 = "SCALE_7"
    SCALE_10 = "SCALE_10"
    NPS = "NPS"
    YES_NO = "YES_NO"
    TEXT = "TEXT"


class QuestionPurpose(StrEnum):
    """What a question is asked for; declared, never guessed from its scale."""

    INDICATOR = "INDICATOR"
    OVERALL = "OVERALL"
    RECOMMENDATION = "RECOMMENDATION"
    COMPLAINT = "COMPLAINT"
    REMARK = "REMARK"


class SurveyState(StrEnum):
    """Where a survey stands; EXPIRED is seen, not stored: an open one whose time has passed."""

    OPEN = "OPEN"
    SUBMITTED = "SUBMITTED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


class InterviewMode(StrEnum):
    """How an interview was held (SCR-06a)."""

    PHONE = "PHONE"
    LINK = "LINK"
    IN_STORE = "IN_STORE"


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `texts` by language tag."""

    code: str
    type: QuestionType
    purpose: QuestionPurpose
    required: bool
    factor: str
    texts: Mapping[str, str]


class ComplaintSubject(NamedTuple):
    """What a case is about that low marks open, and whose it is; None when that cannot be said beforehand (CARE-07)."""

    kind: Kind
    department: Department | None


@dataclass(frozen=True, slots=True)
class QuestionnaireFactor:
    """The part of a questionnaire about one factor; `titles` by language tag."""

    code: str
    titles: Mapping[str, str]
    complaint_subject: ComplaintSubject


@dataclass(frozen=True, slots=True)
class QuestionnaireVersion:
    """One published version of a questionnaire; it never changes.

    `complaint_subject` counts where no factor says more.
    """

    code: str
    number: int
    satisfaction_model: str
    titles: Mapping[str, str]
    complaint_subject: ComplaintSubject
    factors: tuple[QuestionnaireFactor, ...]
    questions: tuple[Question, ...]
    publish_time: datetime

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"questionnaires/{self.code}/versions/{self.number}"


class Given(NamedTuple):
    """One answer as it came in; both None when the question does not apply."""

    question: str
    mark: int | None
    text: str | None


class Answers(NamedTuple):
    """Valid answers by question code: marks of scale questions, and free texts."""

    marks: Mapping[str, int]
    texts: Mapping[str, str]
