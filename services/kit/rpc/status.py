"""Errors on the wire: a DomainError as `google.rpc.Status`, and back."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any, Protocol

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from kit.errors import (
    AlreadyExists,
    Conflict,
    DomainError,
    FieldViolation,
    InvalidArgument,
    Kind,
    NotFound,
    PermissionDenied,
    StaleEtag,
    TooMany,
    Unauthenticated,
    Unavailable,
)

DOMAIN = "dealerloop"
DETAILS_KEY = "grpc-status-details-bin"
_RETRY_AFTER = {Kind.UNAVAILABLE: timedelta(seconds=1), Kind.TOO_MANY: timedelta(seconds=5)}
_CLASSES: dict[Kind, type[DomainError]] = {
    Kind.INVALID_ARGUMENT: InvalidArgument,
    Kind.UNAUTHENTICATED: Unauthenticated,
    Kind.PERMISSION_DENIED: PermissionDenied,
    Kind.NOT_FOUND: NotFound,
    Kind.ALREADY_EXISTS: AlreadyExists,
    Kind.CONFLICT: Conflict,
    Kind.STALE: StaleEtag,
    Kind.TOO_MANY: TooMany,
    Kind.UNAVAILABLE: Unavailable,
}
_KINDS = {grpc.StatusCode[kind.grpc_code]: kind for kind in Kind}
_LARGEST_DETAILS = 6_000
"""Bytes; with the base64 of the trailer it stays under the 8 KiB that peers accept for all headers together."""


class PeerFailed(Exception):
    """The other side has a fault of its own and told nothing about it; to our caller it is our fault."""


class OutOfTime(Unavailable):
    """The call did not end within its deadline."""

    reason = "DEADLINE_EXCEEDED"


class RpcError(Protocol):
    """What a failed call tells; grpc.aio.AioRpcError has it."""

    def code(self) -> grpc.StatusCode: ...  # noqa: D102
    def details(self) -> str | None: ...  # noqa: D102
    def trailing_metadata(self) -> Any: ...  # noqa: D102


def code_of(error: DomainError) -> grpc.StatusCode:
    """The gRPC status code of an error."""
    if isinstance(error, OutOfTime):
        return grpc.StatusCode.DEADLINE_EXCEEDED
    return grpc.StatusCode[error.kind.grpc_code]


def to_status(error: DomainError) -> status_pb2.Status:
    """The error with ErrorInfo, and with BadRequest and RetryInfo where it has something to say there.

    Violations that would not fit into a response's headers are left out from the end; ErrorInfo's metadata then has
    `violations_left_out`.
    """
    status = status_pb2.Status(code=code_of(error).value[0], message=error.message)
    kept = list(error.violations)
    metadata = dict(error.metadata)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    bad_request = error_details_pb2.BadRequest()
    size = len(error.message.encode()) + info.ByteSize()
    for violation in kept:
        field = bad_request.field_violations.add(
            field=violation.field, description=violation.description, reason=violation.rule
        )
        size += field.ByteSize()
        if size > _LARGEST_DETAILS:
            del bad_request.field_violations[-1]
            info.metadata["violations_left_out"] = str(len(kept) - len(bad_request.field_violations))
            break
    _pack(status, info)
    if kept:
        _pack(status, bad_request)
    retry_after = error.retry_after or _RETRY_AFTER.get(error.kind)
    if retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(retry_after)
        _pack(status, retry)
    return status


def from_status(code: grpc.StatusCode, message: str, details: status_pb2.Status | None) -> Exception:
    """The error that a status means: a DomainError of the right class and reason, else PeerFailed."""
    if code in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}:
        return OutOfTime()
    kind = _KINDS.get(code)
    if kind is None:
        return PeerFailed(code.name)
    reason, metadata, violations, retry_after = "", {}, [], None
    for detail in details.details if details is not None else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = _unpack(detail, error_details_pb2.ErrorInfo())
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            found = _unpack(detail, error_details_pb2.BadRequest()).field_violations
            violations = [FieldViolation(item.field, item.reason, item.description) for item in found]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry_after = _unpack(detail, error_details_pb2.RetryInfo()).retry_delay.ToTimedelta()
    if not reason:
        # Not one of our servers spoke but the transport, such as a refused connection; its words stay here.
        return _CLASSES[kind](retry_after=retry_after)
    error_class = _with_reason(kind, reason)
    return error_class(message, metadata=metadata, violations=violations, retry_after=retry_after)


def from_rpc_error(error: RpcError) -> Exception:
    """The error of a failed call, as the other service raised it."""
    details = None
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            try:
                details = status_pb2.Status.FromString(value)
            except DecodeError:
                details = None
    message = details.message if details is not None else error.details() or ""
    return from_status(error.code(), message, details)


def trailing(status: status_pb2.Status) -> tuple[tuple[str, bytes], ...]:
    """The metadata that carries the details."""
    return ((DETAILS_KEY, status.SerializeToString()),)


@lru_cache(maxsize=1024)
def _with_reason(kind: Kind, reason: str) -> type[DomainError]:
    """A class with the peer's reason, so that `except Conflict` and `error.reason` both work."""
    base = _CLASSES[kind]
    return base if base.reason == reason else type(f"Peer{base.__name__}", (base,), {"reason": reason})


def _pack(status: status_pb2.Status, message: Any) -> None:
    detail = any_pb2.Any()
    detail.Pack(message)
    status.details.append(detail)


def _unpack(detail: any_pb2.Any, message: Any) -> Any:
    detail.Unpack(message)
    return message
