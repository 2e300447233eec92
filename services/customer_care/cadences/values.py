"""The words of a cadence: anchors, windows, steps and versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

POST_DELIVERY: Final = "post-delivery"


class Anchor(StrEnum):
    """A date that a window is counted from."""

    DELIVERY = "DELIVERY"
    FIRST_SERVICE_DUE = "FIRST_SERVICE_DUE"
    FINANCE_END = "FINANCE_END"


class OwnerRole(StrEnum):
    """Who makes a follow-up."""

    CONSULTANT = "CONSULTANT"
    CARE_SPECIALIST = "CARE_SPECIALIST"


class StopCondition(StrEnum):
    """What ends a follow-up besides being made."""

    FIRST_SERVICE_DONE = "FIRST_SERVICE_DONE"


class VersionState(StrEnum):
    """Where a version of a template stands."""

    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"


@dataclass(frozen=True, slots=True)
class Window:
    """Store-local days counted from an anchor; both ends included, negative before it."""

    anchor: Anchor
    first_day: int
    last_day: int


@dataclass(frozen=True, slots=True)
class Step:
    """One planned contact; `titles` and `scripts` are texts by language tag."""

    code: str
    owner_role: OwnerRole
    window: Window
    fallback_window: Window | None = None
    occurrences: int = 1
    repeat_days: int = 0
    repeat_months: int = 0
    questionnaire: str = ""
    stop_condition: StopCondition | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """One version of a template. A published one never changes, so it may be kept in memory for good."""

    template: str
    number: int
    steps: tuple[Step, ...]
    state: VersionState
    create_time: datetime
    publish_time: datetime | None

    @property
    def name(self) -> str:
        """Its resource name."""
        return version_name(self.template, self.number)

    def step(self, code: str) -> Step | None:
        """Return the step with this code."""
        return next((step for step in self.steps if step.code == code), None)


def version_name(template: str, number: int) -> str:
    """Return the resource name of a version."""
    return f"cadenceTemplates/{template}/versions/{number}"
