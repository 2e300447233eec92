"""Whoever lost its copy of the responses gets every one of them as its event told it."""

from __future__ import annotations

from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from dealerloop.customer_care.events.v1.projections_pb2 import (
    ListResponsesForProjectionRequest,
    ListResponsesForProjectionResponse,
)
from dealerloop.customer_care.v1 import surveys_pb2 as pb
from tests.support.care_desk import CareDesk, overall
from tests.support.deliveries import recorded

_METHOD = "dealerloop.customer_care.events.v1.ResponseProjectionService/ListResponsesForProjection"


async def test_the_snapshot_tells_every_response_as_its_event_did(care: CareDesk) -> None:
    await care.deliveries(recorded())
    [survey] = await care.surveys()
    await care.submit(
        survey.name,
        overall(5),
        pb.Answer(question="SSI.INIT.GREETED", mark=7),
        pb.Answer(question="SSI.COMMENT", text="好"),
    )

    request = ListResponsesForProjectionRequest()
    stream = care.peer.stream(_METHOD, request, ListResponsesForProjectionResponse, timeout=10)
    answers = [answer.response async for answer in stream]

    assert answers == await care.told(ResponseSubmitted)
    assert "好" not in str(answers)
