"""Vehicles, warranty policies, maintenance plans and workshop visits.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

from dealership.stores import create_store_table
from kit.db.migrate import service_role
from kit.db.rls import create_scope_functions, grant_tables, protect_related_rows, protect_store_rows
from kit.db.tables import create_kit_tables
from kit.imports.tables import create_import_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

POLICIES = Path(__file__).parent.parent / "data" / "0001_policies.json"
VERSIONED = """
    brand_patterns text[] not null,
    series_patterns text[] not null,
    effective_from date not null,
    effective_to date,
    source text not null,
    verified boolean not null,
    note text not null
"""


def upgrade() -> None:
    create_scope_functions(op)
    create_kit_tables(op)
    create_store_table(op)
    create_import_tables(op)
    _create_policies()
    _create_vehicles()
    _create_visits()
    grant_tables(op, "store", "vehicle_sale", "vehicle_relation", "vehicle", "warranty_term")
    grant_tables(op, "workshop_visit", "service_record")
    # Published versions are immutable: the service can only read them, a new version comes by migration.
    for table in ("warranty_policy_version", "warranty_policy_span", "maintenance_plan_version"):
        op.execute(f'grant select on {table} to "{service_role(op)}"')
    _seed()


def _create_policies() -> None:
    op.execute(
        f"""
        create table warranty_policy_version (
            policy text not null,
            version integer not null,
            kind text not null
                constraint warranty_policy_version_kind_check check (kind in ('MANUFACTURER', 'STATUTORY')),
            {VERSIONED},
            primary key (policy, version)
        )
        """
    )
    op.execute(
        """
        create table warranty_policy_span (
            policy text not null,
            version integer not null,
            component_group text not null,
            months integer not null,
            distance_km integer not null,
            primary key (policy, version, component_group),
            foreign key (policy, version) references warranty_policy_version
        )
        """
    )
    op.execute(
        f"""
        create table maintenance_plan_version (
            plan text not null,
            version integer not null,
            first_service_months integer not null,
            first_service_km integer not null,
            free_services integer not null,
            assumed text[] not null,
            {VERSIONED},
            primary key (plan, version)
        )
        """
    )


def _create_vehicles() -> None:
    # What each delivery last said, whatever order the events came in; the vehicle is computed from these rows.
    op.execute(
        """
        create table vehicle_sale (
            delivery_id uuid primary key,
            store_id text not null,
            version bigint not null,
            vin text not null,
            brand text not null,
            series text not null,
            model text not null,
            delivery_date date not null,
            invoice_date date not null,
            odometer_km integer not null,
            cancelled boolean not null,
            record_time timestamptz not null
        )
        """
    )
    op.execute("create index vehicle_sale_vin_idx on vehicle_sale (vin)")
    op.execute(
        """
        create table vehicle_relation (
            vin text not null,
            store_id text not null,
            kind text not null
                constraint vehicle_relation_kind_check check (kind in ('SOLD', 'SALE_CANCELLED', 'SERVICED')),
            primary key (vin, store_id, kind)
        )
        """
    )
    op.execute(
        """
        create table vehicle (
            vin text primary key,
            brand text not null default '',
            series text not null default '',
            model text not null default '',
            delivery_date date,
            invoice_date date,
            delivery_odometer_km integer not null default 0,
            odometer_km integer not null default 0,
            plan_version text not null default '',
            first_service_due_date date,
            first_service_due_km integer not null default 0,
            first_service_done_date date,
            first_service_version bigint not null default 0,
            update_time timestamptz not null
        )
        """
    )
    op.execute(
        """
        create table warranty_term (
            vin text not null,
            component_group text not null,
            months integer not null,
            distance_km integer not null,
            end_date date not null,
            policy_version text not null,
            statutory_version text not null,
            statutory boolean not null,
            primary key (vin, component_group)
        )
        """
    )
    protect_store_rows(op, "vehicle_sale")
    protect_store_rows(op, "vehicle_relation")
    protect_related_rows(op, "vehicle", "vehicle_relation", "vin", table_key="vin")
    protect_related_rows(op, "warranty_term", "vehicle_relation", "vin", table_key="vin")


def _create_visits() -> None:
    op.execute(
        """
        create table workshop_visit (
            id uuid primary key,
            store_id text not null,
            vin text not null,
            visit_date date not null,
            odometer_km integer not null,
            kind text not null,
            next_due_date date,
            next_due_km integer not null,
            create_time timestamptz not null
        )
        """
    )
    op.execute("create unique index workshop_visit_once on workshop_visit (store_id, vin, visit_date, kind)")
    op.execute("create index workshop_visit_store_date_idx on workshop_visit (store_id, visit_date desc, id desc)")
    # The vehicle's service history without the store's people and prices: a group row (GRP-01a).
    op.execute(
        """
        create table service_record (
            visit_id uuid primary key,
            vin text not null,
            visit_date date not null,
            odometer_km integer not null,
            kind text not null
        )
        """
    )
    op.execute("create index service_record_vin_idx on service_record (vin, visit_date)")
    protect_store_rows(op, "workshop_visit")
    protect_related_rows(op, "service_record", "vehicle_relation", "vin", table_key="vin")


def _seed() -> None:
    data = json.loads(POLICIES.read_text(encoding="utf-8"))
    for entry in (*data["policies"], *data["plans"]):
        for day in ("effective_from", "effective_to"):
            entry[day] = date.fromisoformat(entry[day]) if entry[day] else None
    spans = [
        {"policy": entry["policy"], "version": entry["version"], "component_group": group, **span}
        for entry in data["policies"]
        for group, span in entry.pop("spans").items()
    ]
    op.bulk_insert(_table("warranty_policy_version", data["policies"]), data["policies"])
    op.bulk_insert(_table("warranty_policy_span", spans), spans)
    op.bulk_insert(_table("maintenance_plan_version", data["plans"]), data["plans"])


def _table(name: str, rows: list[dict[str, object]]) -> sa.TableClause:
    """Return the table with as much type as its parameters need: asyncpg wants dates as dates, lists as arrays."""
    special: dict[str, TypeEngine[Any]] = {
        "effective_from": sa.Date(),
        "effective_to": sa.Date(),
        "brand_patterns": sa.ARRAY(sa.Text()),
        "series_patterns": sa.ARRAY(sa.Text()),
        "assumed": sa.ARRAY(sa.Text()),
        "verified": sa.Boolean(),
        "version": sa.Integer(),
        "months": sa.Integer(),
        "distance_km": sa.Integer(),
        "first_service_months": sa.Integer(),
        "first_service_km": sa.Integer(),
        "free_services": sa.Integer(),
    }
    return sa.table(name, *(sa.column(column, special.get(column, sa.Text())) for column in rows[0]))


def downgrade() -> None:
    op.execute(
        "drop table service_record, workshop_visit, warranty_term, vehicle, vehicle_relation, vehicle_sale, "
        "maintenance_plan_version, warranty_policy_span, warranty_policy_version, store"
    )
