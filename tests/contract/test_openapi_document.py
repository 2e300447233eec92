"""The OpenAPI document of the real contracts: valid, committed as it is, and true to the application."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi.routing import APIRoute
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway import openapi
from gateway.api import bindings, descriptors
from gateway.identity.routes import router
from gateway.imports import routes as imports
from gateway.settings import Settings
from gateway.survey_page.routes import router as survey_router

_COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "api" / "openapi.json"
_VERBS = {"get", "post", "put", "patch", "delete"}
# Names that clients plan with; they do not change.
_FIXED = """
POST /v1/auth/token
GET /openapi.json
GET /docs
GET /healthz
GET /readyz
GET /v1/stores
POST /v1/stores
GET /v1/stores/{store}/staff
POST /v1/stores/{store}/staff
POST /v1/stores/{store}/deliveries
GET /v1/stores/{store}/deliveries/{delivery}
PATCH /v1/stores/{store}/deliveries/{delivery}
POST /v1/stores/{store}/deliveries/{delivery}:cancel
GET /v1/stores/{store}/followUps
POST /v1/stores/{store}/followUps/{followUp}:recordAttempt
GET /v1/stores/{store}/surveys
POST /v1/stores/{store}/surveys/{survey}:submit
GET /s/{token}
POST /s/{token}
POST /v1/stores/{store}/workshopVisits
GET /v1/stores/{store}/grades/{YYYY-MM}
GET /v1/stores/{store}/vehicles/{vin}/warranty
POST /v1/stores/{store}/vehicles/{vin}:decideCoverage
"""


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(openapi.text())
    return found


def operations() -> dict[str, dict[str, Any]]:
    return {
        f"{verb.upper()} {path}": each
        for path, item in document()["paths"].items()
        for verb, each in item.items()
        if verb in _VERBS
    }


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_the_committed_document_is_the_one_that_is_served() -> None:
    assert _COMMITTED.read_text(encoding="utf-8") == openapi.text(), (
        "the API has changed: python -m gateway.openapi docs/api/openapi.json"
    )


@pytest.mark.parametrize("name", _FIXED.strip().splitlines())
def test_a_fixed_point_of_the_api_is_there(name: str) -> None:
    assert name in operations()


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("POST /v1/stores", "storeId"),
        ("GET /v1/stores/{store}/followUps", "delivery"),
        ("GET /v1/stores/{store}/surveys", "delivery"),
    ],
)
def test_a_fixed_parameter_is_there(name: str, parameter: str) -> None:
    assert parameter in {each["name"] for each in operations()[name]["parameters"]}


def test_every_exposed_method_is_documented_with_its_comment() -> None:
    contracts = descriptors.load(descriptors.default_path().read_bytes())
    documented = {each["operationId"]: each for each in operations().values()}

    for binding in bindings.read(contracts).all:
        method = binding.method
        assert contracts.comment(method.full_name)
        assert documented[f"{method.containing_service.name}_{method.name}"]["summary"]


def test_every_member_and_parameter_is_explained() -> None:
    silent = [
        f"{name}.{member}"
        for name, schema in document()["components"]["schemas"].items()
        for member, described in schema.get("properties", {}).items()
        if "description" not in described and name != "TokenForm"
    ]

    assert silent == []


def test_hand_written_routes_are_in_the_document() -> None:
    class Nobody:
        verifier: Any = None

        def peer(self, name: str) -> Any:
            raise AssertionError(name)

    # The routes are read, not called.
    accounts: Any = None
    settings = Settings.model_construct(import_uploads=1)
    hand_written = {
        f"{verb} {route.path}"
        for routes in (router(accounts), survey_router(Nobody()), imports.router(Nobody(), settings))
        for route in routes.routes
        if isinstance(route, APIRoute)
        for verb in (route.methods or set()) - {"HEAD"}
    }

    assert hand_written <= set(operations())


def test_every_operation_says_how_it_fails() -> None:
    for name, each in operations().items():
        assert "200" in each["responses"], name
        assert "default" in each["responses"], name
        assert re.fullmatch(r"[A-Za-z]+_[A-Za-z]+", each["operationId"]), name
