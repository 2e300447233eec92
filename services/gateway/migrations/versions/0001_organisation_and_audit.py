"""Regions, stores, staff, failed sign-ins and the audit trail."""

from alembic import op

from kit.db.rls import create_scope_functions, grant_tables, protect_store_rows
from kit.db.tables import create_kit_tables

revision = "0001"
down_revision = None

_TABLES = (
    """
CREATE TABLE region (
    region_id text PRIMARY KEY,
    display_name text NOT NULL,
    create_time timestamptz NOT NULL
)
""",
    """
CREATE TABLE store (
    store_id text PRIMARY KEY,
    display_name text NOT NULL,
    region_id text REFERENCES region,
    time_zone text NOT NULL,
    calendar jsonb NOT NULL,
    version bigint NOT NULL,
    create_time timestamptz NOT NULL
)
""",
    "CREATE INDEX store_region_id_idx ON store (region_id, store_id)",
    # A member of the group has no store: such rows are seen in the group's scope only.
    """
CREATE TABLE staff (
    staff_id text PRIMARY KEY,
    store_id text REFERENCES store,
    display_name text NOT NULL,
    username text NOT NULL CONSTRAINT staff_username_key UNIQUE,
    password_hash text,
    roles jsonb NOT NULL,
    disabled boolean NOT NULL,
    version bigint NOT NULL,
    create_time timestamptz NOT NULL
)
""",
    "CREATE INDEX staff_store_id_idx ON staff (store_id, staff_id)",
    # By a keyed digest of the user name that was typed, whether such an account exists or not.
    """
CREATE TABLE failed_sign_in (
    account bytea PRIMARY KEY,
    failures bigint NOT NULL,
    expire_time timestamptz NOT NULL
)
""",
    "CREATE INDEX failed_sign_in_expire_time_idx ON failed_sign_in (expire_time)",
    """
CREATE TABLE audit_record (
    action_id uuid PRIMARY KEY,
    store_id text,
    actor text NOT NULL,
    roles text[] NOT NULL,
    method text NOT NULL,
    resource text NOT NULL,
    fields text[] NOT NULL,
    act_time timestamptz NOT NULL,
    trace_id text NOT NULL,
    reason text NOT NULL
)
""",
    # Newest first: of the group, of a store, of a thing, of a person.
    "CREATE INDEX audit_record_act_time_idx ON audit_record (act_time, action_id)",
    "CREATE INDEX audit_record_store_id_idx ON audit_record (store_id, act_time, action_id)",
    "CREATE INDEX audit_record_resource_idx ON audit_record (resource, act_time, action_id)",
    "CREATE INDEX audit_record_actor_idx ON audit_record (actor, act_time, action_id)",
)


def upgrade() -> None:
    create_scope_functions(op)
    create_kit_tables(op)
    for statement in _TABLES:
        op.execute(statement)
    for table in ("store", "staff", "audit_record"):
        protect_store_rows(op, table)
    grant_tables(op, "region", "store", "staff", "failed_sign_in")
    _grant_append_only("audit_record")


def _grant_append_only(table: str) -> None:
    # Nobody edits the audit trail, the service neither.
    from kit.db.migrate import service_role

    op.execute(f'GRANT SELECT, INSERT ON {table} TO "{service_role(op)}"')
