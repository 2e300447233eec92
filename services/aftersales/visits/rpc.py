"""gRPC edge of workshop visits."""

from __future__ import annotations

from datetime import timedelta

from aftersales.visits import rules, service
from aftersales.visits.model import WorkshopVisit
from dealerloop.aftersales.v1 import vehicles_pb2
from dealerloop.aftersales.v1.vehicles_pb2 import (
    CreateWorkshopVisitRequest,
    GetWorkshopVisitRequest,
    ListWorkshopVisitsRequest,
    ListWorkshopVisitsResponse,
)
from dealership import vin
from dealership.stores import get_store
from kit.db.paging import decode_token, encode_token, page_size, query_hash
from kit.rpc import names
from kit.rpc.carry import carry
from kit.rpc.client import Peer
from kit.rpc.server import Call

NAME = "stores/{store}/workshopVisits/{visit}"
LARGEST_PAGE = 200
CLOCK_SKEW = timedelta(minutes=5)


class WorkshopVisitEdge:
    """`WorkshopVisitService`."""

    def __init__(self, gateway: Peer) -> None:
        self._gateway = gateway

    async def create_workshop_visit(
        self, call: Call, request: CreateWorkshopVisitRequest
    ) -> vehicles_pb2.WorkshopVisit:
        """Record a finished visit."""
        store = await get_store(call.session, self._gateway, call.store_id)
        draft = rules.read(request.workshop_visit, today=store.local_date(call.now + CLOCK_SKEW))
        return message(await service.record(call.session, store.id, draft, call.now))

    async def get_workshop_visit(self, call: Call, request: GetWorkshopVisitRequest) -> vehicles_pb2.WorkshopVisit:
        """Return one visit."""
        return message(await service.load(call.session, call.store_id, names.parse_id(request.name)))

    async def list_workshop_visits(self, call: Call, request: ListWorkshopVisitsRequest) -> ListWorkshopVisitsResponse:
        """Return one page, newest first."""
        vehicle = vin.parse(request.vin)[0] if request.vin else None
        size = page_size(request.page_size, largest=LARGEST_PAGE)
        query = query_hash("workshopVisits", call.store_id, vehicle)
        found, last = await service.page(
            call.session, call.store_id, vin=vehicle, after=decode_token(request.page_token, query), size=size
        )
        return ListWorkshopVisitsResponse(
            workshop_visits=[message(visit) for visit in found],
            next_page_token=encode_token((last.visit_date, last.id), query) if last else "",
        )


def message(visit: WorkshopVisit) -> vehicles_pb2.WorkshopVisit:
    """Return the resource."""
    return carry(
        visit,
        vehicles_pb2.WorkshopVisit,
        name=names.format_name(NAME, store=visit.store_id, visit=visit.id),
    )
