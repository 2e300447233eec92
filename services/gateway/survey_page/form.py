"""What was sent with the form: answers to send on, or what is wrong with which question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dealerloop.customer_care.v1.surveys_pb2 import Answer, Question, QuestionPurpose, QuestionType
from kit.errors import FieldViolation

PREFIX = "q."
LONGEST_TEXT = 4000
SCALES: dict[int, range] = {
    QuestionType.QUESTION_TYPE_SCALE_7: range(1, 8),
    QuestionType.QUESTION_TYPE_SCALE_10: range(1, 11),
    QuestionType.QUESTION_TYPE_NPS: range(11),
    QuestionType.QUESTION_TYPE_YES_NO: range(1, -1, -1),
}
_INDEX = re.compile(r"answers\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Sent:
    """The form as it came: `given` by question code as text, `faults` by question code as a key of the texts."""

    given: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()

    def violations(self, messages: dict[str, str]) -> list[FieldViolation]:
        """The faults as field violations, for callers that want JSON."""
        return [FieldViolation(PREFIX + code, key.upper(), messages[key]) for code, key in self.faults.items()]


def read(questions: Sequence[Question], pairs: Iterable[tuple[str, str]]) -> Sent:
    """Reads the form against the questionnaire.

    A question that does not apply is left out; a required one must be answered, and none twice: which of the answers
    is meant, only the customer knows. Members that belong to no question are passed over: browsers and mail filters
    add their own.
    """
    sent: dict[str, str] = {}
    twice: set[str] = set()
    for name, value in pairs:
        code = name.removeprefix(PREFIX)
        if name.startswith(PREFIX):
            twice |= {code} & sent.keys()
            sent[code] = value
    given: dict[str, str] = {}
    faults: dict[str, str] = {}
    answers: list[Answer] = []
    for question in questions:
        if question.code in twice:
            faults[question.code] = "twice"
            continue
        value = sent.get(question.code, "")
        if question.type == QuestionType.QUESTION_TYPE_TEXT:
            # A browser sends each line end as two characters, which are one to the writer.
            value = value.replace("\r\n", "\n").strip()
        if not value:
            if question.required:
                faults[question.code] = "missing"
            continue
        given[question.code] = value
        fault = _fault(question, value)
        if fault:
            faults[question.code] = fault
        elif question.type == QuestionType.QUESTION_TYPE_TEXT:
            answers.append(Answer(question=question.code, text=value))
        else:
            answers.append(Answer(question=question.code, mark=int(value)))
    return Sent(given, faults, tuple(answers))


def refused(sent: Sent, violations: Iterable[FieldViolation]) -> Sent:
    """The same form with what the service did not accept; what belongs to no answer has the empty code."""
    faults = dict(sent.faults)
    for violation in violations:
        found = _INDEX.match(violation.field)
        if found and int(found[1]) < len(sent.answers):
            faults[sent.answers[int(found[1])].question] = "refused"
        else:
            faults[""] = "refused"
    return Sent(sent.given, faults, sent.answers)


def complains(questions: Iterable[Question], sent: Sent) -> bool:
    """Whether the customer has ticked that he wants to complain (CARE-07)."""
    asking = {one.code for one in questions if one.purpose == QuestionPurpose.QUESTION_PURPOSE_COMPLAINT}
    return any(answer.mark == 1 for answer in sent.answers if answer.question in asking)


def _fault(question: Question, value: str) -> str:
    if question.type == QuestionType.QUESTION_TYPE_TEXT:
        if len(value) > LONGEST_TEXT:
            return "too_long"
        return "bad_text" if "\0" in value else ""
    allowed = {str(mark) for mark in SCALES.get(question.type, ())}
    return "" if value in allowed else "bad_mark"
