"""Care plans, follow-ups, surveys, contacts, and the content that the product ships.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import json
from datetime import datetime
from importlib import resources
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from dealership.staff import create_staff_table
from dealership.stores import create_store_table
from kit.db.migrate import service_role
from kit.db.rls import create_scope_functions, grant_tables, protect_related_rows, protect_store_rows
from kit.db.tables import create_kit_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The questionnaire as shipped; every delivery before its first publication follows it too.
_QUESTIONNAIRE_PUBLISHED = datetime.fromisoformat("2024-01-01T00:00:00+00:00")
_STATES = ("PLANNED", "REACHED", "EXHAUSTED", "MISSED", "CLOSED", "CANCELLED", "EXPIRED_ON_ARRIVAL")
_OUTCOMES = ("REACHED", "NO_ANSWER", "CALL_LATER", "WRONG_NUMBER", "REFUSED")
_MODES = ("PHONE", "LINK", "IN_STORE")
_STORE_TABLES = ("care_plan", "follow_up", "attempt", "survey", "response", "contact")


def upgrade() -> None:
    create_kit_tables(op)
    create_scope_functions(op)
    create_store_table(op)
    create_staff_table(op)
    _configuration()
    _plans()
    _follow_ups()
    _surveys()
    _contacts()
    for table in _STORE_TABLES:
        protect_store_rows(op, table)
    protect_related_rows(op, "first_service", "care_plan", "vin", table_key="vin")
    configuration = ("store", "staff", "cadence_template", "cadence_template_version")
    grant_tables(op, *configuration, *_STORE_TABLES, "first_service")
    # Published versions are immutable: a new version of a questionnaire comes by migration, the service only reads it.
    op.execute(f'GRANT SELECT ON questionnaire_version TO "{service_role(op)}"')
    _seed()


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=False)


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    return sa.CheckConstraint(sa.column(column).in_(values), name=f"{column}_known")


def _configuration() -> None:
    op.create_table(
        "cadence_template",
        sa.Column("template", sa.Text, primary_key=True),
        sa.Column("last_number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "cadence_template_version",
        sa.Column("template", sa.Text, sa.ForeignKey("cadence_template.template"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _text("state"),
        sa.Column("steps", JSONB, nullable=False),
        _time("create_time"),
        _time("publish_time", nullable=True),
        _one_of("state", ("DRAFT", "PUBLISHED")),
        sa.CheckConstraint("(state = 'PUBLISHED') = (publish_time IS NOT NULL)", name="published_has_a_time"),
    )
    # Whatever the code does: deliveries refer to published versions for years.
    op.execute(
        """
        CREATE FUNCTION refuse_change_of_published() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'a published version never changes' USING ERRCODE = 'integrity_constraint_violation';
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER published_versions_stay BEFORE UPDATE OR DELETE ON cadence_template_version
        FOR EACH ROW WHEN (OLD.state = 'PUBLISHED') EXECUTE FUNCTION refuse_change_of_published()
        """
    )
    op.create_table(
        "questionnaire_version",
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", JSONB, nullable=False),
        _time("publish_time"),
    )


def _plans() -> None:
    op.create_table(
        "care_plan",
        sa.Column("delivery_id", sa.Uuid, primary_key=True),
        _text("store_id"),
        sa.Column("version", sa.BigInteger, nullable=False),
        _text("vin"),
        _text("series"),
        sa.Column("customer_id", sa.Uuid),
        _text("consultant_id"),
        sa.Column("delivery_date", sa.Date, nullable=False),
        _time("record_time"),
        sa.Column("finance_end_date", sa.Date),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        _text("template"),
        sa.Column("template_number", sa.Integer, nullable=False),
        _time("create_time"),
    )
    op.create_index("care_plan_vin_idx", "care_plan", ["vin"])
    op.create_index("care_plan_customer_id_idx", "care_plan", ["customer_id"])
    op.create_table(
        "first_service",
        sa.Column("vin", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("due_date", sa.Date),
        sa.Column("due_km", sa.Integer, nullable=False),
        sa.Column("done_date", sa.Date),
        sa.Column("visit_date", sa.Date),
    )


def _follow_ups() -> None:
    # No foreign key to care_plan: both are written by one statement, plans are never removed, and a check per row
    # would be a third of the cost of planning.
    op.create_table(
        "follow_up",
        sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.text("uuidv7()")),
        _text("store_id"),
        sa.Column("delivery_id", sa.Uuid, nullable=False),
        _text("step"),
        sa.Column("occurrence", sa.Integer, nullable=False),
        _text("owner_id"),
        sa.Column("window_start_date", sa.Date, nullable=False),
        sa.Column("window_end_date", sa.Date, nullable=False),
        _text("state"),
        sa.Column("version", sa.BigInteger, nullable=False),
        _time("create_time"),
        _time("finish_time", nullable=True),
        _time("next_attempt_time", nullable=True),
        _one_of("state", _STATES),
        # The identity of a follow-up (CARE-01): planning twice cannot double anything.
        sa.UniqueConstraint("delivery_id", "step", "occurrence", name="follow_up_identity_key"),
    )
    op.create_index("follow_up_list_idx", "follow_up", ["store_id", "window_end_date", "id"])
    op.create_index("follow_up_owner_idx", "follow_up", ["store_id", "owner_id", "window_end_date", "id"])
    op.create_index(
        "follow_up_open_idx",
        "follow_up",
        ["store_id", "window_end_date", "id"],
        postgresql_where=sa.text("state = 'PLANNED'"),
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.Uuid, primary_key=True),
        _text("store_id"),
        sa.Column("follow_up_id", sa.Uuid, sa.ForeignKey("follow_up.id"), nullable=False),
        _time("attempt_time"),
        _text("outcome"),
        sa.Column("sealed_note", sa.LargeBinary),
        _text("actor"),
        _one_of("outcome", _OUTCOMES),
    )
    op.create_index("attempt_follow_up_id_idx", "attempt", ["follow_up_id"])


def _surveys() -> None:
    op.create_table(
        "survey",
        sa.Column("id", sa.Uuid, primary_key=True),
        _text("store_id"),
        sa.Column("delivery_id", sa.Uuid, nullable=False),
        _text("step"),
        sa.Column("occurrence", sa.Integer, nullable=False),
        _text("questionnaire"),
        sa.Column("questionnaire_number", sa.Integer, nullable=False),
        _text("state"),
        _time("expire_time"),
        sa.Column("version", sa.BigInteger, nullable=False),
        _time("create_time"),
        _time("submit_time", nullable=True),
        _one_of("state", ("OPEN", "SUBMITTED", "CANCELLED")),
        sa.UniqueConstraint("delivery_id", "step", "occurrence", name="survey_identity_key"),
    )
    op.create_index("survey_list_idx", "survey", ["store_id", "id"])
    op.create_table(
        "response",
        # One response per invitation (CARE-05): the key says so.
        sa.Column("survey_id", sa.Uuid, sa.ForeignKey("survey.id"), primary_key=True),
        _text("store_id"),
        _text("mode"),
        _text("actor"),
        _time("submit_time"),
        sa.Column("marks", JSONB, nullable=False),
        sa.Column("sealed_texts", sa.LargeBinary),
        _one_of("mode", _MODES),
    )


def _contacts() -> None:
    op.create_table(
        "contact",
        sa.Column("customer_id", sa.Uuid, primary_key=True),
        _text("store_id"),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("sealed_display_name", sa.LargeBinary),
        sa.Column("sealed_phone", sa.LargeBinary),
        sa.Column("phone_verified", sa.Boolean, nullable=False),
        sa.Column("erased", sa.Boolean, nullable=False),
        sa.CheckConstraint(
            "NOT erased OR (sealed_display_name IS NULL AND sealed_phone IS NULL)", name="erased_is_empty"
        ),
    )


def _seed() -> None:
    cadence = _shipped("customer_care.cadences", "post-delivery.v1.json")
    published = datetime.fromisoformat(cadence["publish_time"])
    bind = op.get_bind()
    bind.execute(
        sa.text("INSERT INTO cadence_template (template, last_number) VALUES (:template, :number)"),
        {"template": cadence["template"], "number": cadence["version"]},
    )
    bind.execute(
        sa.text(
            "INSERT INTO cadence_template_version (template, number, state, steps, create_time, publish_time)"
            " VALUES (:template, :number, 'PUBLISHED', CAST(:steps AS jsonb), :published, :published)"
        ),
        {
            "template": cadence["template"],
            "number": cadence["version"],
            "steps": json.dumps(cadence["steps"], ensure_ascii=False),
            "published": published,
        },
    )
    questionnaire = _shipped("customer_care.surveys", "ssi-five-factor.v1.json")
    bind.execute(
        sa.text(
            "INSERT INTO questionnaire_version (code, number, content, publish_time)"
            " VALUES (:code, 1, CAST(:content AS jsonb), :published)"
        ),
        {
            "code": questionnaire["code"],
            "content": json.dumps(questionnaire, ensure_ascii=False),
            "published": _QUESTIONNAIRE_PUBLISHED,
        },
    )


def _shipped(package: str, file: str) -> Any:
    return json.loads(resources.files(package).joinpath("data", file).read_text(encoding="utf-8"))
