"""Grades and scores in their public form, from whatever sums they are read."""

from __future__ import annotations

from collections.abc import Mapping

from dealerloop.scoring.v1 import grades_pb2 as pb
from dealership.stores import get_store
from kit.rpc.client import Peer
from kit.rpc.server import Call
from scoring.grades import rules
from scoring.grades.tallies import ByModel, Sums
from scoring.grades.values import Tally
from scoring.models.rules import choose
from scoring.models.service import ModelCatalogue
from scoring.models.values import SatisfactionModel
from scoring.months.rules import end_of
from scoring.settings import Settings


class Showing:
    """Makes `Grade` messages of a store's sums."""

    def __init__(self, catalogue: ModelCatalogue, gateway: Peer, settings: Settings) -> None:
        self._catalogue = catalogue
        self._gateway = gateway
        self._settings = settings

    async def grade(self, call: Call, month: str, sums: Sums, sample_frame: int, answered: int) -> pb.Grade:
        """The scores and coverage; a month without answers shows the models in force at its end with n = 0."""
        grade = pb.Grade(sample_frame=sample_frame, answered=answered)
        if sample_frame:
            grade.response_rate = answered / sample_frame
        by_model = await sums.by_model(call.session)
        for model in await self._models(call, by_model, month):
            tallies = by_model.get((model.code, model.version), {})
            consultants = await sums.by_consultant(call.session, model) if tallies else {}
            grade.models.append(self._model_grade(call.store_id, model, tallies, consultants))
        return grade

    async def _models(self, call: Call, by_model: ByModel, month: str) -> list[SatisfactionModel]:
        store = await get_store(call.session, self._gateway, call.store_id)
        end = end_of(month, [store.time_zone])
        found = []
        for code in await self._catalogue.codes(call.session):
            versions = await self._catalogue.versions(call.session, code)
            with_answers = [model for model, _ in versions if (model.code, model.version) in by_model]
            found += with_answers or [choose(versions, end)]
        return found

    def _model_grade(
        self, store_id: str, model: SatisfactionModel, tallies: Mapping[str, Tally], consultants: Mapping[str, Tally]
    ) -> pb.ModelGrade:
        index = tallies.get(model.index_code, Tally())
        grade = pb.ModelGrade(
            satisfaction_model_version=model.name,
            index=index_score(model, index),
            provisional=rules.provisional(model, index),
            minimum_sample=model.minimum_sample,
        )
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
            # Nobody is the consultant of a delivery from a list that names none: it counts for the store alone.
            if consultant_id and tally.n >= self._settings.consultant_minimum:
                grade.consultants.add(
                    consultant=f"stores/{store_id}/staff/{consultant_id}",
                    index=_score(model, model.index_code, tally),
                    small_sample=tally.n < self._settings.consultant_small,
                )
        return grade


def index_score(model: SatisfactionModel, tally: Tally) -> pb.Score:
    """The index, with its points."""
    score = _score(model, model.index_code, tally)
    if tally.n:
        score.index_points = rules.index_points(tally) or 0.0
    return score


def _score(model: SatisfactionModel, code: str, tally: Tally) -> pb.Score:
    score = pb.Score(code=code, titles=model.titles_by_code[code], n=tally.n)
    mean, deviation = rules.mean(tally), rules.standard_deviation(tally)
    if mean is not None:
        score.mean = mean
    if deviation is not None:
        score.standard_deviation = deviation
    return score
