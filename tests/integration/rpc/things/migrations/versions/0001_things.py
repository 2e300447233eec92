"""Things of stores."""

from alembic import op

from kit.db.rls import create_scope_functions, grant_tables, protect_store_rows
from kit.db.tables import create_kit_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_scope_functions(op)
    create_kit_tables(op)
    op.execute("CREATE TABLE thing (id uuid PRIMARY KEY, store_id text NOT NULL, title text NOT NULL)")
    protect_store_rows(op, "thing")
    grant_tables(op, "thing")
