"""Statements over many vehicles at once: one round trip each, whatever the size of the batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from aftersales.vehicles.values import Derived, Sale, Service, VisitKind
from aftersales.warranty.values import FirstService

if TYPE_CHECKING:
    import asyncpg

_KEEP_SALES: Final = """
insert into vehicle_sale (delivery_id, store_id, version, vin, brand, series, model, delivery_date, invoice_date,
                          odometer_km, cancelled, record_time)
select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                     $8::date[], $9::date[], $10::integer[], $11::boolean[], $12::timestamptz[])
on conflict (delivery_id) do update set
    store_id = excluded.store_id, version = excluded.version, vin = excluded.vin, brand = excluded.brand,
    series = excluded.series, model = excluded.model, delivery_date = excluded.delivery_date,
    invoice_date = excluded.invoice_date, odometer_km = excluded.odometer_km, cancelled = excluded.cancelled,
    record_time = excluded.record_time
where vehicle_sale.version < excluded.version or ($13 and vehicle_sale.version <> excluded.version)
returning vin
"""
_FORGET_SALES: Final = """
delete from vehicle_sale where record_time < $1 and delivery_id <> all ($2::uuid[]) returning vin
"""
_ADD_VEHICLES: Final = """
insert into vehicle (vin, update_time) select vin, $2 from unnest($1::text[]) as new (vin) on conflict (vin) do nothing
"""
# In the order of the VINs, so that two transactions cannot wait for each other.
_LOCK_VEHICLES: Final = """
select vin, first_service_due_date, first_service_due_km, first_service_done_date, first_service_version
from vehicle where vin = any ($1::text[]) order by vin for update
"""
_SALES: Final = """
select delivery_id, store_id, version, vin, brand, series, model, delivery_date, invoice_date, odometer_km, cancelled,
       record_time
from vehicle_sale where vin = any ($1::text[])
"""
_SERVICES: Final = "select vin, visit_date, odometer_km, kind from service_record where vin = any ($1::text[])"
_WRITE_VEHICLES: Final = """
update vehicle set
    brand = new.brand, series = new.series, model = new.model, delivery_date = new.delivery_date,
    invoice_date = new.invoice_date, delivery_odometer_km = new.delivery_odometer_km, odometer_km = new.odometer_km,
    plan_version = new.plan_version, first_service_due_date = new.due_date, first_service_due_km = new.due_km,
    first_service_done_date = new.done_date, first_service_version = new.version, update_time = $14
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::date[], $6::date[], $7::integer[], $8::integer[],
            $9::text[], $10::date[], $11::integer[], $12::date[], $13::bigint[])
     as new (vin, brand, series, model, delivery_date, invoice_date, delivery_odometer_km, odometer_km, plan_version,
             due_date, due_km, done_date, version)
where vehicle.vin = new.vin
"""
_DROP_TERMS: Final = "delete from warranty_term where vin = any ($1::text[])"
_ADD_TERMS: Final = """
insert into warranty_term (vin, component_group, months, distance_km, end_date, policy_version, statutory_version,
                           statutory)
select * from unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::date[], $6::text[], $7::text[],
                     $8::boolean[])
"""
_DROP_SELLERS: Final = "delete from vehicle_relation where vin = any ($1::text[]) and kind <> 'SERVICED'"
_ADD_SELLERS: Final = """
insert into vehicle_relation (vin, store_id, kind) select * from unnest($1::text[], $2::text[], $3::text[])
"""


async def keep_sales(connection: asyncpg.Connection, sales: Iterable[Sale], *, rewound: bool = False) -> list[str]:
    """Store what is newer than what is known of each delivery; returns the VINs that changed, sorted.

    At most one of the sales may be of the same delivery. When their source was `rewound` (restored from a backup),
    an older version is right too.
    """
    rows = [astuple(sale) for sale in sorted(sales, key=lambda sale: sale.delivery_id)]
    changed = await connection.fetch(_KEEP_SALES, *_columns(rows, 12), rewound)
    return sorted({row["vin"] for row in changed})


async def forget_sales(connection: asyncpg.Connection, known: Iterable[UUID], before: datetime) -> list[str]:
    """Remove the sales recorded before that time that are not among the known; returns their VINs, sorted."""
    gone = await connection.fetch(_FORGET_SALES, before, list(known))
    return sorted({row["vin"] for row in gone})


async def lock(
    connection: asyncpg.Connection, vins: Sequence[str], now: datetime
) -> dict[str, tuple[FirstService, int]]:
    """Lock these vehicles, new ones included; returns each one's first service and its version. `vins` is sorted."""
    await connection.execute(_ADD_VEHICLES, vins, now)
    rows = await connection.fetch(_LOCK_VEHICLES, vins)
    return {row[0]: (FirstService(row[1], row[2], row[3]), row[4]) for row in rows}


async def sales_of(connection: asyncpg.Connection, vins: Sequence[str]) -> dict[str, list[Sale]]:
    """Return the sales of each of these vehicles."""
    found: dict[str, list[Sale]] = {vin: [] for vin in vins}
    for row in await connection.fetch(_SALES, vins):
        found[row["vin"]].append(Sale(*row))
    return found


async def services_of(connection: asyncpg.Connection, vins: Sequence[str]) -> dict[str, list[Service]]:
    """Return the workshop visits of each of these vehicles."""
    found: dict[str, list[Service]] = {vin: [] for vin in vins}
    for vin, visit_date, odometer_km, kind in await connection.fetch(_SERVICES, vins):
        found[vin].append(Service(visit_date, odometer_km, VisitKind(kind)))
    return found


async def write(connection: asyncpg.Connection, derived: Sequence[tuple[Derived, int]], now: datetime) -> None:
    """Write vehicles, each with the version of its first service, their terms and their sellers."""
    vins = [one.vehicle.vin for one, _ in derived]
    vehicles = [(*_flat(one), version) for one, version in derived]
    await connection.execute(_WRITE_VEHICLES, *_columns(vehicles, 13), now)
    await connection.execute(_DROP_TERMS, vins)
    terms = [
        (
            one.vehicle.vin,
            term.component_group.value,
            term.months,
            term.distance_km,
            term.end_date,
            term.policy_version,
            term.statutory_version,
            term.statutory,
        )
        for one, _ in derived
        for term in one.terms
    ]
    await connection.execute(_ADD_TERMS, *_columns(terms, 8))
    await connection.execute(_DROP_SELLERS, vins)
    sellers = [(one.vehicle.vin, store, kind.value) for one, _ in derived for store, kind in one.sellers]
    await connection.execute(_ADD_SELLERS, *_columns(sellers, 3))


def _flat(derived: Derived) -> tuple[Any, ...]:
    vehicle, service = derived.vehicle, derived.vehicle.first_service
    return (
        vehicle.vin,
        vehicle.brand,
        vehicle.series,
        vehicle.model,
        vehicle.delivery_date,
        vehicle.invoice_date,
        vehicle.delivery_odometer_km,
        vehicle.odometer_km,
        vehicle.plan_version,
        service.due_date,
        service.due_km,
        service.done_date,
    )


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
