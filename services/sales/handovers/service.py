"""Use cases of daily hand-overs; the caller's transaction, never a commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dealership.stores import Store
from kit.db.etag import check_etag
from kit.db.paging import KeyValue, keyset, split
from kit.messaging import outbox
from kit.vault import Vault
from sales import notes
from sales.handovers import rules, telling
from sales.handovers.counting import recorded
from sales.handovers.model import NOTE, DailyHandover, DailyHandoverReport
from sales.handovers.values import Counts, State

NOTE_FIELD = "daily_handover.note"


@dataclass(frozen=True, slots=True)
class Given:
    """A report as it is told: `reported` None when nothing was said, `etag` empty when the caller does not mind."""

    date: str
    reported: int | None
    note: str
    etag: str
    reporter: str


@dataclass(frozen=True, slots=True)
class DayView:
    """A day's hand-over as it is shown; the recorded deliveries are those of this moment."""

    store_id: str
    date: date
    reported_deliveries: int | None
    recorded_deliveries: int
    note: str
    state: State
    late: bool
    reporter: str
    report_time: datetime | None
    cut_off_time: datetime
    alert_time: datetime | None
    version: int


class DailyHandovers:
    """The use cases of daily hand-overs; `cut_off` is the time of the day, in the store's time zone."""

    def __init__(self, vault: Vault, cut_off: time) -> None:
        self._vault = vault
        self._cut_off = cut_off

    async def report(self, session: AsyncSession, store: Store, given: Given, now: datetime) -> DayView:
        """Take the report of a day; it replaces an earlier one, which stays on record (SAL-11).

        Publishes DailyHandoverReported, and DailyHandoverMismatched when the counts disagree in a way that was not
        told yet. Raises InvalidHandover, InvalidNote, StaleEtag.
        """
        day, reported = rules.report(given.date, given.reported, today=store.local_date(now))
        note = notes.read(given.note, field=NOTE_FIELD)
        counts = Counts(reported, (await recorded(session, [(store.id, day)]))[store.id, day])
        handover = await self._lock(session, store, day)
        check_etag(given.etag, handover.version)
        if handover.version == 0:
            handover.late = now >= handover.cut_off_time
        handover.reported_deliveries = reported
        handover.note_sealed = self._vault.seal(NOTE, note) if note else None
        handover.reporter = given.reporter
        handover.report_time = now
        handover.version += 1
        session.add(_entry(handover, counts, now))
        told = [telling.reported(handover, counts)]
        if rules.is_news(counts, handover.told):
            told.append(telling.mismatched(handover, counts))
        handover.told = counts if counts.reported != counts.recorded else None
        await session.flush()
        await outbox.add_many(session, told, now=now)
        return self._view(store, day, handover, counts.recorded, now)

    async def get(self, session: AsyncSession, store: Store, date_text: str, now: datetime) -> DayView:
        """Return one day, also one of which nothing is kept; raises HandoverNotFound."""
        today = store.local_date(now)
        day = rules.named_day(date_text, today=today)
        handover = await session.get(DailyHandover, (store.id, day))
        if handover is None:
            rules.require_reportable(day, today=today)
        counts = await recorded(session, [(store.id, day)])
        return self._view(store, day, handover, counts[store.id, day], now)

    async def page(
        self, session: AsyncSession, store: Store, *, after: tuple[KeyValue, ...], size: int, now: datetime
    ) -> tuple[list[DayView], DayView | None]:
        """Return one page of the days that were reported or flagged, the latest first, with the last of the page.

        The last is None when no other page follows. Two statements, however long the page is.
        """
        query = select(DailyHandover).where(DailyHandover.store_id == store.id)
        query = keyset(query, (DailyHandover.date,), after, size, descending=True)
        rows, last = split((await session.scalars(query)).all(), size)
        counts = await recorded(session, [(store.id, row.date) for row in rows])
        views = [self._view(store, row.date, row, counts[store.id, row.date], now) for row in rows]
        return views, views[-1] if last is not None else None

    async def _lock(self, session: AsyncSession, store: Store, day: date) -> DailyHandover:
        """Return the locked row of a day, new when there is none."""
        query = select(DailyHandover).where(DailyHandover.store_id == store.id, DailyHandover.date == day)
        query = query.with_for_update()
        handover = await session.scalar(query)
        if handover is not None:
            return handover
        blank = {
            "store_id": store.id,
            "date": day,
            "late": False,
            "reporter": "",
            "cut_off_time": rules.cut_off_time(day, self._cut_off, store.time_zone),
            "version": 0,
        }
        new = insert(DailyHandover).values(blank).on_conflict_do_nothing().returning(DailyHandover)
        # Somebody else may report, or the cut-off may flag the day, at this moment.
        return await session.scalar(new) or (await session.scalars(query)).one()

    def _view(self, store: Store, day: date, handover: DailyHandover | None, count: int, now: datetime) -> DayView:
        cut_off = handover.cut_off_time if handover else rules.cut_off_time(day, self._cut_off, store.time_zone)
        counts = Counts(handover.reported_deliveries if handover else None, count)
        closed = not store.calendar.opening_hours(day)
        note = handover.note_sealed if handover else None
        return DayView(
            store_id=store.id,
            date=day,
            reported_deliveries=counts.reported,
            recorded_deliveries=count,
            note=self._vault.open(NOTE, note) if note else "",
            state=rules.state_of(counts, closed=closed, cut_off=cut_off, now=now),
            late=handover is not None and handover.late,
            reporter=handover.reporter if handover else "",
            report_time=handover.report_time if handover else None,
            cut_off_time=cut_off,
            alert_time=handover.alert_time if handover else None,
            version=handover.version if handover else 0,
        )


def _entry(handover: DailyHandover, counts: Counts, now: datetime) -> DailyHandoverReport:
    return DailyHandoverReport(
        store_id=handover.store_id,
        date=handover.date,
        version=handover.version,
        reported_deliveries=counts.reported,
        recorded_deliveries=counts.recorded,
        note_sealed=handover.note_sealed,
        reporter=handover.reporter,
        report_time=now,
    )
