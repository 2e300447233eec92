"""Whether the answers of a survey open a case, how serious it is, and what stands in it (CARE-07). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

from customer_care.complaints.values import Department, Kind, Level, Severity
from customer_care.surveys.rules import SCALES
from customer_care.surveys.values import (
    Answers,
    ComplaintSubject,
    Question,
    QuestionnaireVersion,
    QuestionPurpose,
    QuestionType,
)

_TICKED: Final = 1
_LONGEST: Final = 4000
_ELLIPSIS: Final = "…"

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "zh-CN": {
        Level.COMPLAINT: "客户在满意度调查中表示要投诉。",
        Level.GRIEVANCE: "客户在满意度调查中表示明显不满。",
        Level.DISSATISFACTION: "客户在满意度调查中表示不满意。",
        "yes": "是",
        "no": "否",
        "remark": "客户留言：",
    },
    "en": {
        Level.COMPLAINT: "In the survey the customer asked to complain.",
        Level.GRIEVANCE: "In the survey the customer was clearly dissatisfied.",
        Level.DISSATISFACTION: "In the survey the customer was dissatisfied.",
        "yes": "yes",
        "no": "no",
        "remark": "The customer's words: ",
    },
}
LANGUAGES: Final = tuple(_WORDS)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The highest marks that are still low.

    `indicator` and `overall` are marks of 7, `recommendation` is one of 0 to 10; on another scale a mark is low that
    lies no higher between its ends, so that 3 of 7 is 4 of 10, and a no. From `several` low indicators on, low marks
    are a grievance.
    """

    indicator: int = 3
    overall: int = 4
    recommendation: int = 6
    several: int = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """The case that answers open, as it is proposed; the care manager may set it right with the opinion (CMP-2)."""

    level: Level
    kind: Kind
    department: Department | None
    severity: Severity
    description: str


class _Mark(NamedTuple):
    """One mark with its question."""

    question: Question
    mark: int

    @property
    def place(self) -> Fraction:
        """Where it lies on its scale."""
        return _place(self.question.type, self.mark)


def find(
    questionnaire: QuestionnaireVersion,
    answers: Answers,
    thresholds: Thresholds,
    language: str = LANGUAGES[0],
) -> Finding | None:
    """Return the case that these answers open, None when nothing is low and nobody wants to complain (CARE-07)."""
    low = list(_low(questionnaire, answers, thresholds))
    level = _level(questionnaire, answers, low, thresholds)
    if level is None:
        return None
    subject = _subject(questionnaire, low)
    return Finding(
        level=level,
        kind=subject.kind,
        department=subject.department,
        severity=_severity(level, low),
        description=_description(questionnaire, answers, level, low, language),
    )


def _low(questionnaire: QuestionnaireVersion, answers: Answers, thresholds: Thresholds) -> Iterator[_Mark]:
    """Yield the low marks in the order of the questions."""
    still_low = {
        QuestionPurpose.INDICATOR: _place(QuestionType.SCALE_7, thresholds.indicator),
        QuestionPurpose.OVERALL: _place(QuestionType.SCALE_7, thresholds.overall),
        QuestionPurpose.RECOMMENDATION: _place(QuestionType.NPS, thresholds.recommendation),
    }
    for question in questionnaire.questions:
        mark = answers.marks.get(question.code)
        if mark is not None and question.purpose in still_low:
            one = _Mark(question, mark)
            if one.place <= still_low[question.purpose]:
                yield one


def _place(scale: QuestionType, mark: int) -> Fraction:
    """Return where a mark lies between the ends of its scale, 0 to 1."""
    lowest, highest = SCALES[scale]
    return Fraction(mark - lowest, highest - lowest)


def _level(
    questionnaire: QuestionnaireVersion, answers: Answers, low: Sequence[_Mark], thresholds: Thresholds
) -> Level | None:
    if _ticked(questionnaire, answers):
        return Level.COMPLAINT
    purposes = [one.question.purpose for one in low]
    if QuestionPurpose.OVERALL in purposes or purposes.count(QuestionPurpose.INDICATOR) >= thresholds.several:
        return Level.GRIEVANCE
    return Level.DISSATISFACTION if low else None


def _ticked(questionnaire: QuestionnaireVersion, answers: Answers) -> bool:
    asking = (one.code for one in questionnaire.questions if one.purpose is QuestionPurpose.COMPLAINT)
    return any(answers.marks.get(code) == _TICKED for code in asking)


def _subject(questionnaire: QuestionnaireVersion, low: Sequence[_Mark]) -> ComplaintSubject:
    """Return what most low marks are about; of several the one with the lowest mark, then the one asked about first."""
    subjects = {factor.code: factor.complaint_subject for factor in questionnaire.factors}
    places: dict[ComplaintSubject, list[Fraction]] = {}
    for one in low:
        if one.question.factor in subjects:
            places.setdefault(subjects[one.question.factor], []).append(one.place)
    if not places:
        return questionnaire.complaint_subject
    # The first of equals: a dict keeps the order of the questions.
    return max(places, key=lambda subject: (len(places[subject]), -min(places[subject])))


def _severity(level: Level, low: Sequence[_Mark]) -> Severity:
    """Return how bad it seems: more than low from a grievance on, high when it was unacceptable as a whole."""
    if level is Level.DISSATISFACTION:
        return Severity.LOW
    overall = (one for one in low if one.question.purpose is QuestionPurpose.OVERALL)
    return Severity.HIGH if any(one.place == 0 for one in overall) else Severity.MEDIUM


def _description(
    questionnaire: QuestionnaireVersion, answers: Answers, level: Level, low: Sequence[_Mark], language: str
) -> str:
    """Return what the case says: why it was opened, each low question with its mark, and what the customer wrote."""
    words = _WORDS[language]
    lines = [words[level]]
    lines += [f"{_text(one.question, language)} {_shown(one, words)}" for one in low]
    for question in questionnaire.questions:
        remark = answers.texts.get(question.code)
        if remark and question.purpose is QuestionPurpose.REMARK:
            lines.append(f"{words['remark']}{remark}")
    text = "\n".join(lines)
    # The whole remark stays with the survey.
    return text if len(text) <= _LONGEST else text[: _LONGEST - len(_ELLIPSIS)] + _ELLIPSIS


def _shown(one: _Mark, words: Mapping[str, str]) -> str:
    if one.question.type is QuestionType.YES_NO:
        return words["yes" if one.mark == _TICKED else "no"]
    return f"{one.mark}/{SCALES[one.question.type][1]}"


def _text(question: Question, language: str) -> str:
    return question.texts.get(language) or next(iter(question.texts.values()), question.code)
