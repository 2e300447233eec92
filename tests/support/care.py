"""Builders of cadences, plans, follow-ups and questionnaires: valid unless a test says otherwise. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from customer_care.cadences.values import Anchor, OwnerRole, Step, TemplateVersion, VersionState, Window
from customer_care.care_plans.values import Days, DeliveryState, Existing
from customer_care.complaints.values import Kind
from customer_care.followups.rules import OpenWindow
from customer_care.followups.values import AttemptFact, FollowUpState, Outcome
from customer_care.surveys.values import (
    ComplaintSubject,
    Question,
    QuestionnaireFactor,
    QuestionnaireVersion,
    QuestionPurpose,
    QuestionType,
)
from dealership.calendar import BusinessCalendar, Interval

ZONE = ZoneInfo("Asia/Shanghai")
D = date(2026, 5, 20)
EVERY_DAY = BusinessCalendar(dict.fromkeys(range(1, 8), (Interval(8 * 60 + 30, 20 * 60),)))
# 20 May 2026 is a Wednesday.
CLOSED_ON_THURSDAY = BusinessCalendar({day: hours for day, hours in EVERY_DAY.days.items() if day != 4})
PUBLISHED = datetime(2024, 1, 1, tzinfo=UTC)


def at(hour: int, minute: int = 0, *, day: date = D) -> datetime:
    """An instant on the clock of the store."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE).astimezone(UTC)


def step(code: str = "CAD-01", first: int = 0, last: int = 0, **changes: Any) -> Step:
    """A call of the consultant, counted from the delivery."""
    fields: dict[str, Any] = {
        "owner_role": OwnerRole.CONSULTANT,
        "window": Window(Anchor.DELIVERY, first, last),
        "titles": {"en": code},
    }
    return Step(code=code, **fields | changes)


def cadence(*steps: Step, number: int = 1, publish_time: datetime | None = PUBLISHED) -> TemplateVersion:
    """A version of the template of deliveries."""
    state = VersionState.PUBLISHED if publish_time else VersionState.DRAFT
    return TemplateVersion("post-delivery", number, steps, state, PUBLISHED, publish_time)


def shipped() -> TemplateVersion:
    """The cadence that the product comes with."""
    from customer_care.cadences.content import step_of

    return cadence(*(step_of(content) for content in shipped_content()["steps"]))


def shipped_content() -> dict[str, Any]:
    """The same as it is stored."""
    file = resources.files("customer_care.cadences").joinpath("data", "post-delivery.v1.json")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def days(**changes: Any) -> Days:
    """The days of a delivery on D, recorded in opening hours, with nothing else known."""
    fields: dict[str, Any] = {
        "delivery": D,
        "first_call": D,
        "first_service_due": None,
        "first_service_done": None,
        "finance_end": None,
    }
    return Days(**fields | changes)


def existing(code: str = "CAD-01", state: FollowUpState = FollowUpState.PLANNED, **changes: Any) -> Existing:
    """A follow-up of the consultant li-lei on D that is there already."""
    fields: dict[str, Any] = {
        "id": UUID(int=abs(hash(code)) % 2**64),
        "occurrence": 1,
        "owner_id": "li-lei",
        "window_start": D,
        "window_end": D,
    }
    return Existing(step=code, state=state, **fields | changes)


def delivery_state(number: int = 1, **changes: Any) -> DeliveryState:
    """A delivery of D, recorded at ten."""
    fields: dict[str, Any] = {
        "delivery_id": UUID(int=number),
        "store_id": "bj-01",
        "version": 1,
        "vin": f"LJNTGUBS0{number:08d}",
        "series": "Paladin",
        "customer_id": UUID(int=1000 + number),
        "consultant_id": "li-lei",
        "delivery_date": D,
        "record_time": at(10),
        "finance_end_date": None,
        "cancelled": False,
    }
    return DeliveryState(**fields | changes)


def window(length: int = 3, *, calendar: BusinessCalendar = EVERY_DAY, **changes: Any) -> OpenWindow:
    """An open follow-up whose window of so many days begins on D; planned the day before."""
    fields: dict[str, Any] = {
        "state": FollowUpState.PLANNED,
        "start": D,
        "end": D + timedelta(days=length - 1),
        "since": at(10, day=D - timedelta(days=1)),
        "calendar": calendar,
        "zone": ZONE,
    }
    return OpenWindow(**fields | changes)


def attempt(hour: int, minute: int = 0, *, day: int = 0, outcome: Outcome = Outcome.NO_ANSWER) -> AttemptFact:
    """An attempt on the day D + `day`, store time."""
    return AttemptFact(at(hour, minute, day=D + timedelta(days=day)), outcome)


def questionnaire() -> QuestionnaireVersion:
    """One question of each kind; only the first must be answered."""
    kinds = [
        ("OVERALL", QuestionType.SCALE_7, QuestionPurpose.OVERALL),
        ("TEN", QuestionType.SCALE_10, QuestionPurpose.INDICATOR),
        ("NPS", QuestionType.NPS, QuestionPurpose.RECOMMENDATION),
        ("YES", QuestionType.YES_NO, QuestionPurpose.COMPLAINT),
        ("TEXT", QuestionType.TEXT, QuestionPurpose.REMARK),
    ]
    return version_of(*(question(*it, required=it[0] == "OVERALL") for it in kinds))


def question(code: str, kind: QuestionType, purpose: QuestionPurpose, **changes: Any) -> Question:
    """A question of no factor that need not be answered."""
    fields: dict[str, Any] = {"required": False, "factor": "", "texts": {"en": code}}
    return Question(code, kind, purpose, **fields | changes)


def version_of(*questions: Question, factors: Mapping[str, ComplaintSubject] = {}) -> QuestionnaireVersion:
    """A version of these questions; low marks are about something else of nobody where no factor says more."""
    return QuestionnaireVersion(
        code="ssi",
        number=1,
        satisfaction_model="ssi",
        titles={"en": "SSI"},
        complaint_subject=ComplaintSubject(Kind.OTHER, None),
        factors=tuple(QuestionnaireFactor(code, {"en": code}, subject) for code, subject in factors.items()),
        questions=questions,
        publish_time=PUBLISHED,
    )


def shipped_questionnaire() -> QuestionnaireVersion:
    """The questionnaire that the product comes with."""
    from customer_care.surveys.model import QuestionnaireRow, questionnaire_of

    file = resources.files("customer_care.surveys").joinpath("data", "ssi-five-factor.v1.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    return questionnaire_of(QuestionnaireRow(code=content["code"], number=1, content=content, publish_time=PUBLISHED))
