"""The gRPC edge of exclusions."""

from __future__ import annotations

from dealerloop.scoring.v1 import months_pb2 as pb
from kit.db.etag import etag_of
from kit.rpc import names
from kit.rpc.server import Call
from scoring.exclusions.service import Excluding, require
from scoring.grades.model import ResponseRow
from scoring.months import reading


class ResponseEdge:
    """Serves `ResponseService`."""

    def __init__(self, excluding: Excluding) -> None:
        self._excluding = excluding

    async def exclude_response(self, call: Call, request: pb.ExcludeResponseRequest) -> pb.ResponseCounting:
        """CARE-06."""
        return await self._decide(call, request, excluded=True)

    async def include_response(self, call: Call, request: pb.IncludeResponseRequest) -> pb.ResponseCounting:
        """CARE-06."""
        return await self._decide(call, request, excluded=False)

    async def get_response_counting(self, call: Call, request: pb.GetResponseCountingRequest) -> pb.ResponseCounting:
        """Whether a response counts, and where."""
        return await _to_message(call, await require(call.session, names.parse_id(request.name)))

    async def _decide(
        self, call: Call, request: pb.ExcludeResponseRequest | pb.IncludeResponseRequest, *, excluded: bool
    ) -> pb.ResponseCounting:
        row = await self._excluding.decide(
            call.session,
            names.parse_id(request.name),
            excluded=excluded,
            by=call.principal.id,
            reason=request.reason,
            etag=request.etag,
            now=call.now,
        )
        return await _to_message(call, row)


async def _to_message(call: Call, row: ResponseRow) -> pb.ResponseCounting:
    message = pb.ResponseCounting(
        name=f"stores/{row.store_id}/responses/{row.response_id}",
        month=row.month,
        excluded=row.excluded,
        reason=row.decision_reason,
        decider=row.decider,
        late=await reading.is_late(call.session, row.store_id, row.month, row.response_id),
        etag=etag_of(row.decision_version),
    )
    if row.decide_time is not None:
        message.decide_time.FromDatetime(row.decide_time)
    return message
