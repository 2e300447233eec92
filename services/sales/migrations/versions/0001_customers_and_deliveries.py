"""Customers and deliveries.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from alembic import op

from dealership.staff import create_staff_table
from dealership.stores import create_store_table
from kit.db.rls import create_scope_functions, grant_tables, protect_store_rows
from kit.db.tables import create_kit_tables
from kit.imports.tables import create_import_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_scope_functions(op)
    create_kit_tables(op)
    create_store_table(op)
    create_staff_table(op)
    create_import_tables(op)
    op.execute(
        """
        create table customer (
            id uuid primary key,
            store_id text not null,
            name_sealed bytea,
            name_blind bytea,
            phone_sealed bytea,
            phone_blind bytea,
            phone_verified boolean not null,
            consents jsonb not null,
            version bigint not null,
            create_time timestamptz not null,
            update_time timestamptz not null,
            erase_time timestamptz,
            constraint customer_erased_or_whole check (
                (erase_time is null) = (name_sealed is not null)
                and (name_sealed is null) = (name_blind is null)
                and (phone_sealed is null) = (phone_blind is null)
                and (erase_time is null or phone_sealed is null)
            )
        )
        """
    )
    # A customer is found again within the store by telephone and name; also for two concurrent deliveries. One without
    # a telephone equals nobody: NULLs are distinct.
    op.execute(
        "create unique index customer_store_phone_name_key on customer (store_id, phone_blind, name_blind) "
        "where erase_time is null"
    )
    op.execute(
        """
        create table delivery (
            id uuid primary key,
            store_id text not null,
            vin text not null,
            brand text not null,
            series text not null,
            model text not null,
            customer_id uuid references customer,
            consultant_id text not null,
            delivery_time timestamptz not null,
            delivery_date date not null,
            invoice_date date not null,
            odometer_km integer not null,
            plate_sealed bytea,
            plate_blind bytea,
            insurance_expiry_date date,
            finance_end_date date,
            state text not null constraint delivery_state_check check (state in ('COMPLETED', 'CANCELLED')),
            cancel_reason text not null,
            warnings text[] not null,
            version bigint not null,
            create_time timestamptz not null,
            update_time timestamptz not null
        )
        """
    )
    # One vehicle, one first customer, in the whole group: a unique index sees the rows that policies hide.
    op.execute("create unique index delivery_vin_once on delivery (vin) where state <> 'CANCELLED'")
    op.execute("create index delivery_store_time_idx on delivery (store_id, delivery_time desc, id desc)")
    op.execute("create index delivery_store_vin_idx on delivery (store_id, vin)")
    op.execute("create index delivery_customer_idx on delivery (customer_id)")
    protect_store_rows(op, "customer")
    protect_store_rows(op, "delivery")
    grant_tables(op, "store", "staff", "customer", "delivery")


def downgrade() -> None:
    op.execute("drop table delivery, customer, store")
