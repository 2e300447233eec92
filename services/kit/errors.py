"""Errors that belong to the contract: raised in the core, carried unchanged to the caller."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import ClassVar, NamedTuple


class Kind(Enum):
    """What went wrong, as the caller must understand it; decides the HTTP status and the gRPC code."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    # The thing is in a state that does not allow the action.
    CONFLICT = "CONFLICT"
    # Somebody changed it since the caller read it.
    STALE = "STALE"
    TOO_MANY = "TOO_MANY"
    UNAVAILABLE = "UNAVAILABLE"

    @property
    def http_status(self) -> int:
        """The status of the REST answer."""
        return _HTTP_STATUS[self]

    @property
    def grpc_code(self) -> str:
        """The name of the gRPC status code, such as `FAILED_PRECONDITION`."""
        return _GRPC_CODE.get(self, self.value)


_HTTP_STATUS = {
    Kind.INVALID_ARGUMENT: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.PERMISSION_DENIED: 403,
    Kind.NOT_FOUND: 404,
    Kind.ALREADY_EXISTS: 409,
    Kind.CONFLICT: 409,
    Kind.STALE: 412,
    Kind.TOO_MANY: 429,
    Kind.UNAVAILABLE: 503,
}
_GRPC_CODE = {
    Kind.CONFLICT: "FAILED_PRECONDITION",
    Kind.STALE: "ABORTED",
    Kind.TOO_MANY: "RESOURCE_EXHAUSTED",
}


class FieldViolation(NamedTuple):
    """One field that breaks one rule; `field` is a proto path such as `delivery.buyer.phone`, `rule` a stable id."""

    field: str
    rule: str
    description: str


class DomainError(Exception):
    """The base of every error that a caller may see.

    `message` is for people and may change; `reason` is for programs and may not. `metadata` holds the facts (no
    personal data); `retry_after` says when it makes sense to try again.
    """

    reason: ClassVar[str] = "ERROR"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(
        self,
        message: str = "",
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after: timedelta | None = None,
    ) -> None:
        self.message = message or _sentence(self.reason)
        self.metadata: dict[str, str] = dict(metadata or {})
        self.violations: tuple[FieldViolation, ...] = tuple(violations)
        self.retry_after = retry_after
        super().__init__(self.message)


class InvalidArgument(DomainError):
    """The request says something that cannot be; `violations` name the fields."""

    reason = "INVALID_ARGUMENT"
    kind = Kind.INVALID_ARGUMENT


class Unauthenticated(DomainError):
    """Nobody knows who is calling."""

    reason = "UNAUTHENTICATED"
    kind = Kind.UNAUTHENTICATED


class PermissionDenied(DomainError):
    """The caller may not do this here; never tells whether the thing exists."""

    reason = "ACCESS_DENIED"
    kind = Kind.PERMISSION_DENIED


class NotFound(DomainError):
    """There is no such thing within the caller's reach."""

    reason = "NOT_FOUND"
    kind = Kind.NOT_FOUND


class AlreadyExists(DomainError):
    """Such a thing is there already."""

    reason = "ALREADY_EXISTS"
    kind = Kind.ALREADY_EXISTS


class Conflict(DomainError):
    """The thing's state does not allow the action."""

    reason = "CONFLICT"
    kind = Kind.CONFLICT


class StaleEtag(DomainError):
    """Somebody else changed the thing since the caller read it."""

    reason = "STALE_ETAG"
    kind = Kind.STALE


class TooMany(DomainError):
    """Too many calls in too short a time; `retry_after` says how long to wait."""

    reason = "TOO_MANY_REQUESTS"
    kind = Kind.TOO_MANY


class Unavailable(DomainError):
    """A part of the system does not answer now; the same call may succeed later."""

    reason = "UNAVAILABLE"
    kind = Kind.UNAVAILABLE


def invalid(field: str, rule: str, description: str) -> InvalidArgument:
    """Make the error for one field that breaks one rule."""
    return InvalidArgument(description, violations=(FieldViolation(field, rule, description),))


def _sentence(reason: str) -> str:
    return reason.replace("_", " ").capitalize()
