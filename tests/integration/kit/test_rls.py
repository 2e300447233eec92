"""Row-level security, shown by raw SQL under the service's own role."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.ids import new_id
from tests.support.postgres import DatabaseUrls

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
Plan = dict[str, Any]
INSERT = "INSERT INTO note (id, store_id, body, create_time) VALUES ($1, $2, $3, $4)"
GROUP, BEIJING, SHANGHAI = Scope.group(), Scope.store("bj-01"), Scope.store("sh-01")


async def run(database: Database, scope: Scope, statement: str, *args: object) -> list[asyncpg.Record]:
    async with database.transaction(scope) as session:
        return list(await (await raw_connection(session)).fetch(statement, *args))


@pytest.fixture
async def two_stores(database: Database) -> Database:
    for store_id in ("bj-01", "sh-01"):
        await run(database, Scope.store(store_id), INSERT, new_id(NOW), store_id, f"of {store_id}", NOW)
    return database


async def test_a_forgotten_where_cannot_leak_another_store(two_stores: Database) -> None:
    assert [row["store_id"] for row in await run(two_stores, BEIJING, "SELECT * FROM note")] == ["bj-01"]
    assert len(await run(two_stores, Scope.stores(["bj-01", "sh-01"]), "SELECT * FROM note")) == 2
    assert len(await run(two_stores, Scope.stores(["bj-02"]), "SELECT * FROM note")) == 0
    assert len(await run(two_stores, GROUP, "SELECT * FROM note")) == 2


async def test_even_asking_for_the_other_store_by_name_finds_nothing(two_stores: Database) -> None:
    assert await run(two_stores, BEIJING, "SELECT * FROM note WHERE store_id = 'sh-01'") == []
    assert await run(two_stores, BEIJING, "UPDATE note SET body = 'mine' RETURNING store_id") == [("bj-01",)]
    assert await run(two_stores, BEIJING, "DELETE FROM note WHERE store_id = 'sh-01' RETURNING id") == []
    assert len(await run(two_stores, GROUP, "SELECT * FROM note")) == 2


async def test_another_stores_row_cannot_be_written_or_moved(two_stores: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await run(two_stores, BEIJING, INSERT, new_id(NOW), "sh-01", "smuggled", NOW)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await run(two_stores, BEIJING, "UPDATE note SET store_id = 'sh-01'")


@pytest.mark.parametrize("setting", [None, "", "everything", "store:bj-01"])
async def test_an_unset_or_malformed_scope_is_an_error(
    two_stores: Database, sample_urls: DatabaseUrls, setting: str | None
) -> None:
    connection = await asyncpg.connect(sample_urls.database_url)
    try:
        if setting is not None:
            await connection.execute("SELECT set_config('dealerloop.scope', $1, false)", setting)
        for statement in (
            "SELECT * FROM note",
            "UPDATE note SET body = ''",
            "DELETE FROM note",
            "SELECT * FROM person",
        ):
            if "person" in statement:
                await run(two_stores, GROUP, "INSERT INTO person VALUES ($1, 'x')", new_id(NOW))
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row scope"):
                await connection.execute(statement)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row scope"):
            await connection.execute(INSERT, new_id(NOW), "bj-01", "x", NOW)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row scope"):
            await connection.execute("INSERT INTO person VALUES ($1, 'x')", new_id(NOW))
    finally:
        await connection.close()


async def test_a_scope_that_was_set_locally_leaves_an_error_behind_and_not_an_open_door(
    two_stores: Database, sample_urls: DatabaseUrls
) -> None:
    connection = await asyncpg.connect(sample_urls.database_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL dealerloop.scope = 'group'")
            assert await connection.fetchval("SELECT count(*) FROM note") == 2
        assert await connection.fetchval("SELECT current_setting('dealerloop.scope', true)") == ""
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row scope"):
            await connection.fetchval("SELECT count(*) FROM note")
    finally:
        await connection.close()


async def test_the_service_role_cannot_switch_the_policies_off(two_stores: Database) -> None:
    for statement in (
        "ALTER TABLE note DISABLE ROW LEVEL SECURITY",
        "DROP POLICY store_rows ON note",
        "CREATE OR REPLACE FUNCTION dealerloop_scope_is_group() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "TRUNCATE note",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await run(two_stores, BEIJING, statement)


async def test_the_tables_owner_is_bound_as_well(two_stores: Database, as_owner: Database) -> None:
    assert len(await run(as_owner, BEIJING, "SELECT * FROM note")) == 1


async def test_a_group_row_is_seen_by_the_stores_that_are_related_to_it(database: Database) -> None:
    person = await _person_known_to(database, BEIJING, "bj-01")

    assert await _sees(database, BEIJING, person)
    assert not await _sees(database, SHANGHAI, person)
    assert await _sees(database, GROUP, person)
    assert await _sees(database, Scope.stores(["sh-01", "bj-01"]), person)

    await run(database, SHANGHAI, "INSERT INTO acquaintance VALUES ($1, 'sh-01')", person)
    assert await _sees(database, SHANGHAI, person)


async def test_a_group_row_is_changed_only_by_who_sees_it(database: Database) -> None:
    person = await _person_known_to(database, BEIJING, "bj-01")
    rename = "UPDATE person SET alias = $1 WHERE id = $2"

    await run(database, SHANGHAI, rename, "stranger", person)
    await run(database, SHANGHAI, "DELETE FROM person WHERE id = $1", person)
    assert (await run(database, GROUP, "SELECT alias FROM person"))[0]["alias"] == "Lin"

    await run(database, BEIJING, rename, "Lina", person)
    assert (await run(database, GROUP, "SELECT alias FROM person"))[0]["alias"] == "Lina"


async def test_a_store_cannot_relate_itself_in_another_stores_name(database: Database) -> None:
    person = await _person_known_to(database, BEIJING, "bj-01")

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await run(database, BEIJING, "INSERT INTO acquaintance VALUES ($1, 'sh-01')", person)


async def test_a_list_of_one_store_uses_the_index_on_store_and_time(database: Database) -> None:
    await _many_notes(database, stores=40, each=100)
    listing = "SELECT id FROM note WHERE {} AND create_time < now() ORDER BY create_time LIMIT 20"

    plan = await _plan(database, BEIJING_0, listing.format("store_id = 's-0'"))

    assert _index_conditions(plan) == {"note_store_time_idx": "store_id"}
    assert plan["Actual Rows"] == 20
    assert _rows_thrown_away(plan) == 0


async def test_a_list_of_several_stores_uses_the_index_too(database: Database) -> None:
    await _many_notes(database, stores=40, each=100)

    plan = await _plan(database, Scope.stores(["s-0", "s-1"]), "SELECT id FROM note WHERE store_id IN ('s-0', 's-1')")

    assert "note_store_time_idx" in _index_conditions(plan)
    assert _rows_thrown_away(plan) == 0


async def test_the_scopes_own_limit_is_what_finds_the_index(database: Database) -> None:
    await _many_notes(database, stores=40, each=100)

    without = await _plan(database, BEIJING_0, "SELECT count(*) FROM note")
    limited = await _plan(database, BEIJING_0, "SELECT count(*) FROM note WHERE store_id = 's-0'")

    assert _rows_thrown_away(without) == 3900
    assert _rows_thrown_away(limited) == 0


async def test_the_scope_is_computed_once_per_query_and_not_per_row(database: Database) -> None:
    await _many_notes(database, stores=40, each=100)

    plan = await _plan(database, GROUP, "SELECT count(*) FROM note")

    asked = [node for node in _nodes(plan) if node.get("Subplan Name", "").startswith("InitPlan")]
    assert asked
    assert all(node["Actual Loops"] <= 1 for node in asked)


async def test_a_filter_that_may_leak_runs_after_the_policy(two_stores: Database) -> None:
    # The division would fail on the other store's row, and so tell that it is there.
    rows = await run(
        two_stores, BEIJING, "SELECT * FROM note WHERE 1 / (CASE store_id WHEN 'sh-01' THEN 0 ELSE 1 END) = 1"
    )

    assert len(rows) == 1


BEIJING_0 = Scope.store("s-0")


async def _person_known_to(database: Database, scope: Scope, store_id: str) -> UUID:
    person = new_id(NOW)
    async with database.transaction(scope) as session:
        raw = await raw_connection(session)
        await raw.execute("INSERT INTO person VALUES ($1, 'Lin')", person)
        await raw.execute("INSERT INTO acquaintance VALUES ($1, $2)", person, store_id)
    return person


async def _sees(database: Database, scope: Scope, person: UUID) -> bool:
    return bool(await run(database, scope, "SELECT 1 FROM person WHERE id = $1", person))


async def _many_notes(database: Database, *, stores: int, each: int) -> None:
    await run(
        database,
        GROUP,
        "INSERT INTO note (id, store_id, body, create_time)"
        " SELECT gen_random_uuid(), 's-' || store, 'text', timestamptz '2026-01-01Z' + n * interval '1 hour'"
        " FROM generate_series(0, $1::int - 1) store, generate_series(1, $2::int) n",
        stores,
        each,
    )


async def _plan(database: Database, scope: Scope, query: str) -> Plan:
    async with database.transaction(scope) as session:
        raw = await raw_connection(session)
        document = await raw.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
    plan = document[0]["Plan"]
    assert isinstance(plan, dict)
    return plan


def _nodes(plan: Plan) -> list[Plan]:
    children = plan.get("Plans", [])
    assert isinstance(children, list)
    return [plan, *(node for child in children for node in _nodes(child))]


def _index_conditions(plan: Plan) -> dict[str, str]:
    return {
        str(node["Index Name"]): "store_id"
        if "store_id" in str(node.get("Index Cond"))
        else str(node.get("Index Cond"))
        for node in _nodes(plan)
        if "Index Name" in node
    }


def _rows_thrown_away(plan: Plan) -> int:
    return sum(int(str(node.get("Rows Removed by Filter", 0))) for node in _nodes(plan))
