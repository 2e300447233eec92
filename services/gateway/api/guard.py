"""What holds for every HTTP answer: a trace, security headers, a size limit, and no crash text."""

from __future__ import annotations

import time

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api import problem
from kit import telemetry
from kit.log import log

ROUTE = "dealerloop.route"
"""Key of the ASGI scope where the matched path template is left, for spans and metrics."""
MAX_BODY = 1024 * 1024
_SERVER_ERROR = 500
_SECONDS = telemetry.histogram(
    "dealerloop_http_server_seconds", "Duration of HTTP requests served", ("verb", "route", "status")
)
_VERBS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_IDS = RandomIdGenerator()


class Guard:
    """ASGI middleware around the whole application; `max_body` is in bytes."""

    def __init__(self, app: ASGIApp, max_body: int = MAX_BODY) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request inside a server span."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = {b"traceparent", b"tracestate"}
        carrier = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in sent}
        with telemetry.tracer().start_as_current_span(
            "http", context=telemetry.extract(carrier), kind=SpanKind.SERVER, record_exception=False
        ) as span:
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

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.max_body:
                raise HTTPException(413)
            return message

        async def hardened(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if _declared_size(scope) > self.max_body:
                raise HTTPException(413)  # noqa: TRY301 - the two ways to be too large end alike
            await self.app(scope, limited, hardened)
        except HTTPException as error:
            if status:
                raise
            too_large = f"The body must not be larger than {self.max_body} bytes." if error.status_code == 413 else ""  # noqa: PLR2004
            answer = problem.of_http(error.status_code, too_large or error.detail, error.headers)
            await answer.response()(scope, receive, hardened)
        except Exception as error:
            log.exception("http.failed", route=scope.get(ROUTE, ""))
            span.set_status(StatusCode.ERROR, type(error).__name__)
            if status:
                raise
            await problem.of_error(error).response()(scope, receive, hardened)
        finally:
            _observe(scope, span, status, time.perf_counter() - started)


def _observe(scope: Scope, span: Span, status: int, seconds: float) -> None:
    # Only names of a fixed set become labels: a path or a made-up method would be a new time series each.
    verb = scope["method"] if scope["method"] in _VERBS else "OTHER"
    route = scope.get(ROUTE) or getattr(scope.get("route"), "path", "") or "none"
    _SECONDS.labels(verb, route, str(status)).observe(seconds)
    span.update_name(f"{verb} {route}")
    if span.is_recording():
        span.set_attributes({"http.request.method": verb, "http.route": route, "http.response.status_code": status})
        if status >= _SERVER_ERROR:
            span.set_status(StatusCode.ERROR)


def _declared_size(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _with_own_trace() -> otel_context.Context:
    """A trace id for a process that has no tracing configured: a problem can still be found in the logs by it."""
    context = SpanContext(_IDS.generate_trace_id(), _IDS.generate_span_id(), is_remote=False)
    return trace.set_span_in_context(NonRecordingSpan(context))
