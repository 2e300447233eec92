"""What was thrown, and how often each was caught by whom."""

from alembic import op

from kit.db.rls import create_scope_functions, grant_tables
from kit.db.tables import create_kit_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_scope_functions(op)
    create_kit_tables(op)
    op.execute("CREATE TABLE thrown (pebble_id text PRIMARY KEY)")
    # No key that would hide a second time.
    op.execute("CREATE TABLE caught (catcher text NOT NULL, pebble_id text NOT NULL, version bigint NOT NULL)")
    grant_tables(op, "thrown", "caught")
