"""How a response becomes scores, and sums become a grade (SCR-05)."""

from __future__ import annotations

import json
import random
import statistics
from datetime import UTC, datetime
from fractions import Fraction
from importlib import resources
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.grades import rules
from scoring.grades.values import MICRO, Mark, Response, Scale, Tally
from scoring.models.rules import parse
from scoring.models.values import SatisfactionModel


def shipped() -> SatisfactionModel:
    text = resources.files("scoring.models").joinpath("data/ssi-five-factor.v1.json").read_text(encoding="utf-8")
    return parse(json.loads(text), 1)


MODEL = shipped()
CODES = sorted(MODEL.indicator_codes)


def seven(code: str, mark: int) -> Mark:
    return Mark(code, Scale.SCALE_7, mark)


def response(number: int, marks: dict[str, int], version: int = 1) -> Response:
    return Response(
        id=UUID(int=number),
        store_id="bj-01",
        version=version,
        delivery_id=UUID(int=number),
        consultant_id="li.wei",
        customer_id=str(UUID(int=number)),
        mode="INTERVIEW_MODE_LINK",
        month="2026-11",
        submit_time=datetime(2026, 11, 10, 4, 0, tzinfo=UTC),
        questionnaire_version="questionnaires/ssi-five-factor/versions/1",
        model_code=MODEL.code,
        model_version=MODEL.version,
        marks=tuple(seven(code, mark) for code, mark in marks.items()),
    )


@pytest.mark.parametrize(
    ("scale", "mark", "points"),
    [
        (Scale.SCALE_7, 1, 0),
        (Scale.SCALE_7, 4, 50),
        (Scale.SCALE_7, 7, 100),
        (Scale.SCALE_10, 1, 0),
        (Scale.SCALE_10, 10, 100),
        (Scale.NPS, 0, 0),
        (Scale.NPS, 5, 50),
        (Scale.NPS, 10, 100),
        (Scale.YES_NO, 1, 100),
    ],
)
def test_a_scale_maps_linearly_to_0_to_100(scale: Scale, mark: int, points: int) -> None:
    assert rules.micro_score(Mark("X", scale, mark)) == points * MICRO


@pytest.mark.parametrize(
    ("scale", "mark"), [(Scale.SCALE_7, 0), (Scale.SCALE_7, 8), (Scale.NPS, 11), (Scale.YES_NO, 2)]
)
def test_a_mark_outside_its_scale_is_refused(scale: Scale, mark: int) -> None:
    with pytest.raises(rules.MarkOutOfScale, match="is not between"):
        rules.micro_score(Mark("X", scale, mark))


def test_equal_marks_give_every_score_that_value() -> None:
    scores = rules.scores(MODEL, [seven(code, 7) for code in CODES])

    assert set(scores.values()) == {100 * MICRO}
    assert len(scores) == 1 + 5 + 38


def test_the_index_is_weighted_by_the_published_weights() -> None:
    """Greeted promptly, 4.25 of 20.49, takes one seventh-point step: 4.25 × 1/6 of the index, in points of 100."""
    marks = dict.fromkeys(CODES, 7) | {"SSI.INIT.GREETED": 6}

    scores = rules.scores(MODEL, [seven(code, mark) for code, mark in marks.items()])

    assert scores["SSI"] == round((100 - Fraction(425, 100) / 6) * MICRO)
    assert scores["SSI.INIT"] == round((100 - Fraction(425, 2049) * 100 / 6) * MICRO)


def test_a_missing_indicator_gives_its_weight_to_its_factor() -> None:
    marks = {"SSI.INIT.GREETED": 7, "SSI.INIT.MATERIAL": 1}

    scores = rules.scores(MODEL, [seven(code, mark) for code, mark in marks.items()])

    assert scores["SSI.INIT"] == round(Fraction(425, 425 + 195) * 100 * MICRO)
    assert "SSI.INIT.FEATURES" not in scores


def test_a_factor_without_answers_gives_its_weight_to_the_others() -> None:
    marks = {code: 4 for code in CODES if not code.startswith("SSI.DLV.")} | {"SSI.INIT.GREETED": 4}

    scores = rules.scores(MODEL, [seven(code, mark) for code, mark in marks.items()])

    assert "SSI.DLV" not in scores
    assert scores["SSI"] == 50 * MICRO


def test_a_response_without_indicators_has_no_scores() -> None:
    assert rules.scores(MODEL, [seven("SSI.OVERALL", 7)]) == {}


def test_the_boxes_count_the_ends_of_the_seven_point_scale() -> None:
    by_code = {
        key.code: tally for key, tally in rules.tallies(MODEL, response(1, {CODES[0]: 6, CODES[1]: 3, CODES[2]: 4}))
    }

    assert [(by_code[code].top, by_code[code].bottom) for code in CODES[:3]] == [(1, 0), (0, 1), (0, 0)]


def test_a_grade_below_the_minimum_sample_is_provisional() -> None:
    assert rules.provisional(MODEL, Tally(n=29))
    assert not rules.provisional(MODEL, Tally(n=30))


def test_no_responses_have_no_mean_and_one_has_no_spread() -> None:
    assert rules.mean(Tally()) is None
    assert rules.index_points(Tally()) is None
    assert rules.share(0, Tally()) is None
    assert rules.standard_deviation(Tally(1, MICRO, MICRO * MICRO)) is None


some_marks = st.dictionaries(st.sampled_from(CODES), st.integers(1, 7), max_size=12)


@given(st.lists(some_marks, max_size=8), st.randoms(use_true_random=False))
def test_any_order_and_any_split_gives_the_same_sums(answers: list[dict[str, int]], order: random.Random) -> None:
    responses = [(MODEL, response(number, marks)) for number, marks in enumerate(answers)]
    shuffled = order.sample(responses, len(responses))
    cut = order.randint(0, len(shuffled))

    at_once = rules.changes([], responses)
    in_parts = rules.changes([], shuffled[:cut])
    for key, tally in rules.changes([], shuffled[cut:]).items():
        in_parts[key] = in_parts.get(key, Tally()) + tally

    assert at_once == in_parts


@given(some_marks, some_marks)
def test_a_replaced_response_leaves_no_trace(before: dict[str, int], after: dict[str, int]) -> None:
    first = rules.changes([], [(MODEL, response(1, before))])

    change = rules.changes([(MODEL, response(1, before))], [(MODEL, response(1, after, version=2))])

    total = {key: first.get(key, Tally()) + change.get(key, Tally()) for key in first.keys() | change.keys()}
    assert {key: tally for key, tally in total.items() if tally.n} == rules.changes([], [(MODEL, response(1, after))])


@given(st.lists(st.integers(1, 7), min_size=2, max_size=40))
def test_the_sums_give_the_mean_and_spread_of_the_responses(marks: list[int]) -> None:
    code = CODES[0]
    total = Tally()
    for number, mark in enumerate(marks):
        total += dict(rules.tallies(MODEL, response(number, {code: mark})))[_cell(number, code)]
    points = [(mark - 1) / 6 * 100 for mark in marks]

    assert rules.mean(total) == pytest.approx(statistics.fmean(points), abs=2e-6)
    assert rules.standard_deviation(total) == pytest.approx(statistics.stdev(points), abs=2e-6)
    assert rules.index_points(total) == pytest.approx(statistics.fmean(points) * 10, abs=2e-5)


def _cell(number: int, code: str):  # type: ignore[no-untyped-def]
    return next(key for key, _ in rules.tallies(MODEL, response(number, {code: 1})) if key.code == code)
