"""The gRPC edge of surveys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from customer_care.resources import delivery_filter, delivery_name
from customer_care.surveys.catalogue import QuestionnaireCatalogue
from customer_care.surveys.links import SurveyLinks
from customer_care.surveys.service import Filter, PublicView, Submission, Surveys, SurveyView
from customer_care.surveys.values import Answers, Given, InterviewMode, QuestionnaireVersion, SurveyState
from dealerloop.customer_care.v1 import surveys_pb2 as pb
from kit.db.etag import etag_of
from kit.rpc import names
from kit.rpc.carry import carry, values
from kit.rpc.server import Call

_SURVEY = "stores/{store}/surveys/{survey}"


class SurveyEdge:
    """Serves `SurveyService`."""

    def __init__(self, surveys: Surveys, questionnaires: QuestionnaireCatalogue, links: SurveyLinks) -> None:
        self._surveys = surveys
        self._questionnaires = questionnaires
        self._links = links

    async def get_survey(self, call: Call, request: pb.GetSurveyRequest) -> pb.Survey:
        """One survey with its answers."""
        return self._message(await self._surveys.get(call.session, *_key(request.name), call.now))

    async def list_surveys(self, call: Call, request: pb.ListSurveysRequest) -> pb.ListSurveysResponse:
        """A store's surveys, newest first."""
        state = values(request, "state")["state"]
        wanted = Filter(
            store_id=call.store_id,
            delivery_id=delivery_filter(request.delivery, call.store_id),
            state=SurveyState(state) if state else None,
        )
        views, token = await self._surveys.page(call.session, wanted, request.page_size, request.page_token, call.now)
        return pb.ListSurveysResponse(surveys=[self._message(view) for view in views], next_page_token=token)

    async def submit_survey(self, call: Call, request: pb.SubmitSurveyRequest) -> pb.Survey:
        """The answers that a specialist keyed in."""
        mode = InterviewMode(values(request, "mode")["mode"])
        submission = Submission(_given(request.answers), mode, call.principal.id, request.etag)
        return self._message(await self._surveys.submit(call.session, *_key(request.name), submission, call.now))

    async def get_questionnaire_version(
        self, call: Call, request: pb.GetQuestionnaireVersionRequest
    ) -> pb.QuestionnaireVersion:
        """One version of a questionnaire."""
        parts = names.parse(request.name, "questionnaires/{questionnaire}/versions/{version}")
        version = await self._questionnaires.get(call.session, parts["questionnaire"], int(parts["version"]))
        return questionnaire_message(version)

    async def get_public_survey(self, call: Call, request: pb.GetPublicSurveyRequest) -> pb.PublicSurvey:
        """What the page of a link shows."""
        return _public_message(await self._surveys.public(call.session, request.token, call.now))

    async def submit_public_survey(self, call: Call, request: pb.SubmitPublicSurveyRequest) -> pb.PublicSurvey:
        """The answers of the page."""
        answers = _given(request.answers)
        return _public_message(await self._surveys.submit_public(call.session, request.token, answers, call.now))

    def _message(self, view: SurveyView) -> pb.Survey:
        survey = view.survey
        return carry(
            survey,
            pb.Survey,
            name=f"stores/{survey.store_id}/surveys/{survey.id}",
            delivery=delivery_name(survey.store_id, survey.delivery_id),
            questionnaire_version=survey.questionnaire_name,
            state=view.state,
            public_path=self._links.path(survey.id) if view.state is SurveyState.OPEN else "",
            mode=view.mode,
            answers=list(_answers(view.answers)) if view.answers is not None else [],
            vin=view.plan.vin,
            complaint=f"stores/{survey.store_id}/complaints/{view.complaint_id}" if view.complaint_id else "",
            etag=etag_of(survey.version),
        )


def questionnaire_message(version: QuestionnaireVersion) -> pb.QuestionnaireVersion:
    """The public form of a questionnaire."""
    questions = [carry(question, pb.Question) for question in version.questions]
    factors = [carry(factor, pb.QuestionnaireFactor) for factor in version.factors]
    return carry(version, pb.QuestionnaireVersion, questions=questions, factors=factors)


def _public_message(view: PublicView) -> pb.PublicSurvey:
    return pb.PublicSurvey(
        state=f"STATE_{view.state.name}",
        questionnaire=questionnaire_message(view.questionnaire),
        store_display_name=view.store.display_name,
        series=view.plan.series,
        delivery_date=view.plan.delivery_date.isoformat(),
    )


def _answers(answers: Answers) -> Iterator[pb.Answer]:
    for question, mark in answers.marks.items():
        yield pb.Answer(question=question, mark=mark)
    for question, text in answers.texts.items():
        yield pb.Answer(question=question, text=text)


def _given(answers: Iterable[pb.Answer]) -> list[Given]:
    return [
        Given(
            answer.question,
            answer.mark if answer.HasField("mark") else None,
            answer.text if answer.HasField("text") else None,
        )
        for answer in answers
    ]


def _key(name: str) -> tuple[str, UUID]:
    parts = names.parse(name, _SURVEY)
    return parts["store"], names.parse_id(parts["survey"])
