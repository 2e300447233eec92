"""Care plans: made when a delivery is told, kept in step with what follows (CARE-01)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.cadences.service import CadenceCatalogue, lock_planning
from customer_care.cadences.values import POST_DELIVERY, TemplateVersion, version_name
from customer_care.care_plans import bulk, rules
from customer_care.care_plans.model import CarePlan, FirstService
from customer_care.care_plans.planner import Planner
from customer_care.care_plans.replanning import replan
from customer_care.care_plans.shapes import Shapes
from customer_care.care_plans.values import DeliveryState, FirstServiceState
from customer_care.care_plans.windows import schedule_closes
from customer_care.stores import StoreCache
from customer_care.surveys.catalogue import QuestionnaireCatalogue
from dealerloop.customer_care.events.v1 import events_pb2
from dealership.stores import Store
from kit.db.engine import raw_connection
from kit.log import log
from kit.messaging import outbox


class CarePlans:
    """The use cases of planning. Each is order-free: what is older than what is known changes nothing."""

    def __init__(
        self,
        cadences: CadenceCatalogue,
        questionnaires: QuestionnaireCatalogue,
        stores: StoreCache,
        *,
        survey_days: int,
    ) -> None:
        self._cadences = cadences
        self._questionnaires = questionnaires
        self._stores = stores
        self._survey_days = survey_days
        self._shapes = Shapes()
        self._warned: set[tuple[str, int]] = set()

    async def apply_deliveries(
        self, session: AsyncSession, deliveries: Iterable[DeliveryState], now: datetime, *, as_is: bool = False
    ) -> None:
        """Plan new deliveries and re-plan changed ones; a fixed number of statements, however many there are.

        `as_is` takes them whatever their version, for a snapshot (see `Rebuild`).

        Raises StoreUnknown, NoCadence; Unavailable when a store is not known here and the gateway does not answer.
        """
        newest = _newest(deliveries)
        if not newest:
            return
        await lock_planning(session)
        there = await _locked_plans(session, CarePlan.delivery_id.in_(list(newest)))
        fresh = [delivery for key, delivery in newest.items() if key not in there]
        changed = [
            (delivery, there[key].template_number)
            for key, delivery in newest.items()
            if key in there and (as_is or delivery.version > there[key].version)
        ]
        if not fresh and not changed:
            return
        planner = await self._planner(session, [*fresh, *(delivery for delivery, _ in changed)], now)
        if fresh:
            await self._create(session, planner, fresh)
        if changed:
            await bulk.update_plans(await raw_connection(session), [_plan_values(delivery) for delivery, _ in changed])
            await replan(session, planner, changed)

    async def apply_first_services(
        self,
        session: AsyncSession,
        states: Iterable[FirstServiceState],
        visits: Mapping[str, date],
        now: datetime,
        *,
        as_is: bool = False,
    ) -> None:
        """Take in what after-sales told of first services and of first-service visits, and re-plan what follows them.

        Kept for vehicles that no delivery has told of yet. `as_is` takes the states whatever their version.
        """
        newest: dict[str, FirstServiceState] = {}
        for state in states:
            known = newest.get(state.vin)
            if known is None or state.version > known.version:
                newest[state.vin] = state
        vins = sorted({*newest, *visits})
        if not vins:
            return
        await lock_planning(session)
        connection = await raw_connection(session)
        await bulk.upsert_first_services(connection, [newest[vin][:5] for vin in sorted(newest)], as_is=as_is)
        await bulk.upsert_visits(connection, sorted(visits.items()))
        plans = await _locked_plans(session, CarePlan.vin.in_(vins), CarePlan.cancelled.is_(False))
        if not plans:
            return
        current = [(_delivery_of(plan), plan.template_number) for plan in plans.values()]
        planner = await self._planner(session, [delivery for delivery, _ in current], now)
        await replan(session, planner, current)

    async def _planner(self, session: AsyncSession, deliveries: Sequence[DeliveryState], now: datetime) -> Planner:
        anchors = select(FirstService).where(FirstService.vin.in_({delivery.vin for delivery in deliveries}))
        stores = await self._stores.get_many(session, {delivery.store_id for delivery in deliveries})
        self._warn(stores.values(), now)
        return Planner(
            await self._cadences.published(session, POST_DELIVERY),
            await self._questionnaires.published(session),
            stores,
            {row.vin: _first_service_of(row) for row in await session.scalars(anchors)},
            self._shapes,
            survey_days=self._survey_days,
            now=now,
        )

    def _warn(self, stores: Iterable[Store], now: datetime) -> None:
        """Say loudly, once, that the holidays of a store's year are not known: calls are planned by weekdays."""
        for store in stores:
            today = store.local_date(now)
            if not store.calendar.is_confirmed(today) and (store.id, today.year) not in self._warned:
                self._warned.add((store.id, today.year))
                log.warning("calendar.year_not_confirmed", store_id=store.id, year=today.year)

    async def _create(self, session: AsyncSession, planner: Planner, deliveries: Sequence[DeliveryState]) -> None:
        numbers: dict[int, int] = {}
        shapes: list[bulk.ShapeRow] = []
        plans: list[bulk.PlanRow] = []
        surveys: list[bulk.SurveyRow] = []
        closes: list[tuple[UUID, datetime]] = []
        told: list[tuple[events_pb2.CarePlanned, str]] = []
        for delivery in deliveries:
            version = planner.version_for(delivery.record_time)
            if delivery.cancelled:
                # Cancelled before it was ever seen: remembered, so that the older event changes nothing.
                plans.append(_plan_row(delivery, version, -1))
                continue
            shape = planner.shape(delivery, version.number)
            number = numbers.get(id(shape))
            if number is None:
                number = numbers[id(shape)] = len(numbers)
                shapes.extend(shape.rows(number))
            plans.append(_plan_row(delivery, version, number))
            own = [
                planner.survey_row(delivery, one.step, one.occurrence, one.questionnaire, one.window_end)
                for one in shape.surveys
            ]
            surveys.extend(own)
            if shape.first_end is not None:
                zone = planner.stores[delivery.store_id].time_zone
                closes.append((delivery.delivery_id, rules.closes_at(shape.first_end, zone)))
            key = str(delivery.delivery_id)
            event = events_pb2.CarePlanned(
                delivery_id=key,
                store_id=delivery.store_id,
                follow_ups=len(shape.planned),
                cadence_template_version=version_name(version.template, version.number),
                survey_id=str(own[0].id) if own else "",
                version=delivery.version,
            )
            told.append((event, key))
        await bulk.create(await raw_connection(session), plans, shapes, surveys, planner.now)
        await schedule_closes(session, closes)
        await outbox.add_many(session, told, now=planner.now)


