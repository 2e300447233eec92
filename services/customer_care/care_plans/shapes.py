"""Plans that were computed already: deliveries of one day with equal anchors have equal windows."""

from __future__ import annotations

from datetime import date
from typing import Final

from customer_care.cadences.values import OwnerRole, TemplateVersion
from customer_care.care_plans import rules
from customer_care.care_plans.bulk import ShapeRow
from customer_care.care_plans.values import Days, Planned
from customer_care.followups.values import FollowUpState

# A day of a large group has a few thousand; beyond that starting afresh costs less than keeping count.
_MOST: Final = 20_000


class Shape:
    """The follow-ups of one plan, and what a new plan needs of them."""

    __slots__ = ("first_end", "planned", "surveys")

    def __init__(self, planned: tuple[Planned, ...]) -> None:
        self.planned = planned
        self.surveys = tuple(one for one in planned if one.questionnaire)
        # The day on which the first open window ends; None when nothing is open.
        self.first_end = min((one.window_end for one in planned if one.state is FollowUpState.PLANNED), default=None)

    def rows(self, number: int) -> list[ShapeRow]:
        """Return its follow-ups under this number of the batch."""
        return [
            ShapeRow(
                number,
                one.step,
                one.occurrence,
                one.owner_role is OwnerRole.CONSULTANT,
                one.window_start,
                one.window_end,
                one.state,
            )
            for one in self.planned
        ]


class Shapes:
    """Shapes by all that they depend on."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, Days, date], Shape] = {}

    def get(self, version: TemplateVersion, days: Days, today: date) -> Shape:
        """Return the shape of a delivery with these days, planned on this store-local day."""
        key = (version.template, version.number, days, today)
        shape = self._known.get(key)
        if shape is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            shape = self._known[key] = Shape(rules.plan(version, days, today))
        return shape
