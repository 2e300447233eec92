"""Statements over many visits at once: one round trip each, whatever the size of the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from aftersales.vehicles.values import Service, VisitKind
from aftersales.visits.values import Draft, History
from aftersales.warranty.values import FirstService

if TYPE_CHECKING:
    import asyncpg

# The relation comes first: without it a store cannot see a vehicle that exists. In the order of the VINs, so that two
# transactions cannot wait for each other.
_RELATE: Final = """
insert into vehicle_relation (vin, store_id, kind)
select vin, store_id, 'SERVICED' from unnest($1::text[], $2::text[]) as new (vin, store_id) order by vin, store_id
on conflict do nothing
"""
_ADD_VEHICLES: Final = """
insert into vehicle (vin, update_time) select vin, $2 from unnest($1::text[]) as new (vin) order by vin
on conflict (vin) do nothing
"""
_VEHICLES: Final = """
select vin, delivery_date, delivery_odometer_km, first_service_due_date, first_service_due_km,
       first_service_done_date, first_service_version
from vehicle where vin = any ($1::text[]) order by vin
"""
_RECORDED: Final = """
select store_id, vin, visit_date, kind from workshop_visit where vin = any ($1::text[]) and store_id = any ($2::text[])
"""
_SERVICES: Final = "select vin, visit_date, odometer_km, kind from service_record where vin = any ($1::text[])"
_ADD_VISITS: Final = """
insert into workshop_visit (id, store_id, vin, visit_date, odometer_km, kind, next_due_date, next_due_km, create_time)
select *, $9::timestamptz from unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::integer[], $6::text[],
                                      $7::date[], $8::integer[])
"""
_ADD_SERVICES: Final = """
insert into service_record (visit_id, vin, visit_date, odometer_km, kind)
select * from unnest($1::uuid[], $2::text[], $3::date[], $4::integer[], $5::text[])
"""
_WRITE_VEHICLES: Final = """
update vehicle set
    odometer_km = new.odometer_km, first_service_done_date = new.done_date, first_service_version = new.version,
    update_time = $5
from unnest($1::text[], $2::integer[], $3::date[], $4::bigint[]) as new (vin, odometer_km, done_date, version)
where vehicle.vin = new.vin
"""


async def enter(connection: asyncpg.Connection, visits: Sequence[tuple[str, Draft]], now: datetime) -> None:
    """Make the vehicles known and visible to the stores that serviced them."""
    pairs = sorted({(visit.vin, store_id) for store_id, visit in visits})
    await connection.execute(_RELATE, [vin for vin, _ in pairs], [store_id for _, store_id in pairs])
    await connection.execute(_ADD_VEHICLES, sorted({vin for vin, _ in pairs}), now)


async def histories(
    connection: asyncpg.Connection, visits: Sequence[tuple[str, Draft]], *, lock: bool
) -> dict[str, History]:
    """Return what is known of each vehicle that is known, by VIN; locked until the end of the transaction or not."""
    vins = sorted({visit.vin for _, visit in visits})
    # Read after the locks: of two transactions with visits of one vehicle, the second sees what the first wrote.
    vehicles = await connection.fetch(_VEHICLES + (" for update" if lock else ""), vins)
    services: dict[str, list[Service]] = {vin: [] for vin in vins}
    for vin, day, odometer_km, kind in await connection.fetch(_SERVICES, vins):
        services[vin].append(Service(day, odometer_km, VisitKind(kind)))
    recorded: dict[str, set[tuple[str, date, VisitKind]]] = {vin: set() for vin in vins}
    stores = sorted({store_id for store_id, _ in visits})
    for store_id, vin, day, kind in await connection.fetch(_RECORDED, vins, stores):
        recorded[vin].add((store_id, day, VisitKind(kind)))
    return {
        row["vin"]: History(
            delivery_date=row["delivery_date"],
            delivery_odometer_km=row["delivery_odometer_km"],
            first_service=FirstService(row[3], row[4], row[5]),
            first_service_version=row["first_service_version"],
            services=tuple(services[row["vin"]]),
            recorded=frozenset(recorded[row["vin"]]),
        )
        for row in vehicles
    }


async def write_visits(
    connection: asyncpg.Connection, visits: Sequence[tuple[UUID, str, Draft]], now: datetime
) -> None:
    """Write the visits of these ids and stores, and the vehicles' service history."""
    rows = [
        (
            *(visit_id, store_id, visit.vin, visit.visit_date, visit.odometer_km, visit.kind.value),
            *(visit.next_due_date, visit.next_due_km),
        )
        for visit_id, store_id, visit in visits
    ]
    columns = _columns(rows)
    await connection.execute(_ADD_VISITS, *columns, now)
    await connection.execute(_ADD_SERVICES, columns[0], *columns[2:6])


async def write_vehicles(
    connection: asyncpg.Connection, vehicles: Mapping[str, tuple[int, date | None, int]], now: datetime
) -> None:
    """Write the last odometer, the day of the first service and its version by VIN."""
    columns = _columns([(vin, *vehicle) for vin, vehicle in vehicles.items()])
    await connection.execute(_WRITE_VEHICLES, *columns, now)


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
