"""The tables of imports; store rows, with an empty store for the files of the group, which only its scope sees."""

from __future__ import annotations

from typing import Final

from kit.db.operations import MigrationOperations
from kit.db.rls import grant_tables, protect_store_rows

IMPORT_TABLES: Final = (
    "import_job",
    "import_piece",
    "import_batch",
    "import_remark",
    "import_key",
    "import_known",
    "mapping_profile",
)

_JOB: Final = (
    """
create table import_job (
    id uuid primary key,
    kind text not null,
    store_id text not null,
    state text not null constraint import_job_state_check check (state in
        ('UPLOADING', 'CHECKING', 'CHECKED', 'TAKING_OVER', 'DONE', 'REFUSED', 'CANCELLED', 'EXPIRED')),
    file_name text not null,
    file_bytes bigint not null,
    mapping bytea not null,
    mapping_profile text not null,
    validate_only boolean not null,
    all_or_nothing boolean not null,
    row_count bigint not null,
    progress_percent bigint not null,
    planned bigint not null,
    taken bigint not null,
    unchanged bigint not null,
    rejected bigint not null,
    handled bigint not null,
    rejected_by_reason jsonb not null,
    warnings_by_reason jsonb not null,
    refusal_reason text not null,
    refusal_message text not null,
    recognised jsonb not null,
    headers text[] not null,
    creator text not null,
    confirmer text not null,
    create_time timestamptz not null,
    confirm_time timestamptz,
    finish_time timestamptz,
    expire_time timestamptz,
    run bigint not null,
    attempts bigint not null,
    wake_time timestamptz not null,
    version bigint not null
)
""",
    "create index import_job_list_idx on import_job (kind, store_id, create_time desc, id desc)",
    "create index import_job_work_idx on import_job (kind, wake_time) where state in ('CHECKING', 'TAKING_OVER')",
    "create index import_job_expire_idx on import_job (expire_time) where state in ('UPLOADING', 'CHECKED')",
)
# The file as it came, the confirmed set, and the keys of the dry run: gone when the import has ended.
_PARTS: Final = (
    """
create table import_piece (
    import_id uuid not null references import_job,
    position bigint not null,
    store_id text not null,
    bytes bigint not null,
    data_sealed bytea not null,
    primary key (import_id, position)
)
""",
    """
create table import_batch (
    import_id uuid not null references import_job,
    number bigint not null,
    store_id text not null,
    first_row bigint not null,
    last_row bigint not null,
    left_out bigint[] not null,
    drafts_sealed bytea not null,
    primary key (import_id, number)
)
""",
    """
create table import_key (
    import_id uuid not null,
    digest bytea not null,
    store_id text not null,
    row_number bigint not null,
    key_blind bytea,
    rank text not null,
    warnings text[] not null,
    primary key (import_id, digest)
)
""",
)
_REMARK: Final = (
    """
create table import_remark (
    import_id uuid not null references import_job,
    row_number bigint not null,
    place bigint not null,
    store_id text not null,
    severity text not null,
    header text not null,
    field text not null,
    reason text not null,
    message text not null,
    cell_sealed bytea,
    primary key (import_id, row_number, place)
)
""",
    "create index import_remark_severity_idx on import_remark (import_id, severity, row_number, place)",
)
# The keyed digest of every row that was ever taken.
_KNOWN: Final = (
    """
create table import_known (
    digest bytea primary key,
    store_id text not null
)
""",
)
_PROFILE: Final = (
    """
create table mapping_profile (
    kind text not null,
    store_id text not null,
    id text not null,
    display_name text not null,
    mapping bytea not null,
    update_time timestamptz not null,
    version bigint not null,
    primary key (kind, store_id, id)
)
""",
)


def create_import_tables(op: MigrationOperations) -> None:
    """Create the tables of imports, protect them and let the service role use them; after the scope functions."""
    for statement in (*_JOB, *_PARTS, *_REMARK, *_KNOWN, *_PROFILE):
        op.execute(statement)
    for table in IMPORT_TABLES:
        protect_store_rows(op, table)
    grant_tables(op, *IMPORT_TABLES)
