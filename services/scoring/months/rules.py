"""When a month can be closed or re-opened, and which months there are (SCR-08)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from kit.db.etag import check_etag
from kit.errors import Conflict, InvalidArgument, NotFound, invalid
from scoring.months.values import Month


class MonthNotOver(Conflict):
    """The month has not ended yet in every store; the metadata says when it will have."""

    reason = "MONTH_NOT_OVER"


class MonthClosed(Conflict):
    """The month is closed already; it can only be re-opened."""

    reason = "MONTH_CLOSED"


class MonthNotClosed(Conflict):
    """A month that was never closed cannot be re-opened."""

    reason = "MONTH_NOT_CLOSED"


class MonthUnchanged(Conflict):
    """Nothing came after the latest revision, so that another one would be the same."""

    reason = "MONTH_UNCHANGED"


class RevisionNotFound(NotFound):
    """The month has no such revision, or the store has no grade in it."""

    reason = "REVISION_NOT_FOUND"


def end_of(month: str, zones: Iterable[ZoneInfo]) -> datetime:
    """The first moment after the month in the last of these time zones; in UTC when there is none."""
    first = date.fromisoformat(f"{month}-01")
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    ends = [datetime.combine(following, time(), tzinfo=zone).astimezone(UTC) for zone in zones]
    return max(ends, default=datetime.combine(following, time(), tzinfo=UTC))


def require_closable(month: Month, *, now: datetime, first_model: datetime | None) -> None:
    """A month is closed once, by people, when it has ended everywhere (SCR-08).

    `first_model` is when the first satisfaction model came into force: before that there is nothing to grade by.

    Raises:
        InvalidArgument: the month lies before every model (field name, rule MONTH_TOO_EARLY).
        MonthNotOver: it has not ended in every store.
        MonthClosed: it was closed before.
    """
    if first_model is not None and month.end_time <= first_model:
        raise _too_early(first_model)
    if now < month.end_time:
        raise MonthNotOver(
            f"{month.name} is over in every store at {month.end_time.isoformat()}",
            metadata={"month": month.name, "end_time": month.end_time.isoformat()},
        )
    if month.latest:
        raise MonthClosed(
            f"{month.name} is closed; what came later is counted by re-opening it",
            metadata={"month": month.name, "revision": str(month.latest)},
        )


def require_reopenable(month: Month, *, etag: str) -> None:
    """Only a closed month is re-opened, and only by who has seen how it stands.

    Raises:
        MonthNotClosed: it was never closed.
        StaleEtag: it was re-opened since the caller has seen it.
    """
    if not month.latest:
        raise MonthNotClosed(f"{month.name} is not closed", metadata={"month": month.name})
    check_etag(etag, month.latest)


def _too_early(first_model: datetime) -> InvalidArgument:
    return invalid(
        "name", "MONTH_TOO_EARLY", f"there was no satisfaction model before {first_model.date().isoformat()}"
    )
