"""Errors of the public API: RFC 9457 problem+json, whatever went wrong and wherever."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from kit import telemetry
from kit.errors import DomainError, FieldViolation, Kind

MEDIA_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="dealerloop"'
_OUT_OF_TIME = "DEADLINE_EXCEEDED"
_TYPE = "urn:dealerloop:problem:"
_QUOTED_OR_SNAKE = re.compile(r'"(?:[^"\\]|\\.)*"|_+([a-z0-9])')
_WRITTEN = {"vin": "VIN", "etag": "ETag", "follow up": "follow-up"}
_NO_TEXT = "Something went wrong on our side; the trace id finds it in the logs."


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: `reason` is for programs and stable, `detail` for people, `errors` name fields as clients do.

    The keys of `metadata` are told in camelCase, as all names in the JSON are.
    """

    status: int
    reason: str
    detail: str = ""
    errors: Sequence[FieldViolation] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The JSON members."""
        document: dict[str, Any] = {
            "type": _TYPE + self.reason.lower().replace("_", "-"),
            "title": _title(self.reason),
            "status": self.status,
            "detail": self.detail or HTTPStatus(self.status).phrase,
            "reason": self.reason,
            "errors": [{"field": at, "rule": rule, "message": message} for at, rule, message in self.errors],
            "trace_id": telemetry.trace_id(),
        }
        if self.metadata:
            document["metadata"] = {json_path(key): value for key, value in self.metadata.items()}
        return document

    def body(self) -> bytes:
        """The document as UTF-8 JSON."""
        return orjson.dumps(self.document())

    def response(self) -> Response:
        """The whole answer."""
        return Response(self.body(), self.status, dict(self.headers), MEDIA_TYPE)


def _title(reason: str) -> str:
    """The reason as people write it: `VIN_ALREADY_DELIVERED` is `VIN already delivered`."""
    words = reason.replace("_", " ").lower()
    for plain, written in _WRITTEN.items():
        words = re.sub(rf"\b{plain}\b", written, words)
    return words[0].upper() + words[1:]


def bad_request(errors: Sequence[FieldViolation], reason: str = "INVALID_REQUEST") -> Problem:
    """A request that cannot be understood; the detail repeats the first fault for people who read one line."""
    first = errors[0]
    return Problem(400, reason, f"{first.field} {first.description}", errors)


def unauthenticated(detail: str) -> Problem:
    """No token, or one that does not look like one."""
    return Problem(401, "UNAUTHENTICATED", detail, headers={"WWW-Authenticate": CHALLENGE})


def of_http(status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> Problem:
    """A problem that plain HTTP words describe: not found, method not allowed, too large."""
    allowed = (headers or {}).get("Allow")
    if status == HTTPStatus.METHOD_NOT_ALLOWED and allowed:
        detail = f"This path takes {allowed}."
    return Problem(status, http_reason(status), detail, headers=headers or {})


def http_reason(status: int) -> str:
    """The reason that a bare HTTP status stands for, such as `NOT_FOUND`."""
    # Python has renamed this one between versions; a reason must not change.
    return "BODY_TOO_LARGE" if status == 413 else HTTPStatus(status).name  # noqa: PLR2004


def of_error(error: BaseException, client_path: Callable[[str], str] = lambda path: path) -> Problem:
    """The problem of an error: a DomainError tells all it has, anything else tells nothing.

    `client_path` turns a proto path of the request into the path that the client knows.
    """
    if not isinstance(error, DomainError):
        return Problem(500, "INTERNAL", _NO_TEXT)
    headers: dict[str, str] = {}
    if error.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = f'{CHALLENGE}, error="invalid_token"'
    if error.kind in {Kind.UNAVAILABLE, Kind.TOO_MANY}:
        seconds = error.retry_after.total_seconds() if error.retry_after is not None else 1
        headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    errors = [FieldViolation(client_path(at), rule, message) for at, rule, message in error.violations]
    status = 504 if error.reason == _OUT_OF_TIME else error.kind.http_status
    detail = error.message
    if errors and error.kind is Kind.INVALID_ARGUMENT and len(errors) == 1:
        detail = f"{errors[0].field}: {errors[0].description}"
    return Problem(status, error.reason, detail, errors, error.metadata, headers)


def json_path(path: str) -> str:
    """A proto field path in camelCase, as the JSON has it: `odometer_km` is `odometerKm`; map keys stay."""
    return _QUOTED_OR_SNAKE.sub(lambda found: found[1].upper() if found[1] else found[0], path)
