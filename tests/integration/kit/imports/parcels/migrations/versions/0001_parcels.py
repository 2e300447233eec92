"""Parcels of stores, and the tables of imports."""

from alembic import op

from kit.db.rls import create_scope_functions, grant_tables, protect_store_rows
from kit.db.tables import create_kit_tables
from kit.imports.tables import create_import_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_scope_functions(op)
    create_kit_tables(op)
    create_import_tables(op)
    op.execute(
        "CREATE TABLE parcel (code text PRIMARY KEY, store_id text NOT NULL, day date NOT NULL, weight bigint,"
        " source text NOT NULL)"
    )
    protect_store_rows(op, "parcel")
    grant_tables(op, "parcel")
