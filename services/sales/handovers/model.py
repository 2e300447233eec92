"""Daily hand-overs as they are stored."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from sales.handovers.values import Counts
from sales.model import SalesTable

NOTE: Final = "daily_handover.note"


class DailyHandover(SalesTable):
    """A store row: a day that was reported, or that was flagged at its cut-off.

    `version` counts the reports, and is 0 while there is none. `told_*` are the counts of the disagreement that was
    told last.
    """

    __tablename__ = "daily_handover"

    store_id: Mapped[str] = mapped_column(primary_key=True)
    date: Mapped[date] = mapped_column(primary_key=True)
    reported_deliveries: Mapped[int | None] = mapped_column(Integer)
    note_sealed: Mapped[bytes | None]
    late: Mapped[bool]
    reporter: Mapped[str]
    report_time: Mapped[datetime | None]
    cut_off_time: Mapped[datetime]
    alert_time: Mapped[datetime | None]
    told_reported: Mapped[int | None] = mapped_column(Integer)
    told_recorded: Mapped[int | None] = mapped_column(Integer)
    version: Mapped[int]

    @property
    def told(self) -> Counts | None:
        """The disagreement that was told last."""
        return None if self.told_recorded is None else Counts(self.told_reported, self.told_recorded)

    @told.setter
    def told(self, counts: Counts | None) -> None:
        self.told_reported = counts.reported if counts else None
        self.told_recorded = counts.recorded if counts else None


class DailyHandoverReport(SalesTable):
    """A store row: one report of a day, as it was made; rows are only added."""

    __tablename__ = "daily_handover_report"

    store_id: Mapped[str] = mapped_column(primary_key=True)
    date: Mapped[date] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    reported_deliveries: Mapped[int] = mapped_column(Integer)
    recorded_deliveries: Mapped[int] = mapped_column(Integer)
    note_sealed: Mapped[bytes | None]
    reporter: Mapped[str]
    report_time: Mapped[datetime]


class HandoverWatch(SalesTable):
    """A store row: the first day of the store whose cut-off has not been looked at."""

    __tablename__ = "handover_watch"

    store_id: Mapped[str] = mapped_column(primary_key=True)
    next_date: Mapped[date]
