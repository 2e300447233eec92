"""Errors as problem+json."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from gateway.api import problem
from kit.errors import (
    AlreadyExists,
    Conflict,
    DomainError,
    FieldViolation,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    StaleEtag,
    TooMany,
    Unauthenticated,
    Unavailable,
)


class WrongStep(Conflict):
    reason = "COMPLAINT_WRONG_STEP"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidArgument(), 400),
        (Unauthenticated(), 401),
        (PermissionDenied(), 403),
        (NotFound(), 404),
        (AlreadyExists(), 409),
        (WrongStep(), 409),
        (StaleEtag(), 412),
        (TooMany(), 429),
        (Unavailable(), 503),
    ],
)
def test_every_kind_of_error_has_its_status(error: DomainError, status: int) -> None:
    answer = problem.of_error(error)

    assert answer.status == status
    assert answer.reason == error.reason
    assert answer.response().headers["content-type"] == "application/problem+json"


def test_a_problem_has_the_members_of_the_rfc_and_the_facts() -> None:
    document = json.loads(problem.of_error(WrongStep("not yet", metadata={"step": "signed"})).body())

    assert document["type"] == "urn:dealerloop:problem:complaint-wrong-step"
    assert document["title"] == "Complaint wrong step"
    assert document["status"] == 409
    assert document["detail"] == "not yet"
    assert document["reason"] == "COMPLAINT_WRONG_STEP"
    assert document["metadata"] == {"step": "signed"}
    assert document["errors"] == []
    assert "trace_id" in document


def test_the_facts_have_names_as_the_json_has_them() -> None:
    error = WrongStep("not yet", metadata={"allowed_verbs": "close,return", "step": "signed_off"})

    assert problem.of_error(error).document()["metadata"] == {"allowedVerbs": "close,return", "step": "signed_off"}


def test_an_unknown_error_tells_nothing() -> None:
    body = problem.of_error(RuntimeError("password is hunter2")).body()

    assert b"hunter2" not in body
    assert json.loads(body)["status"] == 500


def test_fields_are_told_as_the_client_knows_them() -> None:
    error = InvalidArgument(violations=[FieldViolation("item.item_count", "int32.lte", "must be at most 100")])

    answer = problem.of_error(error, lambda path: problem.json_path(path).removeprefix("item."))

    assert list(answer.errors) == [FieldViolation("itemCount", "int32.lte", "must be at most 100")]
    assert answer.detail == "itemCount: must be at most 100"


@pytest.mark.parametrize(
    ("proto", "json_name"),
    [
        ("odometer_km", "odometerKm"),
        ("delivery.customer.display_name", "delivery.customer.displayName"),
        ("answers[3].next_due_date", "answers[3].nextDueDate"),
        ('titles["zh_CN"].some_text', 'titles["zh_CN"].someText'),
        ("line_2", "line2"),
    ],
)
def test_a_path_is_written_as_json_has_it(proto: str, json_name: str) -> None:
    assert problem.json_path(proto) == json_name


def test_who_may_try_again_is_told_when() -> None:
    assert problem.of_error(TooMany(retry_after=timedelta(seconds=2.1))).headers["Retry-After"] == "3"
    assert problem.of_error(Unavailable()).headers["Retry-After"] == "1"


def test_a_missing_token_is_challenged() -> None:
    assert problem.unauthenticated("x").headers["WWW-Authenticate"].startswith("Bearer")
    assert 'error="invalid_token"' in problem.of_error(Unauthenticated()).headers["WWW-Authenticate"]


def test_a_wrong_method_is_told_the_right_ones() -> None:
    assert problem.of_http(405, headers={"Allow": "GET"}).detail == "This path takes GET."


@pytest.mark.parametrize(
    ("reason", "title"),
    [
        ("VIN_ALREADY_DELIVERED", "VIN already delivered"),
        ("STALE_ETAG", "Stale ETag"),
        ("FOLLOW_UP_NOT_DUE", "Follow-up not due"),
        ("DELIVERY_NOT_FOUND", "Delivery not found"),
    ],
)
def test_a_title_is_written_as_people_write_it(reason: str, title: str) -> None:
    assert problem.Problem(409, reason).document()["title"] == title
