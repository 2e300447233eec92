"""Expand and back-fill in one: every store's notes get louder, though row-level security is forced on the owner."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE note ADD COLUMN loud text")
    op.execute("UPDATE note SET loud = upper(body)")
