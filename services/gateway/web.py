"""The web application: the transcoded API, signing in, the survey page, health and the documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import orjson
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.api import bindings, descriptors, docs, openapi, problem
from gateway.api.guard import Guard
from gateway.api.transcoder import Transcoder, nothing_there
from gateway.survey_page.routes import router as survey_router
from kit.errors import DomainError, FieldViolation
from kit.rpc.client import Peer


class Context(Protocol):
    """What the web application needs of its process."""

    def peer(self, name: str) -> Peer:
        """The connection to a service."""
        ...


Readiness = Callable[[], Awaitable[Mapping[str, bool]]]
# A month of the whole group is copied with every answer; somebody waits for it once a month.
_SECONDS = dict.fromkeys(
    ("dealerloop.scoring.v1.MonthService.CloseMonth", "dealerloop.scoring.v1.MonthService.ReopenMonth"), 120.0
)


def create_app(
    ctx: Context,
    routers: Sequence[APIRouter] = (),
    *,
    larger: Callable[[str], int | None] = lambda _: None,
    ready: Readiness | None = None,
) -> FastAPI:
    """The ASGI application.

    Args:
        ctx: gives the connections to the services.
        routers: hand-written routes beside the contracts, such as signing in.
        larger: the limit in bytes of a path that takes more than any other body, and nothing for the others.
        ready: the parts that must work before traffic comes, by name; without it the process is ready at once.

    Raises:
        ContractError: a method has no access option, or an http annotation that cannot be served.
    """
    contracts = descriptors.load(descriptors.default_path().read_bytes())
    bound = bindings.read(contracts)
    document = openapi.document(bound, contracts)
    app = FastAPI(
        title="Dealerloop",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        exception_handlers={
            HTTPException: _http_problem,
            RequestValidationError: _validation_problem,
            DomainError: _domain_problem,
        },
    )
    # The API itself is answered before the routes of the pages: nearly every request is for it.
    app.add_middleware(lambda pages: Transcoder(bound, ctx.peer, seconds=_SECONDS, otherwise=pages))
    app.add_middleware(Guard, larger=larger)
    _add_fixed(app, "/openapi.json", orjson.dumps(document), "application/json")
    docs.add_routes(app, document)
    _add_health(app, ready)
    for each in (*routers, survey_router(ctx)):
        app.include_router(each)
    app.router.default = nothing_there
    return app


def _add_fixed(app: FastAPI, path: str, body: bytes, media_type: str) -> None:
    async def answer(_: Request) -> Response:
        return Response(body, media_type=media_type, headers={"Cache-Control": "public, max-age=300"})

    app.add_route(path, answer)


def _add_health(app: FastAPI, ready: Readiness | None) -> None:
    async def healthz(_: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def readyz(_: Request) -> Response:
        parts = await ready() if ready is not None else {}
        missing = sorted(name for name, works in parts.items() if not works)
        if missing:
            detail = f"Not ready: {', '.join(missing)}."
            return problem.Problem(503, "NOT_READY", detail, headers={"Retry-After": "1"}).response()
        return Response(orjson.dumps({"status": "ready", "parts": sorted(parts)}), media_type="application/json")

    app.add_route("/healthz", healthz)
    app.add_route("/readyz", readyz)


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = "" if error.status_code >= 500 else str(error.detail)  # noqa: PLR2004
    return problem.of_http(error.status_code, detail, error.headers).response()


async def _validation_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        FieldViolation(".".join(map(str, item["loc"][1:])) or "body", str(item["type"]).upper(), str(item["msg"]))
        for item in error.errors()
    ]
    return problem.bad_request(faults).response()


async def _domain_problem(_: Request, error: Exception) -> Response:
    return problem.of_error(error).response()
