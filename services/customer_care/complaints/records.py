"""Forms as rows: read into the value that the rules decide on, and written back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.complaints.clocks import Clock
from customer_care.complaints.form import Form
from customer_care.complaints.model import Complaint, ComplaintClock, ComplaintRound
from customer_care.complaints.values import ClockKind, Round

# Clocks that begin together are shown in the order in which they end.
_ORDER: Final = {kind: place for place, kind in enumerate(ClockKind)}
_CARRIED: Final = (
    *("level", "step", "department", "severity", "checker_id", "opinion_by"),
    *("since", "contact_time", "close_time", "paused_since"),
)

CLOCK_COLUMNS: Final = (
    *(ComplaintClock.kind, ComplaintClock.round, ComplaintClock.time, ComplaintClock.start_time),
    *(ComplaintClock.length, ComplaintClock.due_time, ComplaintClock.term, ComplaintClock.percent),
    *(ComplaintClock.paused, ComplaintClock.held, ComplaintClock.paused_since),
    *(ComplaintClock.done_time, ComplaintClock.stop_time),
)
"""What a `Clock` is made of, in its order: for reading many without an object each."""


@dataclass(frozen=True, slots=True)
class Record:
    """One complaint with its rounds and clocks, each in their order."""

    complaint: Complaint
    rounds: Sequence[ComplaintRound]
    clocks: Sequence[ComplaintClock]

    @property
    def form(self) -> Form:
        """The form as the rules see it."""
        return Form(
            **{name: getattr(self.complaint, name) for name in _CARRIED},
            open_time=self.complaint.open_time,
            rounds=tuple(_round(row) for row in self.rounds),
            clocks=tuple(clock_of(row) for row in self.clocks),
        )


async def read(session: AsyncSession, complaints: Sequence[Complaint]) -> list[Record]:
    """Return these complaints with their rounds and clocks, in the same order. Two queries."""
    ids = [complaint.id for complaint in complaints]
    rounds: dict[UUID, list[ComplaintRound]] = defaultdict(list)
    clocks: dict[UUID, list[ComplaintClock]] = defaultdict(list)
    of_rounds = select(ComplaintRound).where(ComplaintRound.complaint_id.in_(ids)).order_by(ComplaintRound.number)
    for round_row in await session.scalars(of_rounds):
        rounds[round_row.complaint_id].append(round_row)
    for clock_row in await session.scalars(select(ComplaintClock).where(ComplaintClock.complaint_id.in_(ids))):
        clocks[clock_row.complaint_id].append(clock_row)
    return [
        Record(one, rounds[one.id], sorted(clocks[one.id], key=lambda clock: (clock.round, _ORDER[clock.kind])))
        for one in complaints
    ]


def carry(complaint: Complaint, form: Form) -> None:
    """Put what the form says into the complaint's own row."""
    for name in _CARRIED:
        setattr(complaint, name, getattr(form, name))


def write(session: AsyncSession, record: Record, form: Form) -> Mapping[int, ComplaintRound]:
    """Bring the rows of a complaint to what the form says; returns the rows of its rounds by number."""
    complaint = record.complaint
    carry(complaint, form)
    rounds = {row.number: row for row in record.rounds}
    for one in form.rounds:
        if one.number not in rounds:
            row = ComplaintRound(complaint_id=complaint.id, number=one.number, store_id=complaint.store_id)
            session.add(row)
            rounds[one.number] = row
        _put_round(rounds[one.number], one)
    clocks = {(row.kind, row.round): row for row in record.clocks}
    for clock in form.clocks:
        known = clocks.get((clock.kind, clock.round))
        if known is None:
            known = ComplaintClock(complaint_id=complaint.id, store_id=complaint.store_id)
            session.add(known)
        _put_clock(known, clock)
    return rounds


def clock_of(row: ComplaintClock) -> Clock:
    """The clock as a value."""
    return Clock(
        kind=row.kind,
        round=row.round,
        time=row.time,
        start=row.start_time,
        length=row.length,
        due=row.due_time,
        term=row.term,
        percent=row.percent,
        paused=row.paused,
        held=row.held,
        paused_since=row.paused_since,
        done=row.done_time,
        stopped=row.stop_time,
    )


def _put_clock(row: ComplaintClock, clock: Clock) -> None:
    row.kind = clock.kind
    row.round = clock.round
    row.time = clock.time
    row.start_time = clock.start
    row.length = clock.length
    row.due_time = clock.due
    row.term = clock.term
    row.percent = clock.percent
    row.paused = clock.paused
    row.held = clock.held
    row.paused_since = clock.paused_since
    row.done_time = clock.done
    row.stop_time = clock.stopped


def _round(row: ComplaintRound) -> Round:
    return Round(
        number=row.number,
        dispatch_time=row.dispatch_time,
        responsible_id=row.responsible_id,
        promised_date=row.promised_date,
        return_time=row.return_time,
        satisfied=row.satisfied,
        call_back_time=row.call_back_time,
    )


def _put_round(row: ComplaintRound, one: Round) -> None:
    row.dispatch_time = one.dispatch_time
    row.responsible_id = one.responsible_id
    row.promised_date = one.promised_date
    row.return_time = one.return_time
    row.satisfied = one.satisfied
    row.call_back_time = one.call_back_time
