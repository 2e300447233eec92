"""When a satisfaction model is sound (SCR-01), and that the shipped one is (SCR-02)."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import pytest

from scoring.models.rules import UnsoundModel, choose, parse


@pytest.fixture
def data() -> dict[str, Any]:
    text = resources.files("scoring.models").joinpath("data/ssi-five-factor.v1.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def rules_broken(data: dict[str, Any]) -> set[str]:
    with pytest.raises(UnsoundModel) as caught:
        parse(data, 1)
    return {violation.rule for violation in caught.value.violations}


def test_the_shipped_model_has_the_published_weights(data: dict[str, Any]) -> None:
    model = parse(data, 1)

    assert [factor.weight for factor in model.factors] == [2049, 1884, 1917, 1900, 2250]
    initiation = {indicator.code.rsplit(".")[-1]: indicator for indicator in model.factors[0].indicators}
    assert initiation["GREETED"].weight == 425
    assert initiation["TEST_DRIVE_INVITED"].weight == 451
    assert not any(indicator.weight_to_be_set for indicator in initiation.values())
    assert all(one.weight_to_be_set for factor in model.factors[1:] for one in factor.indicators)
    assert len(model.indicator_codes) == 38


def test_factors_that_do_not_sum_to_100_are_refused_with_the_sum(data: dict[str, Any]) -> None:
    data["factors"][0]["weight"] += 1

    with pytest.raises(UnsoundModel) as caught:
        parse(data, 1)

    texts = {violation.rule: violation.description for violation in caught.value.violations}
    assert texts["SCR-01_FACTOR_SUM"] == "the factors sum to 100.01, not 100"
    assert texts["SCR-01_INDICATOR_SUM"] == "the indicators of SSI.INIT sum to 20.49, the factor has 20.50"


def test_a_weight_of_nothing_is_refused(data: dict[str, Any]) -> None:
    first, second = data["factors"][0]["indicators"][:2]
    first["weight"] += second["weight"]
    second["weight"] = 0

    assert rules_broken(data) == {"SCR-01_POSITIVE_WEIGHT"}


def test_a_code_that_repeats_is_refused(data: dict[str, Any]) -> None:
    data["factors"][1]["indicators"][0]["code"] = data["factors"][0]["code"]

    assert rules_broken(data) == {"SCR-01_UNIQUE_CODES"}


def test_the_version_in_force_is_the_last_one_published_by_then(data: dict[str, Any]) -> None:
    first, second = parse(data, 1), parse(copy.deepcopy(data), 2)
    versions = [(second, datetime(2026, 6, 1, tzinfo=UTC)), (first, datetime(2026, 1, 1, tzinfo=UTC))]

    assert choose(versions, datetime(2026, 5, 31, tzinfo=UTC)) is first
    assert choose(versions, datetime(2026, 6, 1, tzinfo=UTC)) is second
    assert choose(versions, datetime(2025, 1, 1, tzinfo=UTC)) is first
