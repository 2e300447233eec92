"""The parts of the OpenAPI document that no contract describes: errors, signing in, the survey page, health."""

from __future__ import annotations

from typing import Any

from gateway.api.problem import http_reason

VERSION = "1"
INFO: dict[str, Any] = {
    "title": "Dealerloop",
    "version": VERSION,
    "summary": "From each delivery to a satisfied customer and a fair monthly grade.",
    "description": (
        "JSON is camelCase as protobuf maps it: 64-bit integers are strings, enums are names, times are RFC 3339. "
        "A reply shows every list and every plain value, also when it is empty or zero; an object or an optional value "
        "that is not set is left out. A request may leave out what it does not set; read-only members are ignored, "
        "unknown members are refused.\n\n"
        "Lists are paged: send `nextPageToken` back as `pageToken`. A PATCH changes the members that its body sets, or "
        "those of `updateMask`; `null` clears a member. An error is `application/problem+json` (RFC 9457): `reason` is "
        "for programs, `errors` names each wrong field and the rule that it breaks."
    ),
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
TAGS = [
    {"name": "Auth", "description": "Signing in."},
    {"name": "SurveyPage", "description": "The page behind a survey link; plain HTML."},
    {"name": "System", "description": "Health and documentation."},
]
SECURITY: dict[str, Any] = {
    "password": {
        "type": "oauth2",
        "description": "A local account; the token is short-lived.",
        "flows": {"password": {"tokenUrl": "/v1/auth/token", "scopes": {}}},
    }
}
SCHEMAS: dict[str, Any] = {
    "Problem": {
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail", "reason", "errors", "trace_id"],
        "properties": {
            "type": {"type": "string", "format": "uri", "description": "`urn:dealerloop:problem:` and the reason."},
            "title": {"type": "string", "description": "The reason in words."},
            "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
            "detail": {"type": "string", "description": "For people; may change."},
            "reason": {"type": "string", "description": "For programs; stable, such as `STALE_ETAG`."},
            "errors": {
                "type": "array",
                "description": "The fields that are wrong; empty when it is not about a field.",
                "items": {"$ref": "#/components/schemas/FieldProblem"},
            },
            "metadata": {
                "type": "object",
                "description": "The facts behind the reason.",
                "additionalProperties": {"type": "string"},
            },
            "trace_id": {"type": "string", "description": "Finds the request in logs and traces."},
        },
    },
    "FieldProblem": {
        "type": "object",
        "description": "One field that breaks one rule.",
        "required": ["field", "rule", "message"],
        "properties": {
            "field": {"type": "string", "description": "Path of the member or parameter, such as `customer.phone`."},
            "rule": {"type": "string", "description": "Stable id of the rule."},
            "message": {"type": "string", "description": "The rule in words."},
        },
    },
    "Token": {
        "type": "object",
        "description": "An access token (RFC 6749).",
        "required": ["access_token", "token_type", "expires_in"],
        "properties": {
            "access_token": {"type": "string", "description": "Goes into `Authorization: Bearer …`."},
            "token_type": {"type": "string", "const": "bearer", "description": "How it is sent."},
            "expires_in": {"type": "integer", "description": "Seconds."},
        },
    },
    "TokenForm": {
        "type": "object",
        "required": ["username", "password"],
        "properties": {
            "grant_type": {"type": "string", "const": "password"},
            "username": {"type": "string", "minLength": 1, "maxLength": 1000, "examples": ["admin"]},
            "password": {"type": "string", "format": "password", "minLength": 1, "maxLength": 1000},
        },
    },
}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_WORDS = {
    400: "The request breaks a rule; `errors` names the fields.",
    401: "There is no token, or it is not valid (any more).",
    403: "The caller may not do this here.",
    404: "There is no such thing within the caller's reach.",
    405: "The path does not take this method.",
    409: "The state of the resource does not allow it, or it is there already.",
    410: "The link has been used or is no longer valid.",
    412: "Somebody changed the resource since it was read.",
    413: "The body is larger than 1 MiB.",
    415: "The body is not application/json.",
    429: "Too many requests; see Retry-After.",
    503: "A part of the system does not answer; see Retry-After.",
}
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def response_name(status: int) -> str:
    """The name of the component response of a status, such as `NotFound`."""
    return "".join(word.capitalize() for word in http_reason(status).split("_"))


RESPONSES: dict[str, Any] = {
    "Problem": {"description": "Anything else that went wrong.", "content": PROBLEM},
    **{response_name(status): {"description": words, "content": PROBLEM} for status, words in _WORDS.items()},
}
RESPONSES[response_name(401)]["headers"] = {
    "WWW-Authenticate": {"description": "The challenge.", "schema": {"type": "string"}}
}
for _status in (429, 503):
    RESPONSES[response_name(_status)]["headers"] = _RETRY


def problems(*statuses: int) -> dict[str, Any]:
    """The responses of these statuses, and of any other problem."""
    named = {str(status): {"$ref": f"#/components/responses/{response_name(status)}"} for status in statuses}
    return {**named, "default": {"$ref": "#/components/responses/Problem"}}


_HTML = {"text/html": {"schema": {"type": "string"}}}
_PAGE_PROBLEMS = {
    str(status): {"description": _WORDS[status], "content": {**_HTML, **PROBLEM}} for status in (400, 404, 409, 410)
}
_LINK = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "The token of the link.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9._~-]+$"},
}
_LANGUAGE = {
    "name": "lang",
    "in": "query",
    "description": "The language of the page; that of Accept-Language when not given.",
    "schema": {"type": "string", "examples": ["zh-CN", "en"]},
}


