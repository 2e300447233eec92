"""`POST /v1/auth/token`: the OAuth2 password form."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Response
from pydantic import BaseModel, Field

from gateway.identity.accounts import Accounts
from kit.errors import FieldViolation, InvalidArgument

_LONGEST = 1000


class TokenRequestInvalid(InvalidArgument):
    """The form is incomplete."""

    reason = "TOKEN_REQUEST_INVALID"


class TokenResponse(BaseModel):
    """An access token, as OAuth2 (RFC 6749, section 5.1) wants it."""

    access_token: str = Field(description="Goes into the header `Authorization: Bearer …`.")
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a word of the standard, not a secret
    expires_in: int = Field(description="How long it is good for, in seconds.")


def router(accounts: Accounts) -> APIRouter:
    """Return the routes of signing in."""
    routes = APIRouter(tags=["Auth"])

    @routes.post("/v1/auth/token", summary="Signs in with user name and password.", operation_id="Auth_CreateToken")
    async def create_token(
        response: Response,
        username: Annotated[str, Form(description="The account's user name.")] = "",
        password: Annotated[str, Form(description="Its password.")] = "",
        grant_type: Annotated[str, Form(description="`password`; may be left out.")] = "password",
    ) -> TokenResponse:
        """Return a short-lived access token.

        After several failures in a row the user name is locked for a while, whether it exists or not.
        """
        _check(username=username, password=password, grant_type=grant_type)
        issued = await accounts.sign_in(username, password)
        response.headers["Cache-Control"] = "no-store"
        return TokenResponse(access_token=issued.token, expires_in=int(issued.life.total_seconds()))

    return routes


def _check(*, username: str, password: str, grant_type: str) -> None:
    found = []
    if grant_type != "password":
        found.append(FieldViolation("grant_type", "GRANT_TYPE", "only `password` is supported"))
    for field, value in (("username", username), ("password", password)):
        if not value.strip():
            found.append(FieldViolation(field, "REQUIRED", "must be given"))
        elif len(value) > _LONGEST:
            found.append(FieldViolation(field, "TOO_LONG", f"at most {_LONGEST} characters"))
    if found:
        raise TokenRequestInvalid("the form is incomplete", violations=found)
