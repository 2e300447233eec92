"""What an answer may be (CARE-05), and when a survey still takes one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from customer_care.surveys.values import Answers, Given, Question, QuestionnaireVersion, QuestionType, SurveyState
from kit.errors import Conflict, FieldViolation, InvalidArgument

SCALES: Final = {
    QuestionType.SCALE_7: (1, 7),
    QuestionType.SCALE_10: (1, 10),
    QuestionType.NPS: (0, 10),
    QuestionType.YES_NO: (0, 1),
}
"""The lowest and the highest mark of each kind of question that is answered with one."""


class AnswersInvalid(InvalidArgument):
    """The answers do not fit the questionnaire; every violation is told at once."""

    reason = "SURVEY_ANSWERS_INVALID"


class SurveyAlreadySubmitted(Conflict):
    """A survey is answered once."""

    reason = "SURVEY_ALREADY_SUBMITTED"


class SurveyExpired(Conflict):
    """The survey's time has passed."""

    reason = "SURVEY_EXPIRED"


class SurveyCancelled(Conflict):
    """The delivery was cancelled."""

    reason = "SURVEY_CANCELLED"


def state_at(state: SurveyState, expire_time: datetime, now: datetime) -> SurveyState:
    """Return the state that people see: an open survey has expired once its time has come."""
    return SurveyState.EXPIRED if state is SurveyState.OPEN and expire_time <= now else state


def answerable(state: SurveyState) -> None:
    """Refuse answers to a survey that is not open.

    Raises SurveyAlreadySubmitted, SurveyExpired, SurveyCancelled.
    """
    match state:
        case SurveyState.OPEN:
            return
        case SurveyState.SUBMITTED:
            raise SurveyAlreadySubmitted("this survey has been answered")
        case SurveyState.EXPIRED:
            raise SurveyExpired("this survey no longer takes answers")
        case SurveyState.CANCELLED:
            raise SurveyCancelled("this survey was withdrawn")


def check(questionnaire: QuestionnaireVersion, given: Sequence[Given]) -> Answers:
    """Return the answers by question; a question left without a value counts as not answered.

    Raises AnswersInvalid with rules QUESTION_UNKNOWN, QUESTION_TWICE, MARK_EXPECTED, TEXT_EXPECTED, MARK_RANGE on
    `answers[i].…`, and ANSWER_REQUIRED on `answers` with the question's code in the description.
    """
    questions = {question.code: question for question in questionnaire.questions}
    marks: dict[str, int] = {}
    texts: dict[str, str] = {}
    seen: set[str] = set()
    refused: set[str] = set()
    violations: list[FieldViolation] = []
    for index, one in enumerate(given):
        path = f"answers[{index}]"
        question = questions.get(one.question)
        if question is None:
            text = "the questionnaire has no such question"
            violations.append(FieldViolation(f"{path}.question", "QUESTION_UNKNOWN", text))
            continue
        if one.question in seen:
            violations.append(FieldViolation(f"{path}.question", "QUESTION_TWICE", "this question is answered twice"))
            continue
        seen.add(one.question)
        wrong = list(_mismatch(question, one, path))
        if wrong:
            violations.extend(wrong)
            refused.add(one.question)
        elif one.mark is not None:
            marks[one.question] = one.mark
        elif one.text is not None and one.text.strip():
            texts[one.question] = one.text.strip()
    for code, question in questions.items():
        # A question that was answered wrongly is told of once, not as missing too.
        if question.required and code not in marks and code not in texts and code not in refused:
            violations.append(FieldViolation("answers", "ANSWER_REQUIRED", f"question {code} must be answered"))
    if violations:
        raise AnswersInvalid("the answers do not fit the questionnaire", violations=violations)
    return Answers(marks, texts)


def _mismatch(question: Question, one: Given, path: str) -> Iterator[FieldViolation]:
    if question.type is QuestionType.TEXT:
        if one.mark is not None:
            yield FieldViolation(f"{path}.mark", "TEXT_EXPECTED", "this question is answered with a text")
        return
    if one.text is not None:
        yield FieldViolation(f"{path}.text", "MARK_EXPECTED", "this question is answered with a mark")
        return
    lowest, highest = SCALES[question.type]
    if one.mark is not None and not lowest <= one.mark <= highest:
        yield FieldViolation(f"{path}.mark", "MARK_RANGE", f"must be a mark from {lowest} to {highest}")
