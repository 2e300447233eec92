"""Steps of a cadence as stored content, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from customer_care.cadences.values import Anchor, OwnerRole, Step, StopCondition, Window


def step_of(content: Mapping[str, Any]) -> Step:
    """Read a step from stored content; what is absent has its default."""
    fallback = content.get("fallback_window")
    stop = content.get("stop_condition")
    return Step(
        code=content["code"],
        owner_role=OwnerRole(content["owner_role"]),
        window=_window(content["window"]),
        fallback_window=_window(fallback) if fallback else None,
        occurrences=content.get("occurrences", 1),
        repeat_days=content.get("repeat_days", 0),
        repeat_months=content.get("repeat_months", 0),
        questionnaire=content.get("questionnaire", ""),
        stop_condition=StopCondition(stop) if stop else None,
        titles=content["titles"],
        scripts=content.get("scripts", {}),
    )


def content_of(step: Step) -> dict[str, Any]:
    """Return a step as stored content, the other way round."""
    return asdict(step)


def _window(content: Mapping[str, Any]) -> Window:
    return Window(Anchor(content["anchor"]), content["first_day"], content["last_day"])
