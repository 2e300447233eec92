"""Use cases of workshop visits; the caller's transaction, never a commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from aftersales.vehicles import rules as vehicle_rules
from aftersales.vehicles import service as vehicles
from aftersales.vehicles.model import ServiceRecord, Vehicle, VehicleRelation
from aftersales.vehicles.values import RelationKind, Service
from aftersales.visits import bulk, rules
from aftersales.visits.model import WorkshopVisit
from aftersales.visits.values import Draft, History
from dealerloop.aftersales.events.v1 import events_pb2
from kit.db.engine import raw_connection
from kit.db.paging import KeyValue, keyset, split
from kit.errors import DomainError, NotFound
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
    await _insert_once(session, visit, draft)
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


async def examine(session: AsyncSession, visits: Sequence[tuple[str, Draft]]) -> list[DomainError | None]:
    """Return of each visit of a store why it could not be recorded now, or None; writes and locks nothing."""
    return list(rules.judge(visits, await bulk.histories(await raw_connection(session), visits, lock=False)))


async def record_many(
    session: AsyncSession, visits: Sequence[tuple[str, Draft]], now: datetime
) -> list[DomainError | None]:
    """Record finished visits of stores with a few statements for all, and tell the same events as `record`.

    Returns of each why it was not recorded (VisitAlreadyRecorded, InvalidVisit), or None.
    """
    connection = await raw_connection(session)
    if not visits:
        return []
    await bulk.enter(connection, visits, now)
    histories = await bulk.histories(connection, visits, lock=True)
    verdicts = rules.judge(visits, histories)
    accepted = [
        (new_id(now), store_id, visit)
        for (store_id, visit), refused in zip(visits, verdicts, strict=True)
        if refused is None
    ]
    if accepted:
        await bulk.write_visits(connection, accepted, now)
        await outbox.add_many(session, [(_finished(*it), it[2].vin) for it in accepted], now=now)
        await _advance(session, [visit for _, _, visit in accepted], histories, now)
    return list(verdicts)


async def _advance(
    session: AsyncSession, visits: Sequence[Draft], histories: Mapping[str, History], now: datetime
) -> None:
    """Bring the locked vehicles up to date with their new visits."""
    made: dict[str, list[Service]] = {}
    for visit in visits:
        made.setdefault(visit.vin, []).append(Service(visit.visit_date, visit.odometer_km, visit.kind))
    written: dict[str, tuple[int, date | None, int]] = {}
    changed = []
    for vin, new in made.items():
        history = histories[vin]
        services = (*history.services, *new)
        known = vehicle_rules.readings(history.delivery_date, history.delivery_odometer_km, services)
        first, version = history.first_service, history.first_service_version
        done = vehicle_rules.first_service_done(services)
        if done != first.done_date:
            first, version = replace(first, done_date=done), version + 1
            changed.append((vehicles.first_service_changed(vin, version, first), vin))
        written[vin] = (vehicle_rules.last_odometer(known), done, version)
    await bulk.write_vehicles(await raw_connection(session), written, now)
    await outbox.add_many(session, changed, now=now)


def _finished(visit_id: UUID, store_id: str, visit: Draft) -> events_pb2.VisitFinished:
    return carry(visit, events_pb2.VisitFinished, visit_id=visit_id, store_id=store_id)


async def _enter(session: AsyncSession, store_id: str, vin: str, now: datetime) -> Vehicle:
    """Return the vehicle, locked. The relation comes first: without it the store cannot see a vehicle that exists."""
    relation = {"vin": vin, "store_id": store_id, "kind": RelationKind.SERVICED}
    await session.execute(insert(VehicleRelation).values(relation).on_conflict_do_nothing())
    await session.execute(insert(Vehicle).values(vin=vin, update_time=now).on_conflict_do_nothing())
    return (await session.scalars(select(Vehicle).where(Vehicle.vin == vin).with_for_update())).one()


async def _insert_once(session: AsyncSession, visit: WorkshopVisit, draft: Draft) -> None:
    row = {column.key: getattr(visit, column.key) for column in WorkshopVisit.__table__.columns}
    statement = insert(WorkshopVisit).values(row).on_conflict_do_nothing().returning(WorkshopVisit.id)
    if await session.scalar(statement) is None:
        raise rules.already_recorded(draft)