def _page(operation: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "tags": ["SurveyPage"],
        "summary": summary,
        "security": [],
        "parameters": [_LINK, _LANGUAGE],
        "responses": {
            "200": {"description": "The page.", "content": _HTML},
            **_PAGE_PROBLEMS,
            "default": {"description": "Anything else that went wrong.", "content": {**_HTML, **PROBLEM}},
        },
    }


def _system(operation: str, summary: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "get": {
            "operationId": operation,
            "tags": ["System"],
            "summary": summary,
            "security": [],
            "responses": {"200": {"description": "As asked.", "content": content}, **problems(503)},
        }
    }


_OBJECT = {"application/json": {"schema": {"type": "object"}}}
PATHS: dict[str, dict[str, Any]] = {
    "/v1/auth/token": {
        "post": {
            "operationId": "Auth_CreateToken",
            "tags": ["Auth"],
            "summary": "Signs in with user name and password",
            "description": "Failures in a row lock the user name for a while, whether it exists or not.",
            "security": [],
            "requestBody": {
                "required": True,
                "content": {
                    "application/x-www-form-urlencoded": {"schema": {"$ref": "#/components/schemas/TokenForm"}}
                },
            },
            "responses": {
                "200": {
                    "description": "The token.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Token"}}},
                },
                **problems(400, 401, 413, 415, 429, 503),
            },
        }
    },
    "/s/{token}": {
        "get": _page("SurveyPage_Show", "Shows the questions of a survey link"),
        "post": {
            **_page("SurveyPage_Submit", "Takes the answers of a survey link; once only"),
            "requestBody": {
                "required": True,
                "content": {
                    "application/x-www-form-urlencoded": {
                        "schema": {
                            "type": "object",
                            "description": "One member `q.{code}` for each answer; empty where it does not apply.",
                            "additionalProperties": {"type": "string"},
                            "examples": [{"q.SSI.OVERALL": "7", "q.SSI.COMMENT": "谢谢"}],
                        }
                    }
                },
            },
        },
    },
    "/healthz": _system("System_Health", "Whether the process is alive", _OBJECT),
    "/readyz": _system("System_Readiness", "Whether the process can serve", _OBJECT),
    "/openapi.json": _system("System_OpenApi", "This document", _OBJECT),
    "/docs": _system("System_Docs", "This document for people", _HTML),
}
