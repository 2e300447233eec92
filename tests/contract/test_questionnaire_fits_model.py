"""The questionnaire that customer care asks and the model that scoring computes speak of the same indicators."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def load(package: str) -> dict[str, Any]:
    text = resources.files(package).joinpath("data/ssi-five-factor.v1.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def test_every_indicator_is_asked_under_its_factor() -> None:
    model = load("scoring.models")
    questionnaire = load("customer_care.surveys")

    measured = {(one["code"], factor["code"]) for factor in model["factors"] for one in factor["indicators"]}
    asked = {(question["code"], question["factor"]) for question in questionnaire["questions"] if question["factor"]}

    assert asked == measured
    assert questionnaire["satisfaction_model"] == model["code"]


def test_both_languages_are_complete() -> None:
    for question in load("customer_care.surveys")["questions"]:
        assert set(question["texts"]) == {"zh-CN", "en"}
        assert all(question["texts"].values())
