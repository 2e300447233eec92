"""What holds for every HTTP answer: a trace, security headers, a size limit, and no crash text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cache

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api import problem
from kit import telemetry
from kit.log import log
from kit.rpc import failures

ROUTE = "dealerloop.route"
"""Key of the ASGI scope where the matched path template is left, for spans and metrics."""
MAX_BODY = 1024 * 1024
_SERVER_ERROR = 500
_SECONDS = telemetry.histogram(
    "dealerloop_http_server_seconds", "Duration of HTTP requests served", ("verb", "route", "status")
)
_seconds = cache(_SECONDS.labels)
_VERBS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
_TRACE_HEADERS = {name.encode() for name in telemetry.TRACE_HEADERS}
_IDS = RandomIdGenerator()


class Guard:
    """ASGI middleware around the whole application.

    `max_body` is in bytes; `larger` gives the limit of a path that takes more, and nothing for any other.
    """

    def __init__(
        self, app: ASGIApp, max_body: int = MAX_BODY, larger: Callable[[str], int | None] = lambda _: None
    ) -> None:
        self.app = app
        self.max_body = max_body
        self.larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request inside a server span."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"] if name in _TRACE_HEADERS]
        with telemetry.span("http", SpanKind.SERVER, telemetry.extract(dict(sent))) as span:
            made_up = None if span.get_span_context().is_valid else otel_context.attach(_with_own_trace())
            try:
                await self._serve(scope, receive, send, span)
            finally:
                if made_up is not None:
                    otel_context.detach(made_up)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        started = time.perf_counter()
        status = 0
        size = 0
        most = self.larger(scope["path"]) or self.max_body

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                raise _too_large(most)
            return message

        async def hardened(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _hardened(message.get("headers", ()))
            await send(message)

        try:
            if _declared_size(scope) > most:
                raise _too_large(most)  # noqa: TRY301 - the two ways to be too large end alike
            await self.app(scope, limited, hardened)
        except HTTPException as error:
            if status:
                raise
            answer = problem.of_http(error.status_code, error.detail, error.headers)
            await answer.response()(scope, receive, hardened)
        except Exception as failure:
            answer = problem.of_error(_noted(failure, scope.get(ROUTE, "")))
            span.set_status(StatusCode.ERROR, type(failure).__name__)
            if status:
                raise
            await answer.response()(scope, receive, hardened)
        finally:
            _observe(scope, span, status, time.perf_counter() - started)


def _noted(failure: Exception, route: str) -> Exception:
    """The failure as it is told, once the log has it: a database that is away is not our fault, and comes back."""
    if failures.will_pass(failure):
        log.warning("http.database_unavailable", route=route, sqlstate=failures.sqlstate(failure))
        return failures.DatabaseUnavailable()
    log.exception("http.failed", route=route)
    return failure


def _observe(scope: Scope, span: Span, status: int, seconds: float) -> None:
    # Only names of a fixed set become labels: a path or a made-up method would be a new time series each.
    verb = scope["method"] if scope["method"] in _VERBS else "OTHER"
    route = scope.get(ROUTE) or getattr(scope.get("route"), "path", "") or "none"
    _seconds(verb, route, str(status)).observe(seconds)
    if span.is_recording():
        span.update_name(f"{verb} {route}")
        span.set_attributes({"http.request.method": verb, "http.route": route, "http.response.status_code": status})
        if status >= _SERVER_ERROR:
            span.set_status(StatusCode.ERROR)


def _hardened(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The answer's headers; what it says itself is not overruled."""
    own = list(headers)
    said = {name.lower() for name, _ in own}
    return own + [header for header in _HEADERS.items() if header[0] not in said]


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"The body must not be larger than {most} bytes.")


def _declared_size(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _with_own_trace() -> otel_context.Context:
    """A trace id for a process that has no tracing configured: a problem can still be found in the logs by it."""
    context = SpanContext(_IDS.generate_trace_id(), _IDS.generate_span_id(), is_remote=False)
    return trace.set_span_in_context(NonRecordingSpan(context))
