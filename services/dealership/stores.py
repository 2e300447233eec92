"""The store directory as every service keeps it: a projection of what the gateway owns, read through when missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from google.protobuf import json_format
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from dealerloop.gateway.events.v1 import events_pb2
from dealerloop.gateway.v1 import organisation_pb2
from dealership.calendar import BusinessCalendar, Opening, from_message
from kit.db.model import NAMING, Base
from kit.db.scope import Scope
from kit.errors import NotFound
from kit.log import log
from kit.messaging.subscription import OnRewind, Subscription

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from kit.db.engine import Database
    from kit.messaging.subscription import Batch
    from kit.rpc.client import Peer

DIRECTORY: Final = "DIRECTORY"
GATEWAY: Final = "gateway"
NAME: Final = "stores"
TABLE: Final = "store"
_GET: Final = "dealerloop.gateway.v1.OrganisationService/GetStoreForProjection"
_LIST: Final = "dealerloop.gateway.v1.OrganisationService/ListStoresForProjection"
_GET_SECONDS: Final = 3.0
_LIST_SECONDS: Final = 60.0
_COLUMNS: Final = ("store_id", "version", "display_name", "region_id", "time_zone", "calendar")


class StoreUnknown(NotFound):
    """No store has this id."""

    reason = "STORE_UNKNOWN"


class _Directory(Base):
    """A metadata of its own, so that a service may have more tables than this one in its registry."""

    __abstract__ = True
    metadata = sa.MetaData(naming_convention=NAMING)


class StoreProjection(_Directory):
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
    for store_id in missing:
        facts = await _ask(peer, store_id)
        stores[store_id] = store_of(facts)
        if await _writable(session):
            await save(session, [facts])
    return stores


async def save(session: AsyncSession, facts: Iterable[organisation_pb2.StoreFacts]) -> None:
    """Keep the newest version of each of these stores; older ones than what is here change nothing."""
    newest: dict[str, organisation_pb2.StoreFacts] = {}
    for store in facts:
        known = newest.get(store.store_id)
        if known is None or store.version > known.version:
            newest[store.store_id] = store
    if not newest:
        return
    # Sorted, so that two transactions take the row locks in the same order.
    rows = [_row(newest[store_id]) for store_id in sorted(newest)]
    statement = insert(StoreProjection).values(rows)
    changes = {column: statement.excluded[column] for column in _COLUMNS[1:]}
    newer = statement.excluded.version > StoreProjection.version
    await session.execute(statement.on_conflict_do_update(index_elements=["store_id"], set_=changes, where=newer))


async def handle(batch: Batch) -> None:
    """Take StoreChanged events into the projection, in any order and however often."""
    changes = [event.message for event in batch.events if isinstance(event.message, events_pb2.StoreChanged)]
    await save(batch.session, [change.store for change in changes])


def subscription(database: Database, gateway: Peer) -> Subscription:
    """Return the subscription that keeps the projection current, also after the gateway was restored from a backup."""
    return Subscription(
        name=NAME,
        stream=DIRECTORY,
        events=(events_pb2.StoreChanged,),
        handle=handle,
        source_service=GATEWAY,
        on_rewind=on_rewind(database, gateway),
    )


async def rebuild(session: AsyncSession, peer: Peer) -> int:
    """Build the projection from nothing with the gateway's snapshot; returns how many stores there are.

    What is here is replaced whatever its version: a gateway that was restored from a backup counts from an older one.
    """
    request = organisation_pb2.ListStoresForProjectionRequest()
    stores = peer.stream(_LIST, request, organisation_pb2.StoreFacts, timeout=_LIST_SECONDS)
    facts = [store async for store in stores]
    await session.execute(sa.delete(StoreProjection))
    await save(session, facts)
    return len(facts)


def on_rewind(database: Database, peer: Peer) -> OnRewind:
    """Return the hook that reconciles the projection when the gateway was restored from a backup."""

    async def reconcile(_source: str, _old: int, _new: int) -> None:
        async with database.transaction(Scope.system("store directory")) as session:
            await rebuild(session, peer)

    return reconcile


async def _ask(peer: Peer, store_id: str) -> organisation_pb2.StoreFacts:
    request = organisation_pb2.GetStoreForProjectionRequest(store_id=store_id)
    try:
        return await peer.call(_GET, request, organisation_pb2.StoreFacts, timeout=_GET_SECONDS)
    except NotFound as error:
        raise StoreUnknown("there is no such store", metadata={"store": store_id}) from error


async def _writable(session: AsyncSession) -> bool:
    # A read-only call may miss the projection too; it answers without keeping what it learnt.
    answer = await session.execute(sa.text("select current_setting('transaction_read_only') = 'off'"))
    return bool(answer.scalar_one())


def _store(row: StoreProjection) -> Store:
    content = row.calendar

    def read() -> organisation_pb2.Calendar:
        return json_format.ParseDict(content, organisation_pb2.Calendar(), ignore_unknown_fields=True)

    return Store(row.store_id, row.display_name, row.region_id, ZoneInfo(row.time_zone), read)


def _row(facts: organisation_pb2.StoreFacts) -> dict[str, Any]:
    calendar = json_format.MessageToDict(facts.calendar, preserving_proto_field_name=True)
    values = (facts.store_id, facts.version, facts.display_name, facts.region_id, facts.time_zone, calendar)
    return dict(zip(_COLUMNS, values, strict=True))
