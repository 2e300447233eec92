"""When a satisfaction model is sound (SCR-01)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from kit.errors import FieldViolation, InvalidArgument
from scoring.models.values import Factor, Indicator, SatisfactionModel

INDEX_WEIGHT = 10_000
"""The weights of the factors sum to 100, counted in hundredths."""


class UnsoundModel(InvalidArgument):
    """The weights or codes of a model do not fit together; the violations carry the sums."""

    reason = "SATISFACTION_MODEL_UNSOUND"


def parse(data: Mapping[str, Any], version: int) -> SatisfactionModel:
    """A model from its stored form.

    Raises:
        UnsoundModel: SCR-01 does not hold.
    """
    factors = tuple(
        Factor(
            factor["code"],
            dict(factor["titles"]),
            int(factor["weight"]),
            tuple(
                Indicator(one["code"], dict(one["titles"]), int(one["weight"]), bool(one["weight_to_be_set"]))
                for one in factor["indicators"]
            ),
        )
        for factor in data["factors"]
    )
    model = SatisfactionModel(
        code=data["code"],
        version=version,
        index_code=data["index_code"],
        titles=dict(data["titles"]),
        source=data["source"],
        minimum_sample=int(data["minimum_sample"]),
        factors=factors,
    )
    require_sound(model)
    return model


def require_sound(model: SatisfactionModel) -> None:
    """Refuses a model whose weights do not sum, whose codes repeat, or that has a weight below one hundredth.

    Raises:
        UnsoundModel: with one violation, and the sums, for each rule that is broken.
    """
    violations = [*_weights(model), *_codes(model)]
    if violations:
        raise UnsoundModel("the satisfaction model is not sound", violations=violations)


def choose(versions: Iterable[tuple[SatisfactionModel, datetime]], at: datetime) -> SatisfactionModel:
    """The version in force at `at`, out of versions in the order newest first; at least one is needed."""
    model = None
    for model, publish_time in versions:  # noqa: B007 - the oldest one is the answer when none was in force
        if publish_time <= at:
            break
    if model is None:
        raise ValueError("no versions")
    return model


def _weights(model: SatisfactionModel) -> list[FieldViolation]:
    found = []
    total = sum(factor.weight for factor in model.factors)
    if total != INDEX_WEIGHT:
        text = f"the factors sum to {total / 100:.2f}, not 100"
        found.append(FieldViolation("factors", "SCR-01_FACTOR_SUM", text))
    for at, factor in enumerate(model.factors):
        inner = sum(indicator.weight for indicator in factor.indicators)
        if inner != factor.weight:
            text = f"the indicators of {factor.code} sum to {inner / 100:.2f}, the factor has {factor.weight / 100:.2f}"
            found.append(FieldViolation(f"factors[{at}].indicators", "SCR-01_INDICATOR_SUM", text))
        if any(indicator.weight < 1 for indicator in factor.indicators):
            text = f"every indicator of {factor.code} needs a weight of at least 0.01"
            found.append(FieldViolation(f"factors[{at}].indicators", "SCR-01_POSITIVE_WEIGHT", text))
    return found


def _codes(model: SatisfactionModel) -> list[FieldViolation]:
    codes = [model.index_code, *(factor.code for factor in model.factors)]
    codes += [indicator.code for factor in model.factors for indicator in factor.indicators]
    repeated = sorted({code for code in codes if codes.count(code) > 1})
    if not repeated:
        return []
    return [FieldViolation("factors", "SCR-01_UNIQUE_CODES", f"codes occur more than once: {', '.join(repeated)}")]
