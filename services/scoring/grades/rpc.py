"""The gRPC edge of grades."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from dealerloop.scoring.v1 import grades_pb2 as pb
from dealership.stores import get_store
from kit.rpc import names
from kit.rpc.client import Peer
from kit.rpc.server import Call
from scoring.frame import service as frame
from scoring.grades import rules, service
from scoring.grades.values import Tally
from scoring.models.rules import choose
from scoring.models.service import ModelCatalogue
from scoring.models.values import SatisfactionModel
from scoring.settings import Settings


class GradeEdge:
    """Serves `GradeService`."""

    def __init__(self, catalogue: ModelCatalogue, gateway: Peer, settings: Settings) -> None:
        self._catalogue = catalogue
        self._gateway = gateway
        self._settings = settings

    async def get_grade(self, call: Call, request: pb.GetGradeRequest) -> pb.Grade:
        """A store's live grade of a month; a month without answers shows the models in force with n = 0."""
        month = names.parse(request.name, "stores/{store}/grades/{month}")["month"]
        store = await get_store(call.session, self._gateway, call.store_id)
        cells = await service.store_tallies(call.session, call.store_id, month)
        sample_frame, answered = await frame.coverage(call.session, call.store_id, month)
        grade = pb.Grade(name=request.name, sample_frame=sample_frame, answered=answered)
        if sample_frame:
            grade.response_rate = answered / sample_frame
        for model in await self._models(call, cells, _end_of(month, store.time_zone)):
            tallies = cells.get((model.code, model.version), {})
            consultants = await service.consultant_tallies(call.session, call.store_id, month, model) if tallies else {}
            grade.models.append(self._model_grade(call.store_id, model, tallies, consultants))
        return grade

    async def _models(
        self, call: Call, cells: dict[tuple[str, int], dict[str, Tally]], end: datetime
    ) -> list[SatisfactionModel]:
        found = []
        for code in await self._catalogue.codes(call.session):
            versions = await self._catalogue.versions(call.session, code)
            with_answers = [model for model, _ in versions if (model.code, model.version) in cells]
            found += with_answers or [choose(versions, end)]
        return found

    def _model_grade(
        self, store_id: str, model: SatisfactionModel, tallies: dict[str, Tally], consultants: dict[str, Tally]
    ) -> pb.ModelGrade:
        index = tallies.get(model.index_code, Tally())
        grade = pb.ModelGrade(
            satisfaction_model_version=model.name,
            index=_score(model, model.index_code, index),
            provisional=rules.provisional(model, index),
            minimum_sample=model.minimum_sample,
        )
        if index.n:
            grade.index.index_points = rules.index_points(index) or 0.0
        for factor in model.factors:
            grade.factors.append(_score(model, factor.code, tallies.get(factor.code, Tally())))
            for indicator in factor.indicators:
                tally = tallies.get(indicator.code, Tally())
                score = _score(model, indicator.code, tally)
                if tally.n:
                    score.top_box = rules.share(tally.top, tally) or 0.0
                    score.bottom_box = rules.share(tally.bottom, tally) or 0.0
                grade.indicators.append(score)
        for consultant_id, tally in consultants.items():
            if tally.n >= self._settings.consultant_minimum:
                grade.consultants.add(
                    consultant=f"stores/{store_id}/staff/{consultant_id}",
                    index=_score(model, model.index_code, tally),
                    small_sample=tally.n < self._settings.consultant_small,
                )
        return grade


def _score(model: SatisfactionModel, code: str, tally: Tally) -> pb.Score:
    score = pb.Score(code=code, titles=model.titles_by_code[code], n=tally.n)
    mean, deviation = rules.mean(tally), rules.standard_deviation(tally)
    if mean is not None:
        score.mean = mean
    if deviation is not None:
        score.standard_deviation = deviation
    return score


def _end_of(month: str, zone: ZoneInfo) -> datetime:
    """The first moment after the store-local month."""
    first = date.fromisoformat(f"{month}-01")
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return datetime.combine(following, time(), tzinfo=zone).astimezone(UTC)
