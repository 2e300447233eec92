"""Which answers open a case, how serious it is, and what stands in it (CARE-07)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_care.complaints import levels
from customer_care.complaints.levels import Finding, Thresholds, find
from customer_care.complaints.values import Department, Kind, Level, Severity
from customer_care.surveys.rules import SCALES
from customer_care.surveys.values import Answers, ComplaintSubject, QuestionPurpose, QuestionType
from tests.support.care import question, shipped_questionnaire, version_of

INDICATOR, OVERALL = QuestionPurpose.INDICATOR, QuestionPurpose.OVERALL
SHIPPED = shipped_questionnaire()
SALES = Department.SALES
DEFAULTS = Thresholds()


def found(marks: Mapping[str, int], texts: Mapping[str, str] | None = None, language: str = "zh-CN") -> Finding | None:
    """What the shipped questionnaire makes of these answers, whose codes are given without `SSI.`."""
    named = {f"SSI.{code}": mark for code, mark in ({"OVERALL": 7} | dict(marks)).items()}
    return find(SHIPPED, Answers(named, texts or {}), DEFAULTS, language)


def case(marks: Mapping[str, int], texts: Mapping[str, str] | None = None, language: str = "zh-CN") -> Finding:
    finding = found(marks, texts, language)
    assert finding is not None
    return finding


@pytest.mark.parametrize(
    ("marks", "level"),
    [
        ({}, None),
        ({"OVERALL": 5}, None),
        ({"DLV.ON_TIME": 4, "NPS": 7, "COMPLAIN": 0}, None),
        ({"DLV.ON_TIME": 3}, Level.DISSATISFACTION),
        ({"NPS": 6}, Level.DISSATISFACTION),
        ({"NPS": 0, "DLV.ON_TIME": 1}, Level.DISSATISFACTION),
        ({"DLV.ON_TIME": 3, "DEAL.CONTRACT": 3}, Level.GRIEVANCE),
        ({"OVERALL": 4}, Level.GRIEVANCE),
        ({"OVERALL": 4, "NPS": 9}, Level.GRIEVANCE),
        ({"COMPLAIN": 1}, Level.COMPLAINT),
        ({"COMPLAIN": 1, "OVERALL": 1, "NPS": 0}, Level.COMPLAINT),
    ],
)
def test_the_level_follows_from_the_marks(marks: dict[str, int], level: Level | None) -> None:
    finding = found(marks)

    assert (finding.level if finding else None) is level


@pytest.mark.parametrize(
    ("kind", "purpose", "lowest_that_is_fine"),
    [
        (QuestionType.SCALE_7, QuestionPurpose.INDICATOR, 4),
        (QuestionType.SCALE_10, QuestionPurpose.INDICATOR, 5),
        (QuestionType.NPS, QuestionPurpose.INDICATOR, 4),
        (QuestionType.YES_NO, QuestionPurpose.INDICATOR, 1),
        (QuestionType.SCALE_7, QuestionPurpose.OVERALL, 5),
        (QuestionType.SCALE_10, QuestionPurpose.OVERALL, 6),
        (QuestionType.NPS, QuestionPurpose.OVERALL, 6),
        (QuestionType.NPS, QuestionPurpose.RECOMMENDATION, 7),
        (QuestionType.SCALE_10, QuestionPurpose.RECOMMENDATION, 7),
        (QuestionType.SCALE_7, QuestionPurpose.RECOMMENDATION, 5),
    ],
)
def test_the_purpose_decides_what_is_low_and_the_scale_only_where_that_lies(
    kind: QuestionType, purpose: QuestionPurpose, lowest_that_is_fine: int
) -> None:
    version = version_of(question("Q", kind, purpose))
    lowest, highest = SCALES[kind]

    fine = [mark for mark in range(lowest, highest + 1) if find(version, Answers({"Q": mark}, {}), DEFAULTS) is None]

    assert fine == list(range(lowest_that_is_fine, highest + 1))


def test_a_group_sets_its_own_thresholds() -> None:
    strict = Thresholds(indicator=4, overall=5, recommendation=8, several=3)
    marks = {"SSI.OVERALL": 6, "SSI.DLV.ON_TIME": 4, "SSI.DLV.CARE": 4}

    two = find(SHIPPED, Answers(marks, {}), strict)
    three = find(SHIPPED, Answers(marks | {"SSI.DEAL.CONTRACT": 4}, {}), strict)

    assert two is not None
    assert two.level is Level.DISSATISFACTION
    assert three is not None
    assert three.level is Level.GRIEVANCE
    assert find(SHIPPED, Answers(marks, {}), DEFAULTS) is None


@pytest.mark.parametrize(
    ("marks", "kind"),
    [
        ({"DLV.ON_TIME": 2}, Kind.DELIVERY),
        ({"DEAL.FAIR_PRICE": 2}, Kind.PRICE),
        ({"FAC.CLEAN": 1}, Kind.SERVICE),
        ({"DLV.ON_TIME": 3, "DLV.CARE": 3, "FAC.CLEAN": 1}, Kind.DELIVERY),
        ({"DLV.ON_TIME": 2, "DEAL.CONTRACT": 1}, Kind.PRICE),
        ({"DLV.ON_TIME": 2, "DEAL.CONTRACT": 2}, Kind.PRICE),
        ({"OVERALL": 3, "NPS": 2}, Kind.OTHER),
        ({"COMPLAIN": 1}, Kind.OTHER),
    ],
)
def test_most_low_marks_say_what_it_is_about_then_the_lowest_then_the_first(marks: dict[str, int], kind: Kind) -> None:
    finding = case(marks)

    assert (finding.kind, finding.department) == (kind, SALES)


def test_where_nothing_is_declared_the_care_manager_decides_on_the_department() -> None:
    version = version_of(
        question("A", QuestionType.SCALE_7, INDICATOR, factor="PARTS"),
        question("B", QuestionType.SCALE_7, INDICATOR),
        factors={"PARTS": ComplaintSubject(Kind.PARTS, Department.PARTS)},
    )

    declared, undeclared = (find(version, Answers({code: 1}, {}), DEFAULTS) for code in "AB")

    assert declared is not None
    assert (declared.kind, declared.department) == (Kind.PARTS, Department.PARTS)
    assert undeclared is not None
    assert (undeclared.kind, undeclared.department) == (Kind.OTHER, None)


@pytest.mark.parametrize(
    ("marks", "severity"),
    [
        ({"DLV.ON_TIME": 1}, Severity.LOW),
        ({"DLV.ON_TIME": 1, "DLV.CARE": 1}, Severity.MEDIUM),
        ({"OVERALL": 2}, Severity.MEDIUM),
        ({"OVERALL": 1}, Severity.HIGH),
        ({"COMPLAIN": 1}, Severity.MEDIUM),
        ({"COMPLAIN": 1, "OVERALL": 1}, Severity.HIGH),
    ],
)
def test_the_severity_is_proposed(marks: dict[str, int], severity: Severity) -> None:
    assert case(marks).severity is severity


def test_the_description_names_each_low_mark_and_the_customers_words() -> None:
    finding = case(
        {"OVERALL": 4, "DLV.ON_TIME": 2, "DLV.CARE": 6, "NPS": 3, "COMPLAIN": 1}, {"SSI.COMMENT": "等了三个小时"}
    )

    assert finding.description.splitlines() == [
        "客户在满意度调查中表示要投诉。",
        "总体而言，您对本次购车经历的满意程度如何？ 4/7",
        "车辆是否在承诺的日期交付？ 2/7",
        "您有多大可能向亲友推荐我们店？ 3/10",
        "客户留言：等了三个小时",
    ]


def test_the_description_can_be_written_in_english() -> None:
    finding = case({"DLV.ON_TIME": 2}, {"SSI.COMMENT": "three hours"}, "en")

    assert finding.description.splitlines() == [
        "In the survey the customer was dissatisfied.",
        "Was the car handed over on the promised date? 2/7",
        "The customer's words: three hours",
    ]


def test_a_question_without_words_in_the_language_is_written_in_another() -> None:
    version = version_of(question("Q", QuestionType.YES_NO, INDICATOR, texts={"en": "Was it clean?"}))

    finding = find(version, Answers({"Q": 0}, {}), DEFAULTS, "zh-CN")

    assert finding is not None
    assert finding.description.splitlines()[1] == "Was it clean? 否"


def test_a_long_remark_is_cut_to_what_a_complaint_holds() -> None:
    finding = case({"DLV.ON_TIME": 2}, {"SSI.COMMENT": "长" * 4000})

    assert len(finding.description) == 4000
    assert finding.description.endswith("长…")


ANSWERED = {
    one.code: st.integers(*SCALES[one.type])
    for one in SHIPPED.questions
    if one.purpose not in {QuestionPurpose.COMPLAINT, QuestionPurpose.REMARK}
}
MARKS = st.fixed_dictionaries({}, optional=ANSWERED)


@given(marks=MARKS, ticked=st.sampled_from([None, 0, 1]), data=st.data())
def test_lowering_a_mark_never_lowers_the_level(marks: dict[str, int], ticked: int | None, data: st.DataObject) -> None:
    given_marks = marks | ({"SSI.COMPLAIN": ticked} if ticked is not None else {})
    lowered = dict(given_marks)
    if marks:
        code = data.draw(st.sampled_from(sorted(marks)))
        lowest = next(SCALES[one.type][0] for one in SHIPPED.questions if one.code == code)
        lowered[code] = data.draw(st.integers(lowest, marks[code]))

    before, after = (find(SHIPPED, Answers(one, {}), DEFAULTS) for one in (given_marks, lowered))

    if before is not None:
        assert after is not None
        assert after.level.rank >= before.level.rank
        assert list(Severity).index(after.severity) >= list(Severity).index(before.severity)


@given(marks=MARKS)
def test_a_tick_is_a_complaint_whatever_the_marks_say(marks: dict[str, int]) -> None:
    finding = find(SHIPPED, Answers(marks | {"SSI.COMPLAIN": 1}, {}), DEFAULTS)

    assert finding is not None
    assert finding.level is Level.COMPLAINT


FINE = {
    one.code: st.integers({INDICATOR: 4, OVERALL: 5}.get(one.purpose, 7), SCALES[one.type][1])
    for one in SHIPPED.questions
    if one.code in ANSWERED
}


@given(marks=st.fixed_dictionaries({}, optional=FINE), ticked=st.sampled_from([{}, {"SSI.COMPLAIN": 0}]))
def test_nothing_low_opens_no_case(marks: dict[str, int], ticked: dict[str, int]) -> None:
    assert find(SHIPPED, Answers(marks | ticked, {"SSI.COMMENT": "我要投诉"}), DEFAULTS) is None


@given(marks=MARKS, remark=st.text(max_size=5000), language=st.sampled_from(levels.LANGUAGES))
def test_a_description_is_never_empty_and_never_longer_than_a_complaint_takes(
    marks: dict[str, int], remark: str, language: str
) -> None:
    finding = find(SHIPPED, Answers(marks, {"SSI.COMMENT": remark}), DEFAULTS, language)

    assert finding is None or 0 < len(finding.description) <= 4000


def test_every_question_of_the_shipped_questionnaire_has_its_purpose_and_one_asks_about_the_whole() -> None:
    purposes = [one.purpose for one in SHIPPED.questions]

    assert purposes.count(QuestionPurpose.OVERALL) == 1
    assert purposes.count(QuestionPurpose.COMPLAINT) == 1
    for one in SHIPPED.questions:
        assert (one.purpose is QuestionPurpose.INDICATOR) == bool(one.factor)
        assert (one.purpose is QuestionPurpose.REMARK) == (one.type is QuestionType.TEXT)
        if one.purpose is QuestionPurpose.COMPLAINT:
            assert one.type is QuestionType.YES_NO
