"""What a client reads when a request breaks a rule of its contract."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from dealerloop.customer_care.v1.follow_ups_pb2 import Attempt, RecordAttemptRequest
from dealerloop.customer_care.v1.surveys_pb2 import Answer, InterviewMode, SubmitSurveyRequest
from kit.rpc import validation

_ID = "0195f3a2-7c1e-7b44-9d2a-3f5c8e1b6a70"
_ANSWERS = [Answer(question="SSI.OVERALL", mark=7)]


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        (
            SubmitSurveyRequest(
                name=f"stores/bj-01/surveys/{_ID}", answers=_ANSWERS, mode=InterviewMode.INTERVIEW_MODE_LINK
            ),
            "mode",
            "must be one of INTERVIEW_MODE_PHONE, INTERVIEW_MODE_IN_STORE",
        ),
        (
            RecordAttemptRequest(name=f"stores/bj-01/followUps/{_ID}", attempt=Attempt(note="busy")),
            "attempt.outcome",
            "must be given",
        ),
        (RecordAttemptRequest(name=f"stores/bj-01/followUps/{_ID}"), "attempt", "must be given"),
    ],
)
def test_an_enum_has_names_and_what_is_missing_is_called_missing(request_: Message, field: str, words: str) -> None:
    assert [(found.field, found.description) for found in validation.violations(request_)] == [(field, words)]
