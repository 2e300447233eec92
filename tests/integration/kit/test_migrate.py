"""Migrations: repeatable, one at a time, never waiting long, and blind to no store."""

import asyncio
import time

import asyncpg
import pytest

from kit.db.engine import Database
from kit.db.migrate import MigrationError, head_of, knows, upgrade, upgrade_async
from kit.db.scope import Scope
from kit.db.tables import KIT_TABLES
from tests.integration.kit.sample import PACKAGE as SAMPLE
from tests.support.postgres import DatabaseUrls


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_upgrade_reaches_the_head_and_a_second_one_changes_nothing(empty_database: DatabaseUrls) -> None:
    upgrade(empty_database.migration_url, package=SAMPLE)
    upgrade(empty_database.migration_url, package=SAMPLE)

    assert await fetch(empty_database.database_url, "SELECT version_num FROM alembic_version") == head_of(SAMPLE)
    assert knows(SAMPLE, "0001")
    assert not knows(SAMPLE, "9999")


async def test_two_migrators_at_once_both_succeed(empty_database: DatabaseUrls) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(upgrade_async(empty_database.migration_url, SAMPLE))

    assert await fetch(empty_database.database_url, "SELECT count(*) FROM alembic_version") == 1


async def test_a_back_fill_reaches_every_stores_rows(empty_database: DatabaseUrls) -> None:
    await upgrade_async(empty_database.migration_url, SAMPLE, "0001")
    database = Database(empty_database.database_url, pool_size=2)
    try:
        async with database.transaction(Scope.group()) as session:
            from sqlalchemy import text

            await session.execute(
                text("INSERT INTO note SELECT gen_random_uuid(), s, 'hi', '[]', now() FROM unnest(ARRAY['a','b']) s")
            )

        await upgrade_async(empty_database.migration_url, SAMPLE)

        async with database.transaction(Scope.group()) as session:
            assert list((await session.execute(text("SELECT loud FROM note"))).scalars()) == ["HI", "HI"]
    finally:
        await database.close()


async def test_a_migration_gives_up_on_a_locked_table_and_leaves_the_schema_as_it_was(
    empty_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.db.migrate._WAIT_FOR_TABLE", "200ms")
    await upgrade_async(empty_database.migration_url, SAMPLE, "0001")
    blocker = await asyncpg.connect(empty_database.migration_url)
    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE note IN ACCESS SHARE MODE")
            began = time.monotonic()
            with pytest.raises(Exception, match="lock timeout"):
                await upgrade_async(empty_database.migration_url, SAMPLE)
            assert time.monotonic() - began < 5
    finally:
        await blocker.close()

    assert await fetch(empty_database.database_url, "SELECT version_num FROM alembic_version") == "0001"
    await upgrade_async(empty_database.migration_url, SAMPLE)


async def test_the_service_role_may_use_the_kits_tables_but_owns_none(sample_urls: DatabaseUrls) -> None:
    connection = await asyncpg.connect(sample_urls.database_url)
    try:
        for table in KIT_TABLES:
            await connection.fetch(f"SELECT * FROM {table}")
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE tableowner = current_user") == 0
        assert await connection.fetchval("SELECT epoch FROM epoch") == 1
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE mine (id int)")
    finally:
        await connection.close()


async def test_the_relays_question_is_answered_by_its_index(sample_urls: DatabaseUrls) -> None:
    connection = await asyncpg.connect(sample_urls.database_url)
    try:
        await connection.execute(
            "INSERT INTO outbox (id, key, subject, type, payload, create_time, publish_time, stream_sequence)"
            " SELECT gen_random_uuid(), 'k', 's', 't', '', now(), CASE WHEN n > 20 THEN now() END, n"
            " FROM generate_series(1, 3000) n"
        )
        waiting = await connection.fetch(
            "EXPLAIN SELECT id FROM outbox WHERE publish_time IS NULL AND next_attempt_time <= now()"
            " ORDER BY position LIMIT 500"
        )
        newest = await connection.fetch("EXPLAIN SELECT max(stream_sequence) FROM outbox")
        assert "outbox_unpublished_idx" in str(waiting)
        assert "outbox_stream_sequence_idx" in str(newest)
    finally:
        await connection.close()


def test_a_package_without_migrations_is_said_plainly() -> None:
    with pytest.raises(MigrationError, match="kit has no package"):
        head_of("kit")
