"""REST to gRPC: one ASGI application for every method that the contracts expose."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache, partial
from typing import Any, NoReturn

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import problem
from gateway.api.bindings import Binding, Bindings
from gateway.api.encoding import to_json
from gateway.api.guard import ROUTE
from gateway.api.requests import BadRequest, build, fault, get_text, parse_json, parse_query
from gateway.api.templates import BadPath
from kit.errors import DomainError
from kit.log import log
from kit.rpc.client import Peer
from kit.rpc.status import PeerFailed

UNARY_SECONDS = 10.0
STREAM_SECONDS = 300.0
LONGEST_TOKEN = 48 * 1024
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.ASCII | re.IGNORECASE)
_JSON_TYPES = {"application/json", "application/merge-patch+json"}
_UTF8 = {"utf-8", "utf8", '"utf-8"'}


class Refused(Exception):
    """The request ends here with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class Transcoder:
    """Answers every request for a path of the contracts, and leaves any other to `otherwise`, or else says 404.

    `peer` gives the connection to a service; `seconds` the deadline of an RPC by its full proto name, where it is not
    the usual one.
    """

    def __init__(
        self,
        bindings: Bindings,
        peer: Callable[[str], Peer],
        *,
        seconds: Mapping[str, float] | None = None,
        otherwise: ASGIApp | None = None,
    ) -> None:
        self.bindings = bindings
        self._peer = peer
        self._seconds = dict(seconds or {})
        self._otherwise = otherwise or nothing_there

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request."""
        if scope["type"] != "http":
            await self._otherwise(scope, receive, send)
            return
        response = await self._answer(scope, receive)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        client_path: Callable[[str], str] = str
        try:
            found = self._find(scope)
            if found is None:
                return self._otherwise
            binding, variables = found
            client_path = partial(_client_path, binding)
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            token = None if binding.public else bearer(headers)
            body = await _read(receive)
            request = build(
                binding,
                variables,
                parse_query(scope.get("query_string", b"")),
                _json_body(binding, headers, body),
                headers,
            )
            if binding.streams:
                return await self._stream(binding, request, token, headers)
            reply = await self._peer(binding.service).call(
                binding.rpc_path[1:],
                request,
                binding.response,
                timeout=self._seconds.get(binding.method.full_name, UNARY_SECONDS),
                token=token,
            )
            return json_response(reply)
        except Refused as refused:
            return refused.response
        except BadRequest as bad:
            return problem.bad_request(bad.faults).response()
        except (DomainError, PeerFailed) as error:
            return problem.of_error(error, client_path).response()

    def _find(self, scope: Scope) -> tuple[Binding, dict[str, str]] | None:
        raw = scope.get("raw_path") or scope["path"].encode()
        verb = scope["method"]
        try:
            found = self.bindings.match(raw.decode("latin-1"))
        except BadPath as error:
            raise fault("path", "PATH_ENCODING", "must be percent-encoded UTF-8 without NUL and slash") from error
        if not found:
            return None
        chosen = found.get("GET" if verb == "HEAD" else verb)
        if chosen is None:
            _refuse_verb(found.keys(), verb)
        scope[ROUTE] = chosen[0].template.text
        return chosen

    async def _stream(
        self, binding: Binding, request: Message, token: str | None, headers: Mapping[str, str]
    ) -> Response:
        messages = self._peer(binding.service).stream(
            binding.rpc_path[1:],
            request,
            binding.response,
            timeout=self._seconds.get(binding.method.full_name, STREAM_SECONDS),
            token=token,
        )
        # The first message decides the status line: an error before it is an ordinary problem.
        first = await anext(messages, None)
        as_events = "text/event-stream" in headers.get("accept", "")
        frame = _event if as_events else _line
        media_type = "text/event-stream" if as_events else "application/x-ndjson"
        return StreamingResponse(_frames(first, messages, frame), media_type=media_type)


async def nothing_there(_scope: Scope, _receive: Receive, _send: Send) -> NoReturn:
    """The answer to a path that nobody knows."""
    raise HTTPException(404, "There is no such path in this API.")


def _client_path(binding: Binding, path: str) -> str:
    return binding.client_path(problem.json_path(path))


def _refuse_verb(allowed: Any, verb: str) -> NoReturn:
    names = sorted({*allowed, "OPTIONS", *(["HEAD"] if "GET" in allowed else [])})
    headers = {"Allow": ", ".join(names)}
    if verb == "OPTIONS":
        raise Refused(Response(status_code=204, headers=headers))
    raise Refused(problem.of_http(405, headers=headers).response())


def bearer(headers: Mapping[str, str]) -> str:
    """The token of the header Authorization, not yet verified.

    Raises:
        Refused: there is none, or it does not look like one.
    """
    given = headers.get("authorization")
    if given is None:
        raise Refused(
            problem.unauthenticated("Sign in at /v1/auth/token and send 'Authorization: Bearer …'.").response()
        )
    found = _BEARER.fullmatch(given) if len(given) <= LONGEST_TOKEN else None
    if found is None:
        raise Refused(problem.unauthenticated("The header Authorization must be 'Bearer' and a token.").response())
    return found[1]


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    pieces = [body]
    while message.get("more_body", False):
        message = await receive()
        pieces.append(message.get("body", b""))
    return b"".join(pieces)


def _json_body(binding: Binding, headers: Mapping[str, str], body: bytes) -> Any:
    if not body or binding.verb == "GET":
        return None
    media_type, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    charsets = [part[8:] for part in parameters if part.startswith("charset=")]
    if media_type not in _JSON_TYPES or any(charset not in _UTF8 for charset in charsets):
        answer = problem.of_http(415, "The body must be application/json in UTF-8.", {"Accept": "application/json"})
        raise Refused(answer.response())
    value = parse_json(body)
    if value is None:
        raise fault("body", "JSON_OBJECT", "must be an object")
    return value


def json_response(reply: Message, status: int = 200, more: Mapping[str, str] | None = None) -> Response:
    """The reply as JSON, with its etag as a header, and with these headers besides."""
    headers = dict(more or {})
    if _has_etag(reply.DESCRIPTOR):
        etag = get_text(reply, "etag")
        if etag:
            headers["ETag"] = etag if etag.startswith('"') else f'"{etag}"'
    return Response(to_json(reply), status, headers, "application/json")


@cache
def _has_etag(descriptor: Descriptor) -> bool:
    return "etag" in descriptor.fields_by_name


async def _frames(
    first: Message | None, rest: AsyncIterator[Message], frame: Callable[[str, bytes], bytes]
) -> AsyncIterator[bytes]:
    try:
        if first is None:
            return
        yield frame("result", to_json(first))
        async for message in rest:
            yield frame("result", to_json(message))
    except (DomainError, PeerFailed) as error:
        # The status line has gone: the error is the last frame, and says so.
        log.warning("stream.broken", error=type(error).__name__)
        yield frame("error", problem.of_error(error).body())


def _line(kind: str, document: bytes) -> bytes:
    return b'{"' + kind.encode() + b'":' + document + b"}\n"


def _event(kind: str, document: bytes) -> bytes:
    return (b"event: error\n" if kind == "error" else b"") + b"data: " + document + b"\n\n"
