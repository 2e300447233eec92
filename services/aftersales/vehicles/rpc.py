"""gRPC edge of vehicles: warranty terms, coverage decisions, and the first services for other services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta

from aftersales.coverage import rules as coverage
from aftersales.vehicles import rules, service
from aftersales.visits.rules import InvalidVisit, past_day
from aftersales.warranty import rules as warranty_rules
from aftersales.warranty import service as warranty
from aftersales.warranty.values import Circumstance, ComponentGroup, Fault
from dealerloop.aftersales.v1 import vehicles_pb2
from dealerloop.aftersales.v1.vehicles_pb2 import (
    CoverageDecision,
    DecideCoverageRequest,
    FirstService,
    GetWarrantyRequest,
    ListFirstServicesForProjectionRequest,
    Warranty,
)
from dealership import vin
from dealership.stores import get_store
from kit.errors import InvalidArgument
from kit.rpc import names
from kit.rpc.carry import carry
from kit.rpc.client import Peer
from kit.rpc.server import Call

WARRANTY = "stores/{store}/vehicles/{vin}/warranty"
VEHICLE = "stores/{store}/vehicles/{vin}"
CLOCK_SKEW = timedelta(minutes=5)


class InvalidFault(InvalidArgument):
    """What is said of the fault breaks rules of its fields."""

    reason = "FAULT_INVALID"


class VehicleEdge:
    """`VehicleService`."""

    def __init__(self, gateway: Peer) -> None:
        self._gateway = gateway

    async def get_warranty(self, call: Call, request: GetWarrantyRequest) -> Warranty:
        """Return a vehicle's warranty terms and first service."""
        number = vin.normalise(names.parse(request.name, WARRANTY)["vin"])
        file = await service.file_of(call.session, call.store_id, number)
        plan = (await warranty.catalogue(call.session)).plan(file.vehicle.plan_version)
        first = file.vehicle.first_service
        left = warranty_rules.free_services_left(
            plan,
            first_service_done=first.done_date is not None,
            scheduled_visits=rules.scheduled_visits(file.services),
        )
        reasons = warranty_rules.explain(start=file.vehicle.invoice_date, terms=file.terms, plan=plan)
        return carry(
            file.vehicle,
            Warranty,
            name=names.format_name(WARRANTY, store=call.store_id, vin=number),
            start_date=file.vehicle.invoice_date,
            terms=file.terms,
            first_service_date=first.done_date,
            free_services_left=left,
            reasons=reasons,
        )

    async def decide_coverage(self, call: Call, request: DecideCoverageRequest) -> CoverageDecision:
        """Decide by time and mileage; anything else is referred with the missing evidence."""
        number = vin.normalise(names.parse(request.name, VEHICLE)["vin"])
        store = await get_store(call.session, self._gateway, call.store_id)
        today = store.local_date(call.now + CLOCK_SKEW)
        fault = Fault(
            component_group=ComponentGroup(_plain(vehicles_pb2.ComponentGroup.Name(request.component_group))),
            date=_fault_date(request.fault_date, today),
            odometer_km=request.odometer_km if request.HasField("odometer_km") else None,
            circumstances=frozenset(
                Circumstance(vehicles_pb2.Circumstance.Name(seen).removeprefix("CIRCUMSTANCE_"))
                for seen in request.circumstances
            ),
        )
        file = await service.file_of(call.session, store.id, number)
        return carry(coverage.decide(file.standing, fault), CoverageDecision)

    async def list_first_services_for_projection(
        self, call: Call, _request: ListFirstServicesForProjectionRequest
    ) -> AsyncIterator[FirstService]:
        """Yield the first service of every vehicle of which anything is known."""
        async for first in service.every_first_service(call.session):
            yield first


def _fault_date(text: str, today: date) -> date:
    try:
        return past_day("fault_date", text, today) if text else today
    except InvalidVisit as error:
        raise InvalidFault(error.message, violations=error.violations) from None


def _plain(group: str) -> str:
    return group.removeprefix("COMPONENT_GROUP_")
