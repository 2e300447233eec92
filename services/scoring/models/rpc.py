"""The gRPC edge of satisfaction models."""

from __future__ import annotations

from datetime import datetime

from dealerloop.scoring.v1 import models_pb2 as pb
from kit.db.paging import decode_token, encode_token, page_size, query_hash, split
from kit.rpc import names
from kit.rpc.server import Call
from scoring.models.service import ModelCatalogue
from scoring.models.values import SatisfactionModel


class SatisfactionModelEdge:
    """Serves `SatisfactionModelService`."""

    def __init__(self, catalogue: ModelCatalogue) -> None:
        self._catalogue = catalogue

    async def get_satisfaction_model_version(
        self, call: Call, request: pb.GetSatisfactionModelVersionRequest
    ) -> pb.SatisfactionModelVersion:
        """One version."""
        parts = names.parse(request.name, "satisfactionModels/{model}/versions/{version}")
        model, publish_time = await self._catalogue.get(call.session, parts["model"], int(parts["version"]))
        return to_message(model, publish_time)

    async def list_satisfaction_model_versions(
        self, call: Call, request: pb.ListSatisfactionModelVersionsRequest
    ) -> pb.ListSatisfactionModelVersionsResponse:
        """The versions of a model, newest first."""
        code = names.parse(request.parent, "satisfactionModels/{model}")["model"]
        versions = await self._catalogue.require(call.session, code)
        binding = query_hash("satisfactionModels", code)
        token = decode_token(request.page_token, binding)
        before = int(str(token[0])) if token else None
        rest = [one for one in versions if before is None or one[0].version < before]
        shown, last = split(rest, page_size(request.page_size))
        return pb.ListSatisfactionModelVersionsResponse(
            satisfaction_model_versions=[to_message(*one) for one in shown],
            next_page_token=encode_token([last[0].version], binding) if last else "",
        )


def to_message(model: SatisfactionModel, publish_time: datetime) -> pb.SatisfactionModelVersion:
    """The public form of a version."""
    message = pb.SatisfactionModelVersion(
        name=model.name, titles=model.titles, source=model.source, minimum_sample=model.minimum_sample
    )
    message.publish_time.FromDatetime(publish_time)
    for factor in model.factors:
        added = message.factors.add(code=factor.code, titles=factor.titles, weight=factor.weight)
        for one in factor.indicators:
            added.indicators.add(
                code=one.code, titles=one.titles, weight=one.weight, weight_to_be_set=one.weight_to_be_set
            )
    return message
