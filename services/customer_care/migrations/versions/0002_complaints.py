"""Complaints: forms, their history, rounds, clocks and escalations.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from kit.db.migrate import service_role
from kit.db.rls import grant_tables, protect_store_rows

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_LEVELS = ("DISSATISFACTION", "GRIEVANCE", "COMPLAINT")
_STEPS = ("OPINION", "REVIEW", "DISPATCH", "RETURN", "CALL_BACK", "SIGN", "ARCHIVE", "ARCHIVED")
_CLOCKS = ("CONTACT", "RETURN", "CLOSE", "CALL_BACK", "PROGRESS")
_HISTORY = ("complaint_action", "complaint_escalation")
_STATE = ("complaint", "complaint_round", "complaint_clock")


def upgrade() -> None:
    _complaints()
    _history()
    _rounds()
    _clocks()
    for table in (*_STATE, *_HISTORY):
        protect_store_rows(op, table)
    grant_tables(op, *_STATE)
    _append_only()


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _sealed(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, nullable=False)


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    return sa.CheckConstraint(sa.column(column).in_(values), name=f"{column}_known")


def _complaint_id() -> sa.Column[Any]:
    return sa.Column("complaint_id", sa.Uuid, sa.ForeignKey("complaint.id"), nullable=False)


def _complaints() -> None:
    op.create_table(
        "complaint",
        sa.Column("id", sa.Uuid, primary_key=True),
        _text("store_id"),
        sa.Column("version", sa.BigInteger, nullable=False),
        _text("level"),
        _text("kind"),
        _text("channel"),
        _text("severity", nullable=True),
        _text("step"),
        _text("department", nullable=True),
        sa.Column("customer_id", sa.Uuid),
        _text("vin"),
        sa.Column("delivery_id", sa.Uuid),
        sa.Column("survey_id", sa.Uuid),
        _text("checker_id"),
        _text("opinion_by"),
        _sealed("sealed_description"),
        _sealed("sealed_customer_wish"),
        _sealed("sealed_display_name"),
        _sealed("sealed_phone"),
        _sealed("sealed_opinion"),
        _sealed("sealed_pause_reason"),
        _sealed("sealed_lesson"),
        _time("open_time"),
        _time("update_time"),
        _time("since"),
        _time("contact_time", nullable=True),
        _time("close_time", nullable=True),
        _time("paused_since", nullable=True),
        _one_of("level", _LEVELS),
        _one_of("step", _STEPS),
        sa.CheckConstraint("(close_time IS NOT NULL) = (step IN ('ARCHIVE', 'ARCHIVED'))", name="closed_has_a_time"),
        sa.CheckConstraint("close_time IS NULL OR paused_since IS NULL", name="closed_does_not_stand_still"),
    )
    # The newest first, those that are open, and those about a vehicle or a delivery. Ids sort by the opening.
    op.create_index("complaint_list_idx", "complaint", ["store_id", "id"])
    op.create_index(
        "complaint_open_idx", "complaint", ["store_id", "id"], postgresql_where=sa.text("close_time IS NULL")
    )
    op.create_index("complaint_vin_idx", "complaint", ["store_id", "vin", "id"], postgresql_where=sa.text("vin <> ''"))
    op.create_index("complaint_delivery_id_idx", "complaint", ["delivery_id"])
    op.create_index("complaint_customer_id_idx", "complaint", ["customer_id"])
    # The answers of a survey open one case, however often they are looked at (CARE-07).
    op.create_index("complaint_survey_id_key", "complaint", ["survey_id"], unique=True)


def _history() -> None:
    op.create_table(
        "complaint_action",
        _complaint_id(),
        # The version that it made: two people at once cannot both make the same one (CMP-13).
        sa.Column("number", sa.BigInteger, nullable=False),
        _text("store_id"),
        _text("verb"),
        _text("actor"),
        _time("action_time"),
        _text("from_step", nullable=True),
        _text("to_step"),
        _number("round"),
        _sealed("sealed_note"),
        sa.Column("changes", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("complaint_id", "number"),
    )
    op.create_table(
        "complaint_escalation",
        _complaint_id(),
        _text("clock"),
        _number("round"),
        _number("term"),
        _number("percent"),
        _text("store_id"),
        _text("target_role"),
        sa.Column("vacant_roles", sa.ARRAY(sa.Text), nullable=False),
        _time("due_time"),
        _time("fire_time"),
        # Whatever happens to a timer, a threshold is passed once.
        sa.PrimaryKeyConstraint("complaint_id", "clock", "round", "term", "percent"),
    )


def _rounds() -> None:
    op.create_table(
        "complaint_round",
        _complaint_id(),
        _number("number"),
        _text("store_id"),
        _time("dispatch_time", nullable=True),
        _text("responsible_id"),
        _sealed("sealed_cause"),
        _sealed("sealed_action"),
        sa.Column("promised_date", sa.Date),
        _time("return_time", nullable=True),
        sa.Column("satisfied", sa.Boolean),
        _time("call_back_time", nullable=True),
        sa.PrimaryKeyConstraint("complaint_id", "number"),
    )


def _clocks() -> None:
    op.create_table(
        "complaint_clock",
        _complaint_id(),
        _text("kind"),
        _number("round"),
        _text("store_id"),
        _text("time"),
        _time("start_time"),
        sa.Column("length", sa.Interval, nullable=False),
        _time("due_time"),
        _number("term"),
        _number("percent"),
        sa.Column("paused", sa.Interval, nullable=False),
        sa.Column("held", sa.Interval, nullable=False),
        _time("paused_since", nullable=True),
        _time("done_time", nullable=True),
        _time("stop_time", nullable=True),
        _one_of("kind", _CLOCKS),
        sa.CheckConstraint("done_time IS NULL OR stop_time IS NULL", name="ends_once"),
        sa.PrimaryKeyConstraint("complaint_id", "kind", "round"),
    )


def _append_only() -> None:
    """Let the service add to the history and read it; of what is there it may only empty a note, for an erasure."""
    role = service_role(op)
    for table in _HISTORY:
        op.execute(f'GRANT SELECT, INSERT ON {table} TO "{role}"')
    op.execute(f'GRANT UPDATE (sealed_note) ON complaint_action TO "{role}"')
