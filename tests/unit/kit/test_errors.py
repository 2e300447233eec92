"""Errors as part of the contract."""

import pytest

from kit import errors
from kit.errors import DomainError, FieldViolation, InvalidArgument, Kind, invalid


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidArgument, 400, "INVALID_ARGUMENT"),
        (errors.Unauthenticated, 401, "UNAUTHENTICATED"),
        (errors.PermissionDenied, 403, "PERMISSION_DENIED"),
        (errors.NotFound, 404, "NOT_FOUND"),
        (errors.AlreadyExists, 409, "ALREADY_EXISTS"),
        (errors.Conflict, 409, "FAILED_PRECONDITION"),
        (errors.StaleEtag, 412, "ABORTED"),
        (errors.TooMany, 429, "RESOURCE_EXHAUSTED"),
        (errors.Unavailable, 503, "UNAVAILABLE"),
    ],
)
def test_every_kind_has_its_status_and_code(error: type[DomainError], status: int, code: str) -> None:
    assert (error.kind.http_status, error.kind.grpc_code) == (status, code)


def test_no_kind_was_forgotten() -> None:
    assert {error.kind for error in DomainError.__subclasses__() if error.__module__ == "kit.errors"} == set(Kind)


def test_an_error_of_a_service_carries_its_reason_and_facts() -> None:
    class WrongStep(errors.Conflict):
        reason = "COMPLAINT_WRONG_STEP"

    error = WrongStep(metadata={"step": "REVIEW"})

    assert (error.reason, error.kind, error.metadata) == ("COMPLAINT_WRONG_STEP", Kind.CONFLICT, {"step": "REVIEW"})
    assert str(error) == error.message == "Complaint wrong step"


def test_one_bad_field_names_field_and_rule() -> None:
    error = invalid("delivery.vin", "VIN_LENGTH", "A VIN has 17 characters.")

    assert isinstance(error, InvalidArgument)
    assert error.violations == (FieldViolation("delivery.vin", "VIN_LENGTH", "A VIN has 17 characters."),)
    assert error.message == "A VIN has 17 characters."


def test_facts_are_copied() -> None:
    facts = {"a": "1"}
    error = errors.Conflict(metadata=facts)

    facts["a"] = "2"

    assert error.metadata == {"a": "1"}