async def _locked_plans(session: AsyncSession, *conditions: object) -> dict[UUID, CarePlan]:
    """Lock plans, always in one order, so that two transactions never wait for one another."""
    query = select(CarePlan).where(*conditions).order_by(CarePlan.delivery_id).with_for_update()  # type: ignore[arg-type]
    return {plan.delivery_id: plan for plan in await session.scalars(query)}


def _newest(deliveries: Iterable[DeliveryState]) -> dict[UUID, DeliveryState]:
    newest: dict[UUID, DeliveryState] = {}
    for delivery in deliveries:
        known = newest.get(delivery.delivery_id)
        if known is None or delivery.version > known.version:
            newest[delivery.delivery_id] = delivery
    return newest


def _plan_row(delivery: DeliveryState, version: TemplateVersion, shape: int) -> bulk.PlanRow:
    return bulk.PlanRow(*delivery, version.template, version.number, shape)


def _plan_values(delivery: DeliveryState) -> tuple[object, ...]:
    return (
        delivery.delivery_id,
        delivery.version,
        delivery.vin,
        delivery.series,
        delivery.customer_id,
        delivery.consultant_id,
        delivery.delivery_date,
        delivery.finance_end_date,
        delivery.cancelled,
    )


def _delivery_of(plan: CarePlan) -> DeliveryState:
    return DeliveryState(*(getattr(plan, field) for field in DeliveryState._fields))


def _first_service_of(row: FirstService) -> FirstServiceState:
    return FirstServiceState(*(getattr(row, field) for field in FirstServiceState._fields))
