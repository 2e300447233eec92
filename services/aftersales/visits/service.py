"""Use cases of workshop visits; the caller's transaction, never a commit."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from aftersales.vehicles import rules as vehicle_rules
from aftersales.vehicles import service as vehicles
from aftersales.vehicles.model import ServiceRecord, Vehicle, VehicleRelation
from aftersales.vehicles.values import RelationKind, Service
from aftersales.visits import rules
from aftersales.visits.model import WorkshopVisit
from aftersales.visits.values import Draft
from dealerloop.aftersales.events.v1 import events_pb2
from kit.db.paging import KeyValue, keyset, split
from kit.errors import NotFound
from kit.ids import new_id
from kit.messaging import outbox
from kit.rpc.carry import carry


class VisitNotFound(NotFound):
    """The store has no such visit."""

    reason = "VISIT_NOT_FOUND"


async def load(session: AsyncSession, store_id: str, visit_id: UUID) -> WorkshopVisit:
    """Return one visit of the store; raises VisitNotFound."""
    query = select(WorkshopVisit).where(WorkshopVisit.id == visit_id, WorkshopVisit.store_id == store_id)
    visit = await session.scalar(query)
    if visit is None:
        raise VisitNotFound("there is no such visit in this store")
    return visit


async def page(
    session: AsyncSession, store_id: str, *, vin: str | None, after: tuple[KeyValue, ...], size: int
) -> tuple[list[WorkshopVisit], WorkshopVisit | None]:
    """Return one page of a store's visits, newest first, and its last row when another page follows."""
    query = select(WorkshopVisit).where(WorkshopVisit.store_id == store_id)
    if vin is not None:
        query = query.where(WorkshopVisit.vin == vin)
    query = keyset(query, (WorkshopVisit.visit_date, WorkshopVisit.id), after, size, descending=True)
    found, last = split((await session.scalars(query)).all(), size)
    return list(found), last


async def record(session: AsyncSession, store_id: str, draft: Draft, now: datetime) -> WorkshopVisit:
    """Record a finished visit; an unknown vehicle becomes known, without terms.

    Publishes VisitFinished, and FirstServiceChanged when the visit is an (earlier) first service. Raises
    VisitAlreadyRecorded, InvalidVisit (odometer).
    """
    vehicle = await _enter(session, store_id, draft.vin, now)
    visit = WorkshopVisit(id=new_id(now), store_id=store_id, create_time=now, **asdict(draft))
    await _insert_once(session, visit)
    known = await vehicles.services_of(session, draft.vin)
    rules.check_odometer(draft, vehicle_rules.readings(vehicle.delivery_date, vehicle.delivery_odometer_km, known))
    session.add(
        ServiceRecord(
            visit_id=visit.id,
            vin=visit.vin,
            visit_date=visit.visit_date,
            odometer_km=visit.odometer_km,
            kind=visit.kind,
        )
    )
    made = Service(visit.visit_date, visit.odometer_km, visit.kind)
    await vehicles.take_service(session, vehicle, (*known, made), now)
    finished = carry(visit, events_pb2.VisitFinished, visit_id=visit.id)
    await outbox.add(session, finished, key=visit.vin, now=now)
    return visit


async def _enter(session: AsyncSession, store_id: str, vin: str, now: datetime) -> Vehicle:
    """Return the vehicle, locked. The relation comes first: without it the store cannot see a vehicle that exists."""
    relation = {"vin": vin, "store_id": store_id, "kind": RelationKind.SERVICED}
    await session.execute(insert(VehicleRelation).values(relation).on_conflict_do_nothing())
    await session.execute(insert(Vehicle).values(vin=vin, update_time=now).on_conflict_do_nothing())
    return (await session.scalars(select(Vehicle).where(Vehicle.vin == vin).with_for_update())).one()


async def _insert_once(session: AsyncSession, visit: WorkshopVisit) -> None:
    row = {column.key: getattr(visit, column.key) for column in WorkshopVisit.__table__.columns}
    statement = insert(WorkshopVisit).values(row).on_conflict_do_nothing().returning(WorkshopVisit.id)
    if await session.scalar(statement) is None:
        raise rules.VisitAlreadyRecorded(
            "this visit was already recorded",
            metadata={"vin": visit.vin, "visit_date": visit.visit_date.isoformat(), "kind": visit.kind.value},
        )
