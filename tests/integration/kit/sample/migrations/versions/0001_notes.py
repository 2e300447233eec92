"""Notes of stores, people of the group, and which store knows whom."""

from alembic import op

from kit.db.rls import create_scope_functions, grant_tables, protect_related_rows, protect_store_rows
from kit.db.tables import create_kit_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_scope_functions(op)
    create_kit_tables(op)
    op.execute(
        """
        CREATE TABLE note (
            id uuid PRIMARY KEY,
            store_id text NOT NULL,
            body text NOT NULL,
            labels jsonb NOT NULL DEFAULT '[]',
            create_time timestamptz NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX note_store_time_idx ON note (store_id, create_time, id)")
    op.execute("CREATE TABLE person (id uuid PRIMARY KEY, alias text NOT NULL)")
    op.execute(
        "CREATE TABLE acquaintance (person_id uuid NOT NULL REFERENCES person, store_id text NOT NULL,"
        " PRIMARY KEY (person_id, store_id))"
    )
    protect_store_rows(op, "note")
    protect_store_rows(op, "acquaintance")
    protect_related_rows(op, "person", "acquaintance", "person_id")
    grant_tables(op, "note", "person", "acquaintance")
