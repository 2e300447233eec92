"""What row-level security and sealed columns rest on, looked at in the database of every service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from kit.db.tables import KIT_TABLES
from tests.support.postgres import DatabaseUrls, PostgresServer

SERVICES = ("sales", "customer_care", "aftersales", "scoring", "gateway")
# Tables without row-level security: configuration, and what knows no store. Whoever adds one adds it here, by hand.
OPEN = {
    "sales": {"store", "staff"},
    "customer_care": {"store", "staff", "cadence_template", "cadence_template_version", "questionnaire_version"},
    "aftersales": {"store", "warranty_policy_version", "warranty_policy_span", "maintenance_plan_version"},
    "scoring": {"store", "satisfaction_model_version", "month_revision"},
    "gateway": {"region", "failed_sign_in"},
}
NEVER_CHANGED = {
    "customer_care": {"cadence_template_version", "questionnaire_version"},
    "aftersales": {"warranty_policy_version", "warranty_policy_span", "maintenance_plan_version"},
    "scoring": {
        *("satisfaction_model_version", "month_revision"),
        *("closed_grade", "counted_response", "closed_cells", "closed_index", "changed_response"),
    },
    "gateway": {"audit_record"},
}
# Names of things and of the group's own people; customers' are sealed.
PLAIN_NAMES = {
    *(("aftersales", table) for table in ("warranty_policy_version", "maintenance_plan_version")),
    *((service, table) for service in SERVICES for table in ("store", "region", "staff")),
    # What people call a file and the source that it comes from; its content is sealed.
    *((service, table) for service in ("sales", "aftersales") for table in ("import_job", "mapping_profile")),
}
PERSONAL = "(^|_)(name|username|phone|mobile|email|address|plate|birth|note|comment|texts?|answers?)(_|$)"
FORBIDDEN = (
    "ALTER TABLE outbox ADD COLUMN more text",
    "CREATE TABLE mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "CREATE OR REPLACE FUNCTION dealerloop_scope_is_group() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "DROP TABLE outbox",
    "TRUNCATE outbox",
    "ALTER ROLE CURRENT_USER BYPASSRLS",
    "COPY outbox TO PROGRAM 'true'",
    "UPDATE alembic_version SET version_num = '0000'",
)
LISTS = {
    "customer_care": ("SELECT * FROM survey WHERE store_id = 'a' ORDER BY id DESC LIMIT 51", "survey_"),
    "aftersales": (
        "SELECT * FROM workshop_visit WHERE store_id = 'a' ORDER BY visit_date DESC, id DESC LIMIT 51",
        "workshop_visit_store_date_idx",
    ),
    "scoring": ("SELECT * FROM grade_cell WHERE store_id = 'a' AND month = '2026-05'", "grade_cell_pkey"),
    "gateway": (
        "SELECT * FROM audit_record WHERE store_id = 'a' ORDER BY act_time DESC, action_id DESC LIMIT 51",
        "audit_record_store_id_idx",
    ),
}


class Service:
    """A connection under the service's own role to its migrated database."""

    def __init__(self, name: str, connection: Any, owner: str) -> None:
        self.name = name
        self.connection = connection
        self.owner = owner

    async def column(self, query: str) -> set[Any]:
        return {row[0] for row in await self.connection.fetch(query)}


