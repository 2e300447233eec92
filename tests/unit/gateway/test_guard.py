"""What a page's failure looks like from outside."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from gateway.api.guard import Guard


async def asked(failure: Exception) -> tuple[httpx.Response, list[str]]:
    """The answer of an application that fails like this, and the names of the events in its log."""

    async def application(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise failure

    transport = httpx.ASGITransport(Guard(application), raise_app_exceptions=False)
    with capture_logs() as lines:
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            answer = await client.get("/v1/auth/token")
    return answer, [line["event"] for line in lines]


@pytest.mark.parametrize("failure", [ConnectionRefusedError(), PoolTimeoutError()])
async def test_a_database_that_is_away_is_no_fault_of_ours(failure: Exception) -> None:
    answer, told = await asked(failure)

    assert (answer.status_code, answer.json()["reason"]) == (503, "DATABASE_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0
    assert told == ["http.database_unavailable"]


async def test_any_other_failure_is_told_in_the_log_alone() -> None:
    answer, told = await asked(RuntimeError("password is hunter2"))

    assert (answer.status_code, answer.json()["reason"]) == (500, "INTERNAL")
    assert "hunter2" not in answer.text
    assert told == ["http.failed"]
