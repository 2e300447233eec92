"""Answers, and the signed links of surveys (CARE-05)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_care.surveys.links import SurveyLinkInvalid, SurveyLinks
from customer_care.surveys.rules import (
    AnswersInvalid,
    SurveyAlreadySubmitted,
    SurveyCancelled,
    SurveyExpired,
    answerable,
    check,
    state_at,
)
from customer_care.surveys.values import Given, SurveyState
from kit.errors import Conflict
from tests.support.care import questionnaire

OVERALL = Given("OVERALL", 6, None)
LINKS = SurveyLinks(b"k" * 32)
SURVEY = UUID("0198c0de-0000-7000-8000-000000000001")


def refused(*answers: Given) -> list[tuple[str, str]]:
    with pytest.raises(AnswersInvalid) as caught:
        check(questionnaire(), answers)
    return [(violation.field, violation.rule) for violation in caught.value.violations]


def test_marks_and_texts_are_taken_and_what_does_not_apply_is_left_out() -> None:
    given_answers = [
        OVERALL,
        Given("NPS", 0, None),
        Given("YES", 1, None),
        Given("TEXT", None, " 好 "),
        Given("TEN", None, None),
    ]

    answers = check(questionnaire(), given_answers)

    assert answers.marks == {"OVERALL": 6, "NPS": 0, "YES": 1}
    assert answers.texts == {"TEXT": "好"}


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (Given("OTHER", 1, None), ("answers[1].question", "QUESTION_UNKNOWN")),
        (OVERALL, ("answers[1].question", "QUESTION_TWICE")),
        (Given("TEN", 0, None), ("answers[1].mark", "MARK_RANGE")),
        (Given("TEN", 11, None), ("answers[1].mark", "MARK_RANGE")),
        (Given("NPS", -1, None), ("answers[1].mark", "MARK_RANGE")),
        (Given("YES", 2, None), ("answers[1].mark", "MARK_RANGE")),
        (Given("YES", None, "yes"), ("answers[1].text", "MARK_EXPECTED")),
        (Given("TEXT", 5, None), ("answers[1].mark", "TEXT_EXPECTED")),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_with_its_place(answer: Given, rule: tuple[str, str]) -> None:
    assert refused(OVERALL, answer) == [rule]


def test_a_required_question_must_be_answered() -> None:
    assert refused(Given("TEN", 5, None)) == [("answers", "ANSWER_REQUIRED")]
    assert refused(Given("OVERALL", None, None)) == [("answers", "ANSWER_REQUIRED")]
    # Answered wrongly is not missing too.
    assert refused(Given("OVERALL", 8, None)) == [("answers[0].mark", "MARK_RANGE")]


def test_an_open_survey_expires_and_the_others_stay_what_they_are() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)

    assert state_at(SurveyState.OPEN, now + timedelta(seconds=1), now) is SurveyState.OPEN
    assert state_at(SurveyState.OPEN, now, now) is SurveyState.EXPIRED
    assert state_at(SurveyState.SUBMITTED, now, now) is SurveyState.SUBMITTED


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (SurveyState.SUBMITTED, SurveyAlreadySubmitted),
        (SurveyState.EXPIRED, SurveyExpired),
        (SurveyState.CANCELLED, SurveyCancelled),
    ],
)
def test_only_an_open_survey_takes_answers(state: SurveyState, error: type[Conflict]) -> None:
    answerable(SurveyState.OPEN)
    with pytest.raises(error):
        answerable(state)


def test_a_token_leads_to_its_survey_and_is_short_and_safe_in_an_address() -> None:
    token = LINKS.token(SURVEY)

    assert LINKS.survey_id(token) == SURVEY
    assert 40 <= len(token) <= 50
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert LINKS.path(SURVEY) == f"/s/{token}"


def test_another_key_makes_other_tokens() -> None:
    with pytest.raises(SurveyLinkInvalid):
        LINKS.survey_id(SurveyLinks(b"x" * 32).token(SURVEY))


@given(st.integers(0, 42), st.characters(codec="utf-8"))
def test_an_altered_token_leads_nowhere(place: int, character: str) -> None:
    token = LINKS.token(SURVEY)
    altered = token[:place] + character + token[place + 1 :]
    if altered == token:
        return

    with pytest.raises(SurveyLinkInvalid):
        LINKS.survey_id(altered)


@given(st.text(max_size=200))
def test_any_other_text_leads_nowhere(text: str) -> None:
    with pytest.raises(SurveyLinkInvalid):
        LINKS.survey_id(text)
