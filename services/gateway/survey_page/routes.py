"""`GET|POST /s/{token}`: the token of the link is the only permission."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Protocol

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dealerloop.customer_care.v1.surveys_pb2 import (
    GetPublicSurveyRequest,
    PublicSurvey,
    SubmitPublicSurveyRequest,
    Survey,
)
from gateway.api import problem
from gateway.api.requests import BadRequest, parse_query
from gateway.survey_page import form, page
from gateway.survey_page.form import Sent
from gateway.survey_page.texts import TEXTS, language
from kit.errors import Conflict, DomainError, InvalidArgument, NotFound, PermissionDenied, Unavailable
from kit.ids import new_id
from kit.rpc.client import Peer

_SECONDS = 10.0
_SERVICE = "dealerloop.customer_care.v1.SurveyService"
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,200}", re.ASCII)
_CLOSED = {
    Survey.STATE_SUBMITTED: ("used", "SURVEY_ALREADY_SUBMITTED"),
    Survey.STATE_CANCELLED: ("cancelled", "SURVEY_CANCELLED"),
    Survey.STATE_EXPIRED: ("expired", "SURVEY_EXPIRED"),
}
_BY_REASON = {reason: kind for kind, reason in _CLOSED.values()}


class Peers(Protocol):
    """Gives the connection to a service."""

    def peer(self, name: str) -> Peer:
        """The connection to one service."""
        ...


def router(ctx: Peers) -> APIRouter:
    """The route of the page."""
    routes = APIRouter(include_in_schema=False)

    # One route for all methods, so that the answer to any other method names them all.
    @routes.api_route("/s/{token}", methods=["GET", "HEAD", "POST"])
    async def survey(token: str, request: Request) -> Response:
        """Show the questions, or take the answers."""
        try:
            if not _TOKEN.fullmatch(token):
                raise NotFound("The link is not valid.")
            peer = ctx.peer("customer_care")
            if request.method == "POST":
                return await _submit(peer, token, await _pairs(request), request)
            return await _show(peer, token, request)
        except BadRequest as bad:
            return _refused(request, problem.bad_request(bad.faults))
        except DomainError as error:
            return _failed(request, error)
        except HTTPException as error:
            return _refused(request, problem.of_http(error.status_code, error.detail))

    return routes


async def _pairs(request: Request) -> list[tuple[str, str]]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise HTTPException(415, "The body must be application/x-www-form-urlencoded.")
    return parse_query(await request.body())


async def _show(peer: Peer, token: str, request: Request) -> Response:
    found = await _get(peer, token)
    return page.survey(found, _language(request), Sent()) if _is_open(found) else _closed(request, found)


async def _submit(peer: Peer, token: str, pairs: list[tuple[str, str]], request: Request) -> Response:
    found = await _get(peer, token)
    if not _is_open(found):
        return _closed(request, found)
    sent = form.read(found.questionnaire.questions, pairs)
    if sent.faults:
        return _wrong(request, found, sent)
    # The request id makes our own repetition safe; the link itself works once, whoever sends it again.
    message = SubmitPublicSurveyRequest(token=token, answers=sent.answers, request_id=str(new_id()))
    try:
        await peer.call(f"{_SERVICE}/SubmitPublicSurvey", message, PublicSurvey, timeout=_SECONDS)
    except InvalidArgument as error:
        refused = form.refused(sent, error.violations)
        if not refused.faults:
            raise
        return _wrong(request, found, refused)
    # That a case was opened for low marks is the store's business; who complains is told what happens next.
    kind = "complained" if form.complains(found.questionnaire.questions, sent) else "thanks"
    return page.message(kind, _language(request), HTTPStatus.OK)


async def _get(peer: Peer, token: str) -> PublicSurvey:
    message = GetPublicSurveyRequest(token=token)
    return await peer.call(f"{_SERVICE}/GetPublicSurvey", message, PublicSurvey, timeout=_SECONDS)


def _is_open(found: PublicSurvey) -> bool:
    return found.state == Survey.STATE_OPEN


def _closed(request: Request, found: PublicSurvey) -> Response:
    kind, reason = _CLOSED.get(found.state, ("unknown", "SURVEY_LINK_INVALID"))
    answer = problem.Problem(HTTPStatus.GONE, reason, TEXTS["en"][kind])
    return answer.response() if _wants_json(request) else page.message(kind, _language(request), answer.status)


def _wrong(request: Request, found: PublicSurvey, sent: Sent) -> Response:
    lang = _language(request)
    if _wants_json(request):
        return problem.bad_request(sent.violations(dict(TEXTS[lang])), "SURVEY_ANSWERS_INVALID").response()
    return page.survey(found, lang, sent, HTTPStatus.BAD_REQUEST)


def _failed(request: Request, error: DomainError) -> Response:
    answer = problem.of_error(error)
    if isinstance(error, (InvalidArgument, PermissionDenied)):
        # What is wrong can only be the token: to the visitor, a link that does not exist.
        answer = problem.Problem(HTTPStatus.NOT_FOUND, error.reason, error.message)
    if _wants_json(request):
        return answer.response()
    kind = "unknown"
    if isinstance(error, Conflict):
        kind = _BY_REASON.get(error.reason, "used")
    elif isinstance(error, Unavailable):
        kind = "busy"
    response = page.message(kind, _language(request), answer.status)
    response.headers.update(answer.headers)
    return response


def _refused(request: Request, answer: problem.Problem) -> Response:
    return answer.response() if _wants_json(request) else page.message("invalid", _language(request), answer.status)


def _language(request: Request) -> str:
    return language(request.query_params.get("lang"), request.headers.get("accept-language", ""))


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "").lower()
    return "json" in accept and "text/html" not in accept
