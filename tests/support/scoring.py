"""Builders for scoring's tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from dealerloop.customer_care.v1.surveys_pb2 import InterviewMode, QuestionType
from dealerloop.gateway.v1.organisation_pb2 import StoreFacts
from dealerloop.sales.v1.deliveries_pb2 import DeliveryFacts

STORE = "bj-01"
NOON = datetime(2026, 11, 10, 4, 0, tzinfo=UTC)


def a_store(store_id: str = STORE, time_zone: str = "Asia/Shanghai") -> StoreFacts:
    """A store of the directory."""
    return StoreFacts(store_id=store_id, version=1, display_name=f"Store {store_id}", time_zone=time_zone)


def a_delivery(
    number: int, *, day: str = "2026-11-08", version: int = 1, cancelled: bool = False, store_id: str = STORE
) -> DeliveryFacts:
    """A delivery as its event tells it."""
    return DeliveryFacts(
        delivery_id=str(UUID(int=number)),
        store_id=store_id,
        version=version,
        vin=f"LDL{number:014d}",
        consultant_id="li.wei",
        delivery_date=day,
        cancelled=cancelled,
    )


def a_response(
    number: int,
    marks: Mapping[str, int],
    *,
    version: int = 1,
    submit_time: datetime = NOON,
    consultant: str = "li.wei",
    store_id: str = STORE,
    mode: InterviewMode = InterviewMode.INTERVIEW_MODE_LINK,
) -> ResponseSubmitted:
    """A response to the five-factor questionnaire, to the delivery of the same number."""
    message = ResponseSubmitted(
        response_id=str(UUID(int=number)),
        store_id=store_id,
        version=version,
        delivery_id=str(UUID(int=number)),
        consultant_id=consultant,
        customer_id=str(UUID(int=number)),
        satisfaction_model="ssi-five-factor",
        questionnaire_version="questionnaires/ssi-five-factor/versions/1",
        mode=mode,
    )
    message.submit_time.FromDatetime(submit_time)
    for question, mark in marks.items():
        message.marks.add(question=question, type=QuestionType.QUESTION_TYPE_SCALE_7, mark=mark)
    return message
