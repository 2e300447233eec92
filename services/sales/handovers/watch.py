"""The cut-offs: one timer per store, due when the next report is, and what happens when it fires (SAL-11).

A timer says only when to look. The first day that has not been looked at stands in `handover_watch`, so that a day is
looked at once, however late, and a timer that fires too early does nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, delete, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from dealership.stores import Store, StoreProjection, get_stores
from kit import timers
from kit.db.engine import raw_connection
from kit.log import log
from kit.messaging import outbox
from kit.rpc.client import Peer
from kit.timers import Firing
from sales.handovers import rules, telling
from sales.handovers.counting import StoreDay, recorded
from sales.handovers.model import DailyHandover, HandoverWatch
from sales.handovers.values import Counts

HANDOVER: Final = "sales.handover"

_WATCH: Final = """
INSERT INTO handover_watch (store_id, next_date)
SELECT store_id, next_date FROM unnest($1::text[], $2::date[]) AS new (store_id, next_date)
ORDER BY store_id
ON CONFLICT DO NOTHING
RETURNING store_id
"""
_MOVE_ON: Final = """
UPDATE handover_watch SET next_date = new.next_date
FROM unnest($1::text[], $2::date[]) AS new (store_id, next_date)
WHERE handover_watch.store_id = new.store_id
"""
# A report that comes at this moment is waited for, and keeps the day from being flagged.
_FLAG: Final = """
INSERT INTO daily_handover (store_id, date, late, reporter, cut_off_time, alert_time, version)
SELECT store_id, date, false, '', cut_off_time, $4, 0
FROM unnest($1::text[], $2::date[], $3::timestamptz[]) AS new (store_id, date, cut_off_time)
ORDER BY store_id, date
ON CONFLICT (store_id, date) DO UPDATE SET alert_time = excluded.alert_time
WHERE daily_handover.reported_deliveries IS NULL AND daily_handover.alert_time IS NULL
RETURNING store_id, date
"""


class CutOffs:
    """Looks at the hand-overs of the stores that passed a cut-off; `cut_off` is the time of the day, store time."""

    def __init__(self, gateway: Peer, cut_off: time) -> None:
        self._gateway = gateway
        self._cut_off = cut_off

    async def watch_new(self, session: AsyncSession, now: datetime) -> int:
        """Begin to watch the stores that are known and not watched; returns how many those are.

        Each of several processes that start at once takes what the others have not taken, and no timer is moved.
        """
        watched = select(HandoverWatch.store_id)
        zones = await _zones(session, StoreProjection.store_id.not_in(watched))
        new = await self._begin(session, zones, now)
        await self._schedule(session, {store_id: self._at(day, zones[store_id]) for store_id, day in new.items()})
        return len(new)

    async def follow(self, session: AsyncSession, store_ids: Collection[str] | None, now: datetime) -> None:
        """Watch these stores (all that are known, when None is given), and set their timers by their zones of now."""
        zones = await _zones(session, true() if store_ids is None else StoreProjection.store_id.in_(store_ids))
        await self._begin(session, zones, now)
        # Read without a lock: a cut-off that fires at this moment holds these rows and is about to set the timers. At
        # worst one is set too early, and looks in vain.
        watched = select(HandoverWatch.store_id, HandoverWatch.next_date)
        watched = watched.where(HandoverWatch.store_id.in_(list(zones)))
        rows = (await session.execute(watched)).all()
        await self._schedule(session, {row[0]: self._at(row[1], zones[row[0]]) for row in rows})

    async def fire(self, firing: Firing) -> None:
        """Look at every day whose cut-off has passed, and set the timer of the next; a fixed number of statements."""
        session, now = firing.session, firing.now
        stores = await self._known(session, [item.key for item in firing.items])
        query = select(HandoverWatch).where(HandoverWatch.store_id.in_(list(stores)))
        since = {
            row.store_id: row.next_date
            for row in await session.scalars(query.order_by(HandoverWatch.store_id).with_for_update())
        }
        passed = {
            store_id: rules.passed(day, now, self._cut_off, stores[store_id].time_zone)
            for store_id, day in since.items()
        }
        for store_id, one in passed.items():
            if one.skipped:
                log.warning("handover.days_skipped", store_id=store_id, days=one.skipped)
        await self._look(
            session, stores, [(store_id, day) for store_id, one in passed.items() for day in one.days], now
        )
        connection = await raw_connection(session)
        await connection.execute(_MOVE_ON, list(passed), [one.next_date for one in passed.values()])
        await self._schedule(session, {store_id: one.next_cut_off for store_id, one in passed.items()})

    async def _look(
        self, session: AsyncSession, stores: Mapping[str, Store], days: Collection[StoreDay], now: datetime
    ) -> None:
        if not days:
            return
        counts = await recorded(session, days)
        expected = [
            (store_id, day)
            for store_id, day in days
            if rules.is_expected(counts[store_id, day], closed=not stores[store_id].opening(day).intervals)
        ]
        told = await self._flag(session, stores, expected, counts, now)
        told += await _disagreements(session, days, counts)
        await session.flush()
        await outbox.add_many(session, told, now=now)

    async def _flag(
        self,
        session: AsyncSession,
        stores: Mapping[str, Store],
        days: Collection[StoreDay],
        counts: Mapping[StoreDay, int],
        now: datetime,
    ) -> list[tuple[Message, str]]:
        connection = await raw_connection(session)
        rows = await connection.fetch(
            _FLAG,
            [store_id for store_id, _ in days],
            [day for _, day in days],
            [self._at(day, stores[store_id].time_zone) for store_id, day in days],
            now,
        )
        if rows:
            log.warning("handover.missing", stores=len({row[0] for row in rows}), days=len(rows))
        return [telling.missing(row[0], row[1], counts[row[0], row[1]]) for row in rows]

    async def _begin(self, session: AsyncSession, zones: Mapping[str, ZoneInfo], now: datetime) -> dict[str, date]:
        """Return the first day of those of the stores that nobody has watched before."""
        first = {store_id: rules.first_date(now, self._cut_off, zone) for store_id, zone in zones.items()}
        connection = await raw_connection(session)
        new = await connection.fetch(_WATCH, list(first), list(first.values()))
        return {row[0]: first[row[0]] for row in new}

    async def _known(self, session: AsyncSession, store_ids: Collection[str]) -> dict[str, Store]:
        """Return those of the stores that are in the directory; the others are not watched any more."""
        query = select(StoreProjection.store_id).where(StoreProjection.store_id.in_(store_ids))
        known = set((await session.scalars(query)).all())
        gone = sorted(set(store_ids) - known)
        if gone:
            await session.execute(delete(HandoverWatch).where(HandoverWatch.store_id.in_(gone)))
            log.warning("handover.store_gone", stores=len(gone))
        return await get_stores(session, self._gateway, known)

    async def _schedule(self, session: AsyncSession, due: Mapping[str, datetime]) -> None:
        await timers.schedule_many(session, HANDOVER, list(due.items()))

    def _at(self, day: date, zone: ZoneInfo) -> datetime:
        return rules.cut_off_time(day, self._cut_off, zone)


async def _disagreements(
    session: AsyncSession, days: Collection[StoreDay], counts: Mapping[StoreDay, int]
) -> list[tuple[Message, str]]:
    """Return what is to be told of the reports that disagree with what is recorded by now."""
    query = select(DailyHandover).where(
        DailyHandover.store_id.in_({store_id for store_id, _ in days}),
        DailyHandover.date.in_({day for _, day in days}),
        DailyHandover.reported_deliveries.is_not(None),
    )
    query = query.order_by(DailyHandover.store_id, DailyHandover.date).with_for_update()
    told = []
    for handover in await session.scalars(query):
        recorded_now = counts.get((handover.store_id, handover.date))
        # Stores that are looked at together need not have the same days to look at.
        if recorded_now is None:
            continue
        found = Counts(handover.reported_deliveries, recorded_now)
        if rules.is_news(found, handover.told):
            handover.told = found
            told.append(telling.mismatched(handover, found))
    return told


async def _zones(session: AsyncSession, which: ColumnElement[bool]) -> dict[str, ZoneInfo]:
    query = select(StoreProjection.store_id, StoreProjection.time_zone).where(which)
    return {row[0]: ZoneInfo(row[1]) for row in (await session.execute(query)).all()}
