"""`POST …:import`: a list as a file, for every kind of list in the table."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dealerloop.imports.v1.imports_pb2 import CreateImportRequest
from dealership import stores
from dealership.roles import GRANTS
from gateway.api import problem
from gateway.api.requests import KEY, BadRequest, fault, parse_query
from gateway.api.transcoder import Refused, bearer
from gateway.imports import answers, form
from gateway.imports.sending import Sender
from gateway.imports.uploads import UPLOADS, Upload, is_upload
from gateway.settings import Settings
from kit.errors import DomainError, TooMany
from kit.rpc.access import authorise
from kit.rpc.client import Peer
from kit.rpc.status import PeerFailed
from kit.rpc.tokens import TokenVerifier


class Context(Protocol):
    """What the routes need of their process."""

    @property
    def verifier(self) -> TokenVerifier:
        """Says whose token it is."""
        ...

    def peer(self, name: str) -> Peer:
        """The connection to a service."""
        ...


class TooManyUploads(TooMany):
    """This process is busy with as many files as its disk is made for."""

    reason = "TOO_MANY_UPLOADS"


def router(ctx: Context, settings: Settings) -> APIRouter:
    """The routes of all uploads."""
    routes = APIRouter(include_in_schema=False)
    places = asyncio.Semaphore(settings.import_uploads)
    for upload in UPLOADS:
        endpoint = _Endpoint(upload, ctx, settings, places)
        routes.add_api_route(upload.path, endpoint.route(), methods=["POST"])
    return routes


def larger(settings: Settings) -> Callable[[str], int | None]:
    """The limit of a body by path: of an upload the file's and what the other parts may need."""
    most = settings.import_max_bytes + form.OTHER_PARTS
    return lambda path: most if is_upload(path) else None


class _Endpoint:
    def __init__(self, upload: Upload, ctx: Context, settings: Settings, places: asyncio.Semaphore) -> None:
        self._upload = upload
        self._ctx = ctx
        self._settings = settings
        self._places = places

    def route(self) -> Callable[[Request], Awaitable[Response]]:
        async def take(request: Request) -> Response:
            """Take the file and tell what became of it."""
            try:
                return await self._take(request)
            except Refused as refused:
                return refused.response
            except BadRequest as bad:
                return problem.bad_request(bad.faults).response()
            except (DomainError, PeerFailed) as error:
                return problem.of_error(error, answers.client_path).response()

        return take

    async def _take(self, request: Request) -> Response:
        token = bearer(request.headers)
        parent = self._upload.parent(request.path_params.get("store", ""))
        self._check_access(token, parent)
        key = _key(request)
        for name, _ in parse_query(request.scope["query_string"]):
            raise fault(name[:100], "UNKNOWN_PARAMETER", "is not a query parameter of this method")
        await self._check_store(request.path_params.get("store", ""))
        if self._places.locked():
            raise TooManyUploads("too many files are arriving at once", retry_after=timedelta(seconds=2))
        sender = Sender(self._upload, self._ctx.peer(self._upload.service), token)
        async with self._places:
            try:
                async with asyncio.timeout(self._settings.import_upload_seconds), form.read(request) as sent:
                    if sent.size > self._settings.import_max_bytes:
                        words = f"The file must not be larger than {self._settings.import_max_bytes} bytes."
                        raise HTTPException(413, words)
                    found = await sender.send(parent, sent, key)
            except TimeoutError as error:
                raise HTTPException(408, "The file did not arrive in time.") from error
        return answers.of_import(await sender.wait(found, self._settings.import_wait_seconds))

    def _check_access(self, token: str, parent: str) -> None:
        """What the service will decide again: nobody sends a large file to learn at its end that he may not."""
        principal = self._ctx.verifier.verify(token)
        authorise(self._upload.rule, principal, CreateImportRequest(parent=parent), GRANTS)

    async def _check_store(self, store: str) -> None:
        """A role of the whole group holds in every store, also in one that there is not."""
        if self._upload.of_store:
            await stores.ask(self._ctx.peer("gateway"), store)


def _key(request: Request) -> str:
    key = request.headers.get("idempotency-key")
    if key is not None and not KEY.fullmatch(key):
        raise fault("Idempotency-Key", "HEADER_FORMAT", "must be 1 to 64 printable characters")
    return key or ""
