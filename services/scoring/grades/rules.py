"""How a response becomes scores, and sums become a grade (SCR-05). Integers only, so that any order gives the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction

from kit.errors import InvalidArgument
from scoring.grades.values import MICRO, CellKey, Mark, Response, Scale, Tally
from scoring.models.values import Factor, SatisfactionModel

_UNITS = 90
"""One mark's share of its scale in ninetieths: exact for scales of 1, 6, 9 and 10 steps."""
_TOP_BOX = 6
_BOTTOM_BOX = 3


class MarkOutOfScale(InvalidArgument):
    """A mark lies outside its scale."""

    reason = "MARK_OUT_OF_SCALE"


def micro_score(mark: Mark) -> int:
    """A mark on the scale 0 to 100, in millionths: the lowest mark counts 0, the highest 100.

    Raises:
        MarkOutOfScale: the mark is not on its scale.
    """
    return _rounded(_units(mark) * 100 * MICRO, _UNITS)


def scores(model: SatisfactionModel, marks: Iterable[Mark]) -> dict[str, int]:
    """The micro-scores of one response by code: the index, each answered factor, each answered indicator.

    An indicator that was not answered gives its weight to the others of its factor, a factor without any answer gives
    its weight to the other factors. A response without an answer to any indicator has no scores at all.
    """
    answered = {mark.question: mark for mark in marks if mark.question in model.indicator_codes}
    found: dict[str, int] = {}
    weight = 0
    index = Fraction(0)
    for factor in model.factors:
        part = _factor(factor, answered)
        if part is None:
            continue
        numerator, denominator = part
        found[factor.code] = _rounded(numerator * 100 * MICRO, denominator)
        weight += factor.weight
        index += Fraction(factor.weight * numerator, denominator)
        for indicator in factor.indicators:
            if indicator.code in answered:
                found[indicator.code] = micro_score(answered[indicator.code])
    if weight:
        index *= Fraction(100 * MICRO, weight)
        found[model.index_code] = _rounded(index.numerator, index.denominator)
    return found


def index_of(model: SatisfactionModel, marks: Iterable[Mark]) -> float | None:
    """The index of one response, 0 to 100; None when no indicator was answered."""
    score = scores(model, marks).get(model.index_code)
    return None if score is None else score / MICRO


def tallies(model: SatisfactionModel, response: Response) -> Iterator[tuple[CellKey, Tally]]:
    """What one response adds to its cells."""
    by_question = {mark.question: mark for mark in response.marks}
    for code, score in scores(model, response.marks).items():
        top, bottom = _boxes(by_question.get(code))
        yield _key(response, code), Tally(1, score, score * score, top, bottom)


def changes(
    replaced: Iterable[tuple[SatisfactionModel, Response]], counted: Iterable[tuple[SatisfactionModel, Response]]
) -> dict[CellKey, Tally]:
    """What the cells change by when `counted` comes and `replaced` goes; cells that stay the same are left out."""
    total: dict[CellKey, Tally] = {}
    for model, response in replaced:
        for key, tally in tallies(model, response):
            total[key] = total.get(key, Tally()) + -tally
    for model, response in counted:
        for key, tally in tallies(model, response):
            total[key] = total.get(key, Tally()) + tally
    return {key: tally for key, tally in total.items() if tally != Tally()}


def mean(tally: Tally) -> float | None:
    """The mean score, 0 to 100; None without responses."""
    if not tally.n:
        return None
    return _points(Fraction(tally.total, tally.n * MICRO))


def standard_deviation(tally: Tally) -> float | None:
    """The standard deviation between responses on the scale 0 to 100; None below two responses."""
    if tally.n < 2:  # noqa: PLR2004 - a spread needs two
        return None
    variance = Fraction(tally.n * tally.square - tally.total**2, tally.n * (tally.n - 1) * MICRO**2)
    with localcontext() as context:
        context.prec = 40
        root = (Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt()
    return _points(Fraction(root))


def index_points(tally: Tally) -> float | None:
    """The mean on the scale 0 to 1000; None without responses."""
    if not tally.n:
        return None
    return _points(Fraction(tally.total * 10, tally.n * MICRO))


def share(count: int, tally: Tally) -> float | None:
    """A share of the responses, 0 to 1; None without responses."""
    return _points(Fraction(count, tally.n)) if tally.n else None


def provisional(model: SatisfactionModel, tally: Tally) -> bool:
    """Whether the sample is too small for a grade (SCR-05)."""
    return tally.n < model.minimum_sample


def _factor(factor: Factor, answered: Mapping[str, Mark]) -> tuple[int, int] | None:
    """The factor's share of its scale as a fraction; None when nothing of it was answered."""
    weight = units = 0
    for indicator in factor.indicators:
        mark = answered.get(indicator.code)
        if mark is not None:
            weight += indicator.weight
            units += indicator.weight * _units(mark)
    return (units, weight * _UNITS) if weight else None


def _units(mark: Mark) -> int:
    scale = mark.scale
    if not scale.lowest <= mark.mark <= scale.highest:
        text = f"{mark.question}: {mark.mark} is not between {scale.lowest} and {scale.highest}"
        raise MarkOutOfScale(text)
    return (mark.mark - scale.lowest) * (_UNITS // (scale.highest - scale.lowest))


def _boxes(mark: Mark | None) -> tuple[int, int]:
    """Whether a mark of the 7-point scale is in the top (6-7) and the bottom (1-3) box."""
    if mark is None or mark.scale is not Scale.SCALE_7:
        return 0, 0
    return int(mark.mark >= _TOP_BOX), int(mark.mark <= _BOTTOM_BOX)


def _key(response: Response, code: str) -> CellKey:
    return CellKey(
        store_id=response.store_id,
        month=response.month,
        model_code=response.model_code,
        model_version=response.model_version,
        consultant_id=response.consultant_id,
        mode=response.mode,
        code=code,
    )


def _rounded(numerator: int, denominator: int) -> int:
    """The nearest integer, halves to even."""
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and whole % 2):
        return whole + 1
    return whole


def _points(value: Fraction) -> float:
    """A figure as it is told, to six decimals."""
    return _rounded(value.numerator * MICRO, value.denominator) / MICRO
