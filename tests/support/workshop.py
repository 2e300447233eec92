"""What the people of a workshop do with after-sales, each as one call with a real token."""

from __future__ import annotations

from typing import Any

from dealerloop.aftersales.v1 import vehicles_pb2
from dealerloop.aftersales.v1.vehicles_pb2 import (
    CoverageDecision,
    CreateWorkshopVisitRequest,
    DecideCoverageRequest,
    GetWarrantyRequest,
    ListWorkshopVisitsRequest,
    ListWorkshopVisitsResponse,
    Warranty,
    WorkshopVisit,
)
from tests.support.deliveries import STORE, vin_of
from tests.support.one_service import OneService
from tests.support.visits import visit


async def create(aftersales: OneService, number: int = 1, *, store: str = STORE, **changes: Any) -> WorkshopVisit:
    """Record a visit of the vehicle with this number as a service advisor."""
    request = CreateWorkshopVisitRequest(parent=f"stores/{store}", workshop_visit=visit(number, **changes))
    token = aftersales.token("ROLE_SERVICE_ADVISOR", store)
    return await aftersales.call("WorkshopVisitService/CreateWorkshopVisit", request, WorkshopVisit, token=token)


async def page(aftersales: OneService, **fields: Any) -> ListWorkshopVisitsResponse:
    """Read a page of the store's visits."""
    request = ListWorkshopVisitsRequest(**{"parent": f"stores/{STORE}"} | fields)
    token = aftersales.token("ROLE_SERVICE_ADVISOR", STORE)
    method = "WorkshopVisitService/ListWorkshopVisits"
    return await aftersales.call(method, request, ListWorkshopVisitsResponse, token=token)


async def warranty(aftersales: OneService, number: int, *, store: str = STORE, token: str | None = None) -> Warranty:
    """Read a vehicle's warranty as a warranty clerk of that store, or as somebody else."""
    request = GetWarrantyRequest(name=f"stores/{store}/vehicles/{vin_of(number)}/warranty")
    token = token or aftersales.token("ROLE_WARRANTY_CLERK", store)
    return await aftersales.call("VehicleService/GetWarranty", request, Warranty, token=token)


async def decide(aftersales: OneService, number: int, *, store: str = STORE, **fields: Any) -> CoverageDecision:
    """Ask whether an engine fault is covered."""
    request = DecideCoverageRequest(
        name=f"stores/{store}/vehicles/{vin_of(number)}",
        **{"component_group": vehicles_pb2.COMPONENT_GROUP_ENGINE} | fields,
    )
    token = aftersales.token("ROLE_WARRANTY_CLERK", store)
    return await aftersales.call("VehicleService/DecideCoverage", request, CoverageDecision, token=token)
