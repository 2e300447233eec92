"""Transactions: the scope comes with BEGIN, hooks come after COMMIT."""

from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kit.db.engine import Database, after_commit, raw_connection
from kit.db.scope import Scope
from kit.ids import new_id
from tests.support.postgres import DatabaseUrls

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
INSERT = "INSERT INTO note (id, store_id, body, create_time) VALUES ($1, $2, $3, $4)"


async def add_note(database: Database, store_id: str, body: str = "hello") -> None:
    async with database.transaction(Scope.store(store_id)) as session:
        await (await raw_connection(session)).execute(INSERT, new_id(NOW), store_id, body, NOW)


async def count(database: Database, scope: Scope) -> int:
    async with database.transaction(scope, read_only=True) as session:
        return int((await session.execute(text("SELECT count(*) FROM note"))).scalar_one())


async def test_a_transaction_commits_at_its_end(database: Database) -> None:
    await add_note(database, "bj-01")

    assert await count(database, Scope.store("bj-01")) == 1


async def test_an_error_rolls_everything_back_and_runs_no_hook(database: Database) -> None:
    told: list[str] = []

    async def fails() -> None:
        async with database.transaction(Scope.store("bj-01")) as session:
            after_commit(session, lambda: told.append("never"))
            await (await raw_connection(session)).execute(INSERT, new_id(NOW), "bj-01", "gone", NOW)
            raise LookupError

    with pytest.raises(LookupError):
        await fails()

    assert told == []
    assert await count(database, Scope.group()) == 0


async def test_hooks_run_once_the_rows_are_visible_to_others_and_a_failing_one_hurts_nobody(database: Database) -> None:
    told: list[str] = []

    def fail() -> None:
        told.append("failing")
        raise RuntimeError

    async with database.transaction(Scope.store("bj-01")) as session:
        after_commit(session, fail)
        after_commit(session, lambda: told.append("done"))
        await (await raw_connection(session)).execute(INSERT, new_id(NOW), "bj-01", "kept", NOW)
        assert told == []

    assert told == ["failing", "done"]
    assert await count(database, Scope.group()) == 1


async def test_a_read_only_transaction_refuses_to_write(database: Database) -> None:
    async with database.transaction(Scope.group(), read_only=True) as session:
        raw = await raw_connection(session)
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await raw.execute(INSERT, new_id(NOW), "bj-01", "no", NOW)


async def test_the_scope_ends_with_its_transaction_and_the_next_has_its_own(sample_urls: DatabaseUrls) -> None:
    # One connection only, so that the second transaction gets what the first leaves.
    database = Database(sample_urls.database_url, pool_size=1)
    try:
        await add_note(database, "bj-01")
        await add_note(database, "sh-01")

        assert await count(database, Scope.store("bj-01")) == 1
        assert await count(database, Scope.stores(["bj-01", "sh-01"])) == 2
        assert await count(database, Scope.stores([])) == 0
        assert await count(database, Scope.system("test")) == 2

        async with database.engine.connect() as connection:
            with pytest.raises(DBAPIError, match="no row scope"):
                await connection.execute(text("SELECT count(*) FROM note"))
    finally:
        await database.close()


async def test_the_scope_costs_no_round_trip_of_its_own(database: Database) -> None:
    async with database.transaction(Scope.store("bj-01")) as session:
        raw = await raw_connection(session)
        log: list[str] = []
        raw.add_query_logger(lambda record: log.append(record.query))
    async with database.transaction(Scope.store("bj-01")) as session:
        assert await raw_connection(session) is raw
        await session.execute(text("SELECT count(*) FROM note"))

    begins = [query for query in log if query.startswith("BEGIN")]
    assert begins == ["BEGIN; SET LOCAL dealerloop.scope = 'stores:bj-01';"]


async def test_a_transaction_left_unused_does_not_hand_its_scope_on(sample_urls: DatabaseUrls) -> None:
    database = Database(sample_urls.database_url, pool_size=1)
    try:
        async with database.transaction(Scope.group()):
            pass
        async with database.engine.connect() as connection:
            with pytest.raises(DBAPIError, match="no row scope"):
                await connection.execute(text("INSERT INTO person SELECT gen_random_uuid(), 'nobody'"))
    finally:
        await database.close()


async def test_a_lost_server_connection_is_replaced_silently(database: Database, as_owner: Database) -> None:
    await add_note(database, "bj-01")
    async with as_owner.transaction(Scope.group()) as session:
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = current_user"
            )
        )
    raw = None
    async with database.transaction(Scope.group()) as session:
        raw = await raw_connection(session)
    raw.terminate()

    assert await count(database, Scope.group()) == 1


async def test_errors_do_not_repeat_the_parameters(database: Database) -> None:
    async with database.transaction(Scope.group()) as session:
        with pytest.raises(DBAPIError) as caught:
            await session.execute(text("SELECT CAST(:secret AS text), 1 / 0"), {"secret": "13800138000"})

    assert "13800138000" not in str(caught.value)
