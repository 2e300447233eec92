"""The closing of months: revisions that never change, and what came after them."""

from alembic import op

from kit.db.migrate import service_role
from kit.db.rls import grant_tables, protect_store_rows

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REVISIONS = """
CREATE TABLE month_revision (
    month text NOT NULL,
    revision integer NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL,
    creator text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (month, revision)
)
"""
# A store has rows of a revision only where it changed; its grade in any revision is the newest one up to it.
_KEPT = {
    "closed_grade": """
CREATE TABLE closed_grade (
    month text NOT NULL,
    store_id text NOT NULL,
    revision integer NOT NULL,
    previous integer NOT NULL,
    responses bigint NOT NULL,
    sample_frame bigint NOT NULL,
    answered bigint NOT NULL,
    PRIMARY KEY (month, store_id, revision),
    FOREIGN KEY (month, revision) REFERENCES month_revision
)
""",
    # The same columns as `response` without what can be decided about it.
    "counted_response": """
CREATE TABLE counted_response (
    month text NOT NULL,
    store_id text NOT NULL,
    revision integer NOT NULL,
    response_id uuid NOT NULL,
    version bigint NOT NULL,
    delivery_id uuid NOT NULL,
    consultant_id text NOT NULL,
    customer_id text NOT NULL,
    mode text NOT NULL,
    submit_time timestamptz NOT NULL,
    questionnaire_version text NOT NULL,
    model_code text NOT NULL,
    model_version integer NOT NULL,
    marks jsonb NOT NULL,
    PRIMARY KEY (month, store_id, revision, response_id)
)
""",
    # The cells of a consultant and an interview mode in one row, as parallel arrays in the order of the codes: a month
    # of a thousand stores has millions of cells, and nobody changes them any more.
    "closed_cells": """
CREATE TABLE closed_cells (
    month text NOT NULL,
    store_id text NOT NULL,
    revision integer NOT NULL,
    model_code text NOT NULL,
    model_version integer NOT NULL,
    consultant_id text NOT NULL,
    mode text NOT NULL,
    codes text[] NOT NULL,
    n bigint[] NOT NULL,
    total bigint[] NOT NULL,
    square numeric(40, 0)[] NOT NULL,
    top bigint[] NOT NULL,
    bottom bigint[] NOT NULL,
    PRIMARY KEY (month, store_id, revision, model_code, model_version, consultant_id, mode)
)
""",
    # The index of a store by model version; n is 0 where the revision before had one and this has none.
    "closed_index": """
CREATE TABLE closed_index (
    month text NOT NULL,
    revision integer NOT NULL,
    store_id text NOT NULL,
    model_code text NOT NULL,
    model_version integer NOT NULL,
    n bigint NOT NULL,
    total bigint NOT NULL,
    square numeric(40, 0) NOT NULL,
    PRIMARY KEY (month, revision, store_id, model_code, model_version)
)
""",
    # What a re-opening counted differently from the revision before.
    "changed_response": """
CREATE TABLE changed_response (
    month text NOT NULL,
    revision integer NOT NULL,
    store_id text NOT NULL,
    model_code text NOT NULL,
    model_version integer NOT NULL,
    change text NOT NULL CHECK (change IN ('ADDED', 'REMOVED', 'CHANGED')),
    response_id uuid NOT NULL,
    PRIMARY KEY (month, revision, store_id, model_code, model_version, change, response_id)
)
""",
}
# Responses of closed months that somebody touched after the latest revision; the next one empties it.
_TOUCHED = """
CREATE TABLE touched_response (
    month text NOT NULL,
    store_id text NOT NULL,
    response_id uuid NOT NULL,
    PRIMARY KEY (month, store_id, response_id)
)
"""
_STATE = ", ".join(
    f"{{0}}.{column}"
    for column in (
        *("version", "delivery_id", "consultant_id", "customer_id", "mode", "submit_time"),
        *("questionnaire_version", "model_code", "model_version", "marks"),
    )
)
# Which of them count differently now: what the next revision would change. One row for each response; the model
# version before is null where it did not count, the one now where it does not.
_LATE = f"""
CREATE VIEW late_change WITH (security_invoker = true) AS
SELECT touched.month, touched.store_id, touched.response_id,
       before.model_code AS model_code_before, before.model_version AS model_version_before,
       live.model_code AS model_code_now, live.model_version AS model_version_now
FROM touched_response touched
LEFT JOIN LATERAL (
    SELECT max(revision) AS revision FROM closed_grade grade
    WHERE grade.month = touched.month AND grade.store_id = touched.store_id
) latest ON true
LEFT JOIN counted_response before
    ON before.month = touched.month AND before.store_id = touched.store_id
    AND before.revision = latest.revision AND before.response_id = touched.response_id
LEFT JOIN response live
    ON live.response_id = touched.response_id AND live.month = touched.month
    AND live.store_id = touched.store_id AND NOT live.excluded
WHERE ({_STATE.format("before")}) IS DISTINCT FROM ({_STATE.format("live")})
"""
_REFUSE = """
CREATE FUNCTION refuse_change_of_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closed revision never changes' USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""
# Whatever the code does: nothing is added to a revision once the transaction that made it has ended.
_ONLY_WITH_REVISION = """
CREATE FUNCTION require_new_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM public.month_revision WHERE xmin = pg_catalog.pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'a closed revision never changes' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    for statement in (_REVISIONS, *_KEPT.values(), _TOUCHED, _LATE, _REFUSE, _ONLY_WITH_REVISION):
        op.execute(statement)
    for table in (*_KEPT, "touched_response"):
        protect_store_rows(op, table)
    grant_tables(op, "touched_response")
    role = service_role(op)
    op.execute(f'GRANT SELECT ON late_change TO "{role}"')
    for table in ("month_revision", *_KEPT):
        op.execute(f'GRANT SELECT, INSERT ON {table} TO "{role}"')
        _never_changes(table)
    for table in _KEPT:
        op.execute(
            f"CREATE TRIGGER revisions_are_whole BEFORE INSERT ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION require_new_revision()"
        )


def _never_changes(table: str) -> None:
    op.execute(
        f"CREATE TRIGGER revisions_stay BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change_of_revision()"
    )
    op.execute(
        f"CREATE TRIGGER revisions_are_kept BEFORE TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_revision()"
    )
