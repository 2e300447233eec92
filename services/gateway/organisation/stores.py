"""Use cases of regions, stores and their calendars; every change of a store is told on the stream DIRECTORY."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from google.protobuf import json_format
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.gateway.events.v1 import events_pb2
from dealerloop.gateway.v1 import organisation_pb2 as pb
from dealership import calendar as business
from gateway.organisation import rules
from gateway.organisation.model import Region, Store
from kit.db.etag import check_etag
from kit.errors import AlreadyExists, NotFound, invalid
from kit.messaging import outbox

_REGIONS: Final = "regions/"


class StoreNotFound(NotFound):
    """There is no such store in the caller's reach."""

    reason = "STORE_NOT_FOUND"


class StoreExists(AlreadyExists):
    """A store has this id."""

    reason = "STORE_EXISTS"


class RegionExists(AlreadyExists):
    """A region has this id."""

    reason = "REGION_EXISTS"


async def create_region(session: AsyncSession, region_id: str, region: pb.Region, *, now: datetime) -> Region:
    """Create a region. Raises RegionExists."""
    values = {"region_id": region_id, "display_name": region.display_name, "create_time": now}
    statement = insert(Region).values(values).on_conflict_do_nothing().returning(Region)
    created = await session.scalar(statement)
    if created is None:
        raise RegionExists("a region has this id", metadata={"region": region_id})
    return created


async def create_store(session: AsyncSession, store_id: str, store: pb.Store, *, now: datetime) -> Store:
    """Create a store with the default calendar. Raises StoreExists, or InvalidArgument for its zone or region."""
    values = {
        **await _content(session, store),
        "store_id": store_id,
        "calendar": stored_calendar(default_calendar()),
        "version": 1,
        "create_time": now,
    }
    created: Store | None = await session.scalar(insert(Store).values(values).on_conflict_do_nothing().returning(Store))
    if created is None:
        raise StoreExists("a store has this id", metadata={"store": store_id})
    await _tell(session, created, now=now)
    return created


async def get_store(session: AsyncSession, store_id: str, *, lock: bool = False) -> Store:
    """Return a store; `lock` keeps others from changing it until the transaction ends. Raises StoreNotFound."""
    query = sa.select(Store).where(Store.store_id == store_id)
    store = await session.scalar(query.with_for_update() if lock else query)
    if store is None:
        raise StoreNotFound("there is no such store", metadata={"store": store_id})
    return store


async def change_store(session: AsyncSession, store: Store, changed: pb.Store, *, etag: str, now: datetime) -> None:
    """Give a locked store its new content. Raises StaleEtag, or InvalidArgument for its zone or region."""
    check_etag(etag, store.version)
    content = await _content(session, changed)
    if all(getattr(store, name) == value for name, value in content.items()):
        return
    for name, value in content.items():
        setattr(store, name, value)
    store.version += 1
    await _tell(session, store, now=now)


async def change_calendar(
    session: AsyncSession, store: Store, changed: pb.Calendar, *, etag: str, now: datetime
) -> None:
    """Give a locked store its new calendar. Raises StaleEtag or InvalidCalendar."""
    check_etag(etag, store.version)
    business.from_message(changed, prefix="calendar.")
    calendar = stored_calendar(changed)
    if calendar == store.calendar:
        return
    store.calendar = calendar
    store.version += 1
    await _tell(session, store, now=now)


async def stores_of_regions(session: AsyncSession, region_ids: set[str]) -> dict[str, frozenset[str]]:
    """Return the stores of each of these regions; a region without stores has an empty set."""
    found: dict[str, set[str]] = {region_id: set() for region_id in region_ids}
    if region_ids:
        query = sa.select(Store.region_id, Store.store_id).where(Store.region_id.in_(sorted(region_ids)))
        for region_id, store_id in await session.execute(query):
            found[str(region_id)].add(store_id)
    return {region_id: frozenset(stores) for region_id, stores in found.items()}


def default_calendar() -> pb.Calendar:
    """Open every day at our default hours; no year is confirmed."""
    calendar = pb.Calendar()
    for weekday, intervals in business.DEFAULT.days.items():
        day = calendar.days.add(weekday=weekday)
        for interval in intervals:
            day.intervals.add(start=business.clock_text(interval.start), end=business.clock_text(interval.end))
    return calendar


def stored_calendar(calendar: pb.Calendar) -> dict[str, Any]:
    """Return the content of a calendar as it is stored: sorted, without name and etag."""
    content = pb.Calendar(confirmed_years=sorted(set(calendar.confirmed_years)))
    content.days.extend(calendar.days)
    content.days.sort(key=lambda day: day.weekday)
    content.special_days.extend(calendar.special_days)
    content.special_days.sort(key=lambda day: day.date)
    return json_format.MessageToDict(content, preserving_proto_field_name=True)


def calendar_of(store: Store) -> pb.Calendar:
    """Return the calendar as it was stored."""
    return json_format.ParseDict(store.calendar, pb.Calendar())


def facts_of(store: Store) -> pb.StoreFacts:
    """Return what the other services keep of a store."""
    return pb.StoreFacts(
        store_id=store.store_id,
        version=store.version,
        display_name=store.display_name,
        region_id=store.region_id or "",
        time_zone=store.time_zone,
        calendar=calendar_of(store),
    )


async def _content(session: AsyncSession, store: pb.Store) -> dict[str, Any]:
    region_id = store.region.removeprefix(_REGIONS) or None
    if region_id is not None and await session.get(Region, region_id) is None:
        raise invalid("store.region", "REGION_UNKNOWN", "there is no such region")
    zone = rules.time_zone(store.time_zone, field="store.time_zone")
    return {"display_name": store.display_name, "region_id": region_id, "time_zone": zone}


async def _tell(session: AsyncSession, store: Store, *, now: datetime) -> None:
    event = events_pb2.StoreChanged(store_id=store.store_id, store=facts_of(store))
    await outbox.add(session, event, key=f"store/{store.store_id}", now=now)
