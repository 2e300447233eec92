"""Satisfaction models, the sample frame, responses and grade cells."""

import json
from datetime import UTC, datetime
from importlib import resources

import sqlalchemy as sa
from alembic import op

from dealership.stores import TABLE, create_store_table
from kit.db.migrate import service_role
from kit.db.rls import create_scope_functions, grant_tables, protect_store_rows
from kit.db.tables import create_kit_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The shipped model is in force for every answer that there can be.
_PUBLISHED = datetime(2020, 1, 1, tzinfo=UTC)

_TABLES = (
    """
CREATE TABLE satisfaction_model_version (
    code text NOT NULL,
    version integer NOT NULL,
    content jsonb NOT NULL,
    publish_time timestamptz NOT NULL,
    PRIMARY KEY (code, version)
)
""",
    """
CREATE TABLE sample_frame (
    delivery_id uuid PRIMARY KEY,
    store_id text NOT NULL,
    version bigint NOT NULL,
    consultant_id text NOT NULL,
    vin text NOT NULL,
    delivery_date date NOT NULL,
    month text NOT NULL,
    cancelled boolean NOT NULL
)
""",
    "CREATE INDEX sample_frame_month_idx ON sample_frame (month, store_id) WHERE NOT cancelled",
    """
CREATE TABLE response (
    response_id uuid PRIMARY KEY,
    store_id text NOT NULL,
    version bigint NOT NULL,
    delivery_id uuid NOT NULL,
    consultant_id text NOT NULL,
    customer_id text NOT NULL,
    mode text NOT NULL,
    month text NOT NULL,
    submit_time timestamptz NOT NULL,
    questionnaire_version text NOT NULL,
    model_code text NOT NULL,
    model_version integer NOT NULL,
    marks jsonb NOT NULL,
    excluded boolean NOT NULL DEFAULT false,
    decision_version bigint NOT NULL DEFAULT 0,
    decision_reason text NOT NULL DEFAULT '',
    decider text NOT NULL DEFAULT '',
    decide_time timestamptz
)
""",
    "CREATE INDEX response_delivery_idx ON response (delivery_id)",
    "CREATE INDEX response_month_idx ON response (month, store_id)",
    # The month stands first in these keys: a store's month is found as well, and a whole month is closed in one range.
    # Sums are integers: any order of responses gives the same. A square of a score needs more than 64 bits in sum.
    """
CREATE TABLE grade_cell (
    store_id text NOT NULL,
    month text NOT NULL,
    model_code text NOT NULL,
    model_version integer NOT NULL,
    consultant_id text NOT NULL,
    mode text NOT NULL,
    code text NOT NULL,
    n bigint NOT NULL,
    total bigint NOT NULL,
    square numeric(40, 0) NOT NULL,
    top bigint NOT NULL,
    bottom bigint NOT NULL,
    PRIMARY KEY (month, store_id, model_code, model_version, consultant_id, mode, code)
) WITH (fillfactor = 80)
""",
)


def upgrade() -> None:
    create_scope_functions(op)
    create_kit_tables(op)
    create_store_table(op)
    for statement in _TABLES:
        op.execute(statement)
    for table in ("sample_frame", "response", "grade_cell"):
        protect_store_rows(op, table)
    grant_tables(op, TABLE, "sample_frame", "response", "grade_cell")
    # Published versions are immutable: the service only reads them, a new version comes by migration.
    op.execute(f'GRANT SELECT ON satisfaction_model_version TO "{service_role(op)}"')
    _publish("ssi-five-factor", 1)


def _publish(code: str, version: int) -> None:
    text = resources.files("scoring.models").joinpath(f"data/{code}.v{version}.json").read_text(encoding="utf-8")
    insert = sa.text(
        "INSERT INTO satisfaction_model_version (code, version, content, publish_time)"
        " VALUES (:code, :version, cast(:content AS jsonb), :publish_time)"
    )
    content = json.dumps(json.loads(text), ensure_ascii=False)
    row = {"code": code, "version": version, "content": content, "publish_time": _PUBLISHED}
    op.get_bind().execute(insert, row)
