"""Use cases of vehicles; the caller's transaction, never a commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from aftersales.vehicles import bulk, rules
from aftersales.vehicles.model import ServiceRecord, Vehicle, VehicleRelation
from aftersales.vehicles.values import Derived, Sale, Service
from aftersales.warranty import service as warranty
from aftersales.warranty.model import WarrantyTerm
from aftersales.warranty.values import FirstService, Reading, Standing, Term
from dealerloop.aftersales.events.v1 import events_pb2
from dealerloop.aftersales.v1 import vehicles_pb2
from kit.db.engine import raw_connection
from kit.errors import NotFound
from kit.messaging import outbox

_CHUNK = 1000


class VehicleNotFound(NotFound):
    """The store neither sold nor serviced such a vehicle; says the same when another store did (GRP-01a)."""

    reason = "VEHICLE_NOT_FOUND"


@dataclass(frozen=True, slots=True)
class VehicleFile:
    """What a store may know of a vehicle."""

    vehicle: Vehicle
    terms: tuple[Term, ...]
    services: tuple[Service, ...]

    @property
    def readings(self) -> tuple[Reading, ...]:
        """Every odometer reading."""
        return rules.readings(self.vehicle.delivery_date, self.vehicle.delivery_odometer_km, self.services)

    @property
    def standing(self) -> Standing:
        """What a coverage decision needs of it."""
        return Standing(self.vehicle.invoice_date, self.terms, self.vehicle.first_service, self.readings)


async def take_sales(session: AsyncSession, sales: Iterable[Sale], now: datetime, *, rewound: bool = False) -> None:
    """Take what deliveries say into the vehicles, in any order and however often.

    `rewound` takes older versions too: their source was restored from a backup. Publishes FirstServiceChanged for
    each vehicle whose first service is due or done at another time.
    """
    newest = rules.newest(sales)
    if newest:
        connection = await raw_connection(session)
        await _derive(session, await bulk.keep_sales(connection, newest.values(), rewound=rewound), now)


async def forget_sales(session: AsyncSession, known: Iterable[UUID], before: datetime, now: datetime) -> None:
    """Remove what a restored source does not know any more of the time before, and derive the vehicles again."""
    connection = await raw_connection(session)
    await _derive(session, await bulk.forget_sales(connection, known, before), now)


async def _derive(session: AsyncSession, vins: Sequence[str], now: datetime) -> None:
    if not vins:
        return
    connection = await raw_connection(session)
    # Read after the locks: of two transactions with sales of one vehicle, the second sees what the first wrote.
    known = await bulk.lock(connection, vins, now)
    sales_of, services_of = await bulk.sales_of(connection, vins), await bulk.services_of(connection, vins)
    catalogue = await warranty.catalogue(session)
    written: list[tuple[Derived, int]] = []
    events: list[tuple[events_pb2.FirstServiceChanged, str]] = []
    for vin in vins:
        derived = rules.derive(vin, sales_of[vin], services_of[vin], catalogue)
        before, version = known[vin]
        after = derived.vehicle.first_service
        if after != before:
            version += 1
            events.append((first_service_changed(vin, version, after), vin))
        written.append((derived, version))
    await bulk.write(connection, written, now)
    await outbox.add_many(session, events, now=now)


async def file_of(session: AsyncSession, store_id: str, vin: str) -> VehicleFile:
    """Return a vehicle that the store sold or serviced; raises VehicleNotFound."""
    related = select(VehicleRelation).where(VehicleRelation.vin == vin, VehicleRelation.store_id == store_id)
    vehicle = await session.scalar(select(Vehicle).where(Vehicle.vin == vin, related.exists()))
    if vehicle is None:
        raise VehicleNotFound("this store neither sold nor serviced such a vehicle")
    terms = await session.scalars(select(WarrantyTerm).where(WarrantyTerm.vin == vin))
    ordered = sorted((term.value() for term in terms), key=lambda term: term.component_group.value)
    return VehicleFile(vehicle, tuple(ordered), await services_of(session, vin))


async def services_of(session: AsyncSession, vin: str) -> tuple[Service, ...]:
    """Return the vehicle's visits to the group's workshops, oldest first."""
    records = await session.scalars(select(ServiceRecord).where(ServiceRecord.vin == vin))
    return tuple(sorted((record.value() for record in records), key=lambda one: (one.visit_date, one.odometer_km)))


async def take_service(session: AsyncSession, vehicle: Vehicle, services: Sequence[Service], now: datetime) -> None:
    """Bring a locked vehicle up to date with its visits; publishes FirstServiceChanged when that changed."""
    readings = rules.readings(vehicle.delivery_date, vehicle.delivery_odometer_km, services)
    vehicle.odometer_km = rules.last_odometer(readings)
    vehicle.update_time = now
    done = rules.first_service_done(services)
    if done != vehicle.first_service_done_date:
        vehicle.first_service_done_date = done
        vehicle.first_service_version += 1
        event = first_service_changed(vehicle.vin, vehicle.first_service_version, vehicle.first_service)
        await outbox.add(session, event, key=vehicle.vin, now=now)


async def every_first_service(session: AsyncSession) -> AsyncIterator[vehicles_pb2.FirstService]:
    """Yield the first service of every vehicle of which anything is known, by VIN."""
    last = ""
    while True:
        known = select(Vehicle).where(Vehicle.vin > last, Vehicle.first_service_version > 0)
        rows = (await session.scalars(known.order_by(Vehicle.vin).limit(_CHUNK))).all()
        for row in rows:
            yield message(row.vin, row.first_service_version, row.first_service)
        if len(rows) < _CHUNK:
            return
        last = rows[-1].vin
        session.expunge_all()


def message(vin: str, version: int, service: FirstService) -> vehicles_pb2.FirstService:
    """Return the first service as other services are told of it."""
    return vehicles_pb2.FirstService(
        vin=vin,
        version=version,
        due_date=service.due_date.isoformat() if service.due_date else "",
        due_km=service.due_km,
        done_date=service.done_date.isoformat() if service.done_date else "",
    )


def first_service_changed(vin: str, version: int, service: FirstService) -> events_pb2.FirstServiceChanged:
    """Return the event of a first service that is due or made at another time."""
    return events_pb2.FirstServiceChanged(vin=vin, first_service=message(vin, version, service))
