"""The event edge of care plans: deliveries of sales, first services and visits of after-sales."""

from __future__ import annotations

from datetime import date
from typing import Final

from customer_care.care_plans.facts import delivery_of, first_service_of, visit_day
from customer_care.care_plans.service import CarePlans
from customer_care.care_plans.values import FirstServiceState
from dealerloop.aftersales.events.v1 import events_pb2 as aftersales
from dealerloop.aftersales.v1 import vehicles_pb2
from dealerloop.sales.events.v1 import events_pb2 as sales
from kit.messaging.subscription import Batch

DELIVERY_EVENTS: Final = (sales.DeliveryRecorded, sales.DeliveryCorrected, sales.DeliveryCancelled)
WORKSHOP_EVENTS: Final = (aftersales.FirstServiceChanged, aftersales.VisitFinished)


class CarePlanHandlers:
    """Takes batches into care plans; the same message twice or in another order changes nothing."""

    def __init__(self, care_plans: CarePlans) -> None:
        self._care_plans = care_plans

    async def deliveries(self, batch: Batch) -> None:
        """Each event carries the whole state of its delivery, so that the newest version is all that counts."""
        states = [
            delivery_of(event.message.delivery) for event in batch.events if isinstance(event.message, DELIVERY_EVENTS)
        ]
        await self._care_plans.apply_deliveries(batch.session, states, batch.now)

    async def workshop(self, batch: Batch) -> None:
        """A first service that changed, or a visit that was one, re-windows and closes follow-ups (CAD-07, CAD-08)."""
        states: list[FirstServiceState] = []
        visits: dict[str, date] = {}
        for event in batch.events:
            message = event.message
            if isinstance(message, aftersales.FirstServiceChanged):
                states.append(first_service_of(message.first_service))
            elif (
                isinstance(message, aftersales.VisitFinished)
                and message.kind == vehicles_pb2.WorkshopVisit.KIND_FIRST_SERVICE
            ):
                day = visit_day(message.visit_date)
                visits[message.vin] = min(day, visits.get(message.vin, day))
        await self._care_plans.apply_first_services(batch.session, states, visits, batch.now)
