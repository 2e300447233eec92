"""gRPC edge of daily hand-overs."""

from __future__ import annotations

from dealerloop.sales.v1 import handovers_pb2
from dealerloop.sales.v1.handovers_pb2 import (
    GetDailyHandoverRequest,
    ListDailyHandoversRequest,
    ListDailyHandoversResponse,
    ReportDailyHandoverRequest,
)
from dealership.stores import get_store
from kit.db.etag import etag_of
from kit.db.paging import decode_token, encode_token, page_size, query_hash
from kit.rpc import names
from kit.rpc.carry import carry
from kit.rpc.client import Peer
from kit.rpc.server import Call
from sales.handovers.service import DailyHandovers, DayView, Given

NAME = "stores/{store}/dailyHandovers/{date}"
LARGEST_PAGE = 200


class DailyHandoverEdge:
    """`DailyHandoverService`."""

    def __init__(self, handovers: DailyHandovers, gateway: Peer) -> None:
        self._handovers = handovers
        self._gateway = gateway

    async def report_daily_handover(
        self, call: Call, request: ReportDailyHandoverRequest
    ) -> handovers_pb2.DailyHandover:
        """Take the report of a day."""
        store = await get_store(call.session, self._gateway, call.store_id)
        sent = request.daily_handover
        given = Given(
            date=sent.date,
            reported=sent.reported_deliveries if sent.HasField("reported_deliveries") else None,
            note=sent.note,
            etag=sent.etag,
            reporter=call.principal.id,
        )
        return _message(await self._handovers.report(call.session, store, given, call.now))

    async def get_daily_handover(self, call: Call, request: GetDailyHandoverRequest) -> handovers_pb2.DailyHandover:
        """Return one day, with the deliveries that are recorded now."""
        store = await get_store(call.session, self._gateway, call.store_id)
        day = names.parse(request.name, NAME)["date"]
        return _message(await self._handovers.get(call.session, store, day, call.now))

    async def list_daily_handovers(self, call: Call, request: ListDailyHandoversRequest) -> ListDailyHandoversResponse:
        """Return one page, the latest day first."""
        store = await get_store(call.session, self._gateway, call.store_id)
        size = page_size(request.page_size, largest=LARGEST_PAGE)
        query = query_hash("dailyHandovers", store.id)
        after = decode_token(request.page_token, query)
        views, last = await self._handovers.page(call.session, store, after=after, size=size, now=call.now)
        return ListDailyHandoversResponse(
            daily_handovers=[_message(view) for view in views],
            next_page_token=encode_token((last.date,), query) if last else "",
        )


def _message(view: DayView) -> handovers_pb2.DailyHandover:
    name = names.format_name(NAME, store=view.store_id, date=view.date.isoformat())
    return carry(view, handovers_pb2.DailyHandover, name=name, etag=etag_of(view.version))