@pytest.fixture(scope="module", params=SERVICES)
def urls(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Iterator[tuple[str, DatabaseUrls]]:
    """One database for all tests of a service: none of them changes anything."""
    made = postgres_server.clone(request.param)
    yield request.param, made
    postgres_server.drop(made.name)


@pytest.fixture
async def service(urls: tuple[str, DatabaseUrls]) -> AsyncIterator[Service]:
    name, made = urls
    as_owner = await asyncpg.connect(made.migration_url)
    owner = await as_owner.fetchval("SELECT current_user")
    await as_owner.close()
    connection = await asyncpg.connect(made.database_url)
    yield Service(name, connection, owner)
    await connection.close()


async def test_every_table_is_protected_unless_it_was_decided_otherwise(service: Service) -> None:
    tables = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    everything = await service.column(tables)
    protected = await service.column(f"{tables} AND relrowsecurity AND relforcerowsecurity")
    with_policy = await service.column("SELECT tablename FROM pg_policies")

    assert everything - protected == OPEN[service.name] | {*KIT_TABLES, "alembic_version"}
    assert with_policy == protected


async def test_every_policy_asks_for_the_scope(service: Service) -> None:
    policies = await service.connection.fetch("SELECT tablename, qual, with_check FROM pg_policies")

    assert policies
    for table, *conditions in policies:
        assert all("dealerloop_scope_is_" in condition for condition in conditions if condition is not None), table
        assert any(conditions), table


async def test_the_service_owns_nothing_and_has_no_power(service: Service) -> None:
    powers = await service.connection.fetchrow(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles"
        " WHERE rolname = current_user"
    )
    owned = (
        "SELECT relname::text FROM pg_class WHERE pg_get_userbyid(relowner) = current_user"
        " UNION SELECT proname FROM pg_proc WHERE pg_get_userbyid(proowner) = current_user"
        " UNION SELECT nspname FROM pg_namespace WHERE pg_get_userbyid(nspowner) = current_user"
    )
    groups = "SELECT roleid FROM pg_auth_members WHERE member = (SELECT oid FROM pg_roles WHERE rolname = current_user)"

    assert not any(powers)
    assert await service.column(owned) == set()
    assert await service.column(groups) == set()


async def test_the_service_cannot_change_the_tables_or_pass_by_their_policies(service: Service) -> None:
    protected = await service.column("SELECT relname FROM pg_class WHERE relrowsecurity")
    attempts = [f"SET ROLE {service.owner}", *FORBIDDEN]
    for table in protected:
        attempts += [f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY", f"TRUNCATE {table}"]
        attempts += [f"CREATE POLICY mine ON {table} USING (true)", f"DROP TABLE {table}"]

    for attempt in attempts:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.connection.execute(attempt)


async def test_switching_row_security_off_is_an_error_and_shows_nothing(service: Service) -> None:
    await service.connection.execute("SELECT set_config('dealerloop.scope', 'stores:a', false)")
    await service.connection.execute("SET row_security = off")

    for table in await service.column("SELECT relname FROM pg_class WHERE relrowsecurity"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.connection.fetch(f"SELECT * FROM {table}")


async def test_what_was_published_or_recorded_is_changed_by_nobody(service: Service) -> None:
    await service.connection.execute("SELECT set_config('dealerloop.scope', 'group', false)")

    for table in NEVER_CHANGED.get(service.name, ()):
        column = await service.connection.fetchval(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum = 1", table
        )
        for attempt in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.IntegrityConstraintViolationError)):
                await service.connection.execute(attempt)


async def test_personal_data_has_no_column_of_plain_text(service: Service) -> None:
    columns = await service.connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type NOT IN ('bytea', 'boolean') AND column_name ~ $1",
        PERSONAL,
    )

    assert [tuple(row) for row in columns if (service.name, row["table_name"]) not in PLAIN_NAMES] == []


async def test_row_level_security_leaves_the_indexes_of_lists_usable(service: Service) -> None:
    if service.name not in LISTS:
        return
    query, index = LISTS[service.name]

    async with service.connection.transaction():
        await service.connection.execute("SELECT set_config('dealerloop.scope', 'stores:a', true)")
        # A handful of rows is read faster without any index; this asks whether the planner may use it at all.
        await service.connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        plan = "\n".join(row[0] for row in await service.connection.fetch(f"EXPLAIN {query}"))

    assert index in plan, plan
    assert "Index Cond: (" in plan
    assert "store_id = 'a'" in plan.partition("Index Cond:")[2].partition("\n")[0], plan
    assert "Sort" not in plan
