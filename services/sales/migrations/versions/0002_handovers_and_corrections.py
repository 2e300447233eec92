"""Daily hand-overs to customer care, and data corrections.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

from kit.db.rls import grant_tables, protect_store_rows

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_corrections()
    _create_handovers()


def downgrade() -> None:
    op.execute("drop index delivery_store_date_idx")
    op.execute("drop table handover_watch, daily_handover_report, daily_handover, data_correction")


def _create_corrections() -> None:
    # Ids without foreign keys: customer care may ask for a customer that is not here.
    op.execute(
        """
        create table data_correction (
            id uuid primary key,
            store_id text not null,
            delivery_id uuid,
            customer_id uuid,
            field text not null,
            reason text not null,
            source text not null,
            state text not null constraint data_correction_state_check check (state in ('OPEN', 'RESOLVED')),
            note_sealed bytea,
            version bigint not null,
            create_time timestamptz not null,
            resolve_time timestamptz,
            resolver text not null,
            constraint data_correction_resolved_check check ((state = 'RESOLVED') = (resolve_time is not null))
        )
        """
    )
    # The same correction is open at most once.
    op.execute(
        "create unique index data_correction_open_key "
        "on data_correction (store_id, delivery_id, customer_id, field, reason) nulls not distinct "
        "where state = 'OPEN'"
    )
    op.execute("create index data_correction_store_time_idx on data_correction (store_id, create_time desc, id desc)")
    # The inbox stays small beside what was ever resolved.
    op.execute(
        "create index data_correction_store_open_idx on data_correction (store_id, create_time desc, id desc) "
        "where state = 'OPEN'"
    )
    op.execute("create index data_correction_delivery_idx on data_correction (delivery_id)")
    op.execute("create index data_correction_customer_idx on data_correction (customer_id)")
    protect_store_rows(op, "data_correction")
    grant_tables(op, "data_correction")


def _create_handovers() -> None:
    # `version` counts the reports: 0 while a day is only flagged. `told_*` is the disagreement that was told last.
    op.execute(
        """
        create table daily_handover (
            store_id text not null,
            date date not null,
            reported_deliveries integer constraint daily_handover_reported_check check (reported_deliveries >= 0),
            note_sealed bytea,
            late boolean not null,
            reporter text not null,
            report_time timestamptz,
            cut_off_time timestamptz not null,
            alert_time timestamptz,
            told_reported integer,
            told_recorded integer,
            version bigint not null,
            primary key (store_id, date),
            constraint daily_handover_report_whole check (
                (reported_deliveries is null) = (report_time is null)
                and (reported_deliveries is null) = (version = 0)
            )
        )
        """
    )
    # What each report said; never changed.
    op.execute(
        """
        create table daily_handover_report (
            store_id text not null,
            date date not null,
            version bigint not null,
            reported_deliveries integer not null,
            recorded_deliveries integer not null,
            note_sealed bytea,
            reporter text not null,
            report_time timestamptz not null,
            primary key (store_id, date, version),
            foreign key (store_id, date) references daily_handover
        )
        """
    )
    # The first day of each store whose cut-off has not been looked at; its timer is due then.
    op.execute(
        """
        create table handover_watch (
            store_id text primary key,
            next_date date not null
        )
        """
    )
    op.execute("create index delivery_store_date_idx on delivery (store_id, delivery_date) where state <> 'CANCELLED'")
    for table in ("daily_handover", "daily_handover_report", "handover_watch"):
        protect_store_rows(op, table)
    grant_tables(op, "daily_handover", "daily_handover_report", "handover_watch")
