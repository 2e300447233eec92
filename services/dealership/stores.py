"""The store directory as every service keeps it: a projection of what the gateway owns, read through when missing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from google.protobuf import json_format
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dealerloop.gateway.events.v1 import events_pb2
from dealerloop.gateway.v1 import organisation_pb2
from dealership.calendar import BusinessCalendar, Opening, from_message
from dealership.directory import DirectoryTable, Projection
from kit.errors import NotFound
from kit.log import log

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from kit.rpc.client import Peer

TABLE: Final = "store"


class StoreUnknown(NotFound):
    """No store has this id."""

    reason = "STORE_UNKNOWN"


class StoreProjection(DirectoryTable):
    """What a service keeps of a store; a configuration row, readable in every scope."""

    __tablename__ = TABLE

    store_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    version: Mapped[int] = mapped_column(sa.BigInteger)
    display_name: Mapped[str] = mapped_column(sa.Text)
    region_id: Mapped[str] = mapped_column(sa.Text)
    time_zone: Mapped[str] = mapped_column(sa.Text)
    calendar: Mapped[dict[str, Any]] = mapped_column(JSONB)


@dataclass(frozen=True)
class Store:
    """A store as the rules need it."""

    id: str
    display_name: str
    region_id: str
    time_zone: ZoneInfo
    # Most callers want the time zone only, and reading a calendar is not free.
    read_calendar: Callable[[], organisation_pb2.Calendar] = field(repr=False, compare=False)

    @cached_property
    def calendar(self) -> BusinessCalendar:
        """Its business calendar."""
        return from_message(self.read_calendar())

    def local_date(self, instant: datetime) -> date:
        """Return the store's date at that instant; 'day' in the business means this one."""
        return instant.astimezone(self.time_zone).date()

    def opening(self, day: date) -> Opening:
        """Return the open intervals of a date, and warn when its year's holidays are not confirmed."""
        opening = self.calendar.opening(day)
        if not opening.confirmed:
            log.warning("calendar.year_not_confirmed", store_id=self.id, year=day.year)
        return opening


def create_store_table(op: Any) -> None:
    """Create the projection's table; the migration grants it with the service's other tables."""
    op.create_table(
        TABLE,
        sa.Column("store_id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("region_id", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("calendar", JSONB, nullable=False),
    )


def store_of(facts: organisation_pb2.StoreFacts) -> Store:
    """Read a store from the gateway's message."""
    zone = ZoneInfo(facts.time_zone)
    return Store(facts.store_id, facts.display_name, facts.region_id, zone, lambda: facts.calendar)


async def get_store(session: AsyncSession, peer: Peer, store_id: str) -> Store:
    """Return a store from the projection, asking the gateway for one that is not there yet.

    Raises StoreUnknown when there is none, Unavailable when it is not here and the gateway does not answer.
    """
    return (await get_stores(session, peer, [store_id]))[store_id]


async def get_stores(session: AsyncSession, peer: Peer, store_ids: Collection[str]) -> dict[str, Store]:
    """Return several stores by id with one query, as `get_store` does for one."""
    query = sa.select(StoreProjection).where(StoreProjection.store_id.in_(sorted(set(store_ids))))
    stores = {row.store_id: _store(row) for row in (await session.scalars(query)).all()}
    missing = [store_id for store_id in dict.fromkeys(store_ids) if store_id not in stores]
    return stores | {one.store_id: store_of(one) for one in await PROJECTION.read_through(session, peer, missing)}


def _store(row: StoreProjection) -> Store:
    content = row.calendar

    def read() -> organisation_pb2.Calendar:
        return json_format.ParseDict(content, organisation_pb2.Calendar(), ignore_unknown_fields=True)

    return Store(row.store_id, row.display_name, row.region_id, ZoneInfo(row.time_zone), read)


def _row(facts: organisation_pb2.StoreFacts) -> dict[str, Any]:
    return {
        "store_id": facts.store_id,
        "version": facts.version,
        "display_name": facts.display_name,
        "region_id": facts.region_id,
        "time_zone": facts.time_zone,
        "calendar": json_format.MessageToDict(facts.calendar, preserving_proto_field_name=True),
    }


def _unknown(store_id: str) -> StoreUnknown:
    return StoreUnknown("there is no such store", metadata={"store": store_id})


PROJECTION: Final = Projection(
    name="stores",
    table=StoreProjection,
    key="store_id",
    facts=organisation_pb2.StoreFacts,
    event=events_pb2.StoreChanged,
    told_in="store",
    row=_row,
    ask_one=("GetStoreForProjection", organisation_pb2.GetStoreForProjectionRequest),
    ask_all=("ListStoresForProjection", organisation_pb2.ListStoresForProjectionRequest),
    unknown=_unknown,
)
ask = PROJECTION.ask
save = PROJECTION.save
handle = PROJECTION.handle
subscription = PROJECTION.subscription
rebuild = PROJECTION.rebuild
on_rewind = PROJECTION.on_rewind
