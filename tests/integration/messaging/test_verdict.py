"""What an error means for its message."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
import sqlalchemy.exc

from kit.errors import Conflict, InvalidArgument, NotFound, TooMany, Unavailable
from kit.messaging.event import UnreadableEvent
from kit.messaging.verdict import Verdict, judge, without_values
from tests.support.pond import TEST, Pond


@pytest.mark.parametrize("error", [Conflict(), InvalidArgument(), NotFound(), UnreadableEvent("x")])
def test_a_decision_of_the_domain_is_final(error: Exception) -> None:
    assert judge(error) is Verdict.PERMANENT


@pytest.mark.parametrize(
    "error",
    [
        Unavailable(),
        TooMany(),
        TimeoutError(),
        ValueError("a bug"),
        FileNotFoundError("a bug"),
        asyncpg.SerializationError("x"),
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.UniqueViolationError("x"),
    ],
)
def test_what_may_work_later_is_tried_again(error: Exception) -> None:
    assert judge(error) is Verdict.RETRY


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        asyncpg.AdminShutdownError("x"),
        asyncpg.CannotConnectNowError("x"),
        asyncpg.ConnectionDoesNotExistError("x"),
        asyncpg.DiskFullError("x"),
        asyncpg.InterfaceError("connection is closed"),
        sqlalchemy.exc.TimeoutError("the pool is empty"),
        OSError("Multiple exceptions: [Errno 111] Connect call failed ('127.0.0.1', 1)"),
    ],
)
def test_a_database_that_is_away_is_nobodys_failure(error: Exception) -> None:
    assert judge(error) is Verdict.OUTAGE


def test_a_cause_counts_as_much_as_what_was_raised_over_it() -> None:
    over = RuntimeError("while handling")
    over.__cause__ = asyncpg.ConnectionDoesNotExistError("gone")

    assert judge(over) is Verdict.OUTAGE


def asyncpg_error(error: BaseException) -> Any:
    while not isinstance(error, asyncpg.PostgresError):
        assert error.__cause__ is not None
        error = error.__cause__
    return error


async def test_the_text_of_an_error_repeats_no_values_of_the_row(pond: Pond) -> None:
    await pond.throw("13800000000")
    with pytest.raises(sqlalchemy.exc.IntegrityError) as caught:
        async with pond.database.transaction(TEST) as session:
            await session.execute(sqlalchemy.text("INSERT INTO thrown VALUES ('13800000000')"))

    assert "13800000000" in asyncpg_error(caught.value).detail
    assert without_values(caught.value) == "UniqueViolationError 23505 thrown_pkey"
