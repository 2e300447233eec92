"""What a plan is made from, gathered once for a whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from customer_care.cadences.rules import in_force
from customer_care.cadences.values import TemplateVersion
from customer_care.care_plans import bulk, rules
from customer_care.care_plans.shapes import Shape, Shapes
from customer_care.care_plans.values import Days, DeliveryState, FirstServiceState
from customer_care.surveys.values import QuestionnaireVersion
from dealership.stores import Store
from kit.errors import NotFound
from kit.ids import new_id


class NoCadence(NotFound):
    """No version of the template of deliveries was ever published."""

    reason = "CADENCE_NOT_PUBLISHED"


class Planner:
    """Everything that planning asks for, for one transaction."""

    def __init__(
        self,
        versions: Sequence[TemplateVersion],
        questionnaires: Mapping[str, Sequence[QuestionnaireVersion]],
        stores: Mapping[str, Store],
        anchors: Mapping[str, FirstServiceState],
        shapes: Shapes,
        *,
        survey_days: int,
        now: datetime,
    ) -> None:
        self.now = now
        self.stores = stores
        self._versions = versions
        self._by_number = {version.number: version for version in versions}
        self._questionnaires = questionnaires
        self._anchors = anchors
        self._shapes = shapes
        self._survey_life = timedelta(days=survey_days)
        self._today = {store_id: store.local_date(now) for store_id, store in stores.items()}

    def version_for(self, recorded: datetime) -> TemplateVersion:
        """Return the version that a delivery recorded then follows. Raises NoCadence."""
        version = in_force(self._versions, recorded) if len(self._versions) > 1 else next(iter(self._versions), None)
        if version is None:
            raise NoCadence("no cadence of deliveries was published")
        return version

    def shape(self, delivery: DeliveryState, number: int) -> Shape:
        """Return what this version of the cadence asks for, given all that is known now."""
        store = self.stores[delivery.store_id]
        anchor = self._anchors.get(delivery.vin)
        days = Days(
            delivery=delivery.delivery_date,
            first_call=rules.first_call_day(
                delivery.delivery_date, delivery.record_time, store.calendar, store.time_zone
            ),
            first_service_due=anchor.due_date if anchor else None,
            first_service_done=anchor.finished_on if anchor else None,
            finance_end=delivery.finance_end_date,
        )
        return self._shapes.get(self._by_number[number], days, self._today[delivery.store_id])

    def survey_row(self, delivery: DeliveryState, step: str, occurrence: int, code: str, end: date) -> bulk.SurveyRow:
        """Return a new survey of a step with a questionnaire."""
        versions = self._questionnaires.get(code, ())
        version = in_force(versions, delivery.record_time) if len(versions) > 1 else next(iter(versions), None)
        if version is None:
            raise NoCadence(f"the cadence asks for the questionnaire {code}, which is not published")
        return bulk.SurveyRow(
            new_id(self.now),
            delivery.store_id,
            delivery.delivery_id,
            step,
            occurrence,
            code,
            version.number,
            self.expires(delivery, end),
        )

    def expires(self, delivery: DeliveryState, window_end: date) -> datetime:
        """Return when the link of a survey ends: some days after the window of its follow-up."""
        return rules.closes_at(window_end + self._survey_life, self.stores[delivery.store_id].time_zone)
