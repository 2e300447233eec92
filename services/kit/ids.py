"""Identifiers that sort by the time they were made (UUID version 7)."""

import secrets
import threading
from datetime import UTC, datetime
from uuid import UUID

_VERSION_AND_VARIANT = (7 << 76) | (2 << 62)
_RANDOM_BITS = 74
_LARGEST = (1 << _RANDOM_BITS) - 1
# Steps inside one millisecond are random too, so that one id does not give away the next.
_STEP_BYTES = 5


class _Sequence:
    """The last id made, so that the next one of the same millisecond is larger."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millisecond = -1
        self._tail = 0

    def next(self, millisecond: int, count: int) -> list[UUID]:
        """Make so many ids, each larger than the one before."""
        steps = secrets.token_bytes(_STEP_BYTES * count)
        made = []
        with self._lock:
            for place in range(0, len(steps), _STEP_BYTES):
                if millisecond != self._millisecond:
                    # The top bit starts empty: room for all the steps of this millisecond.
                    self._millisecond, self._tail = millisecond, secrets.randbits(_RANDOM_BITS - 1)
                else:
                    self._tail += 1 + int.from_bytes(steps[place : place + _STEP_BYTES])
                    if self._tail > _LARGEST:
                        millisecond += 1
                        self._millisecond, self._tail = millisecond, secrets.randbits(_RANDOM_BITS - 1)
                made.append(_assemble(millisecond, self._tail))
        return made


_sequence = _Sequence()


def new_id(now: datetime | None = None) -> UUID:
    """Make an id that carries `now` (milliseconds, UTC) and is larger than the previous one of that millisecond.

    A clock that is set back makes smaller ids: they carry the time they were told.
    """
    return new_ids(1, now)[0]


def new_ids(count: int, now: datetime | None = None) -> list[UUID]:
    """Make so many ids at once, each larger than the one before; cheaper than one by one."""
    instant = datetime.now(UTC) if now is None else now
    return _sequence.next(_milliseconds(instant), count)


def floor_id(instant: datetime) -> UUID:
    """Return the smallest id of that millisecond: everything made earlier is below it. For range scans by age."""
    return _assemble(_milliseconds(instant), 0)


def time_of(identifier: UUID) -> datetime:
    """Return the instant that an id carries, to the millisecond. Raises ValueError for another kind of UUID."""
    if identifier.version != 7:  # noqa: PLR2004 - the version is the name of the format
        raise ValueError("this id carries no time")
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)


def _milliseconds(instant: datetime) -> int:
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return int(instant.timestamp() * 1000)


def _assemble(millisecond: int, tail: int) -> UUID:
    high, low = tail >> 62, tail & ((1 << 62) - 1)
    return UUID(int=(millisecond << 80) | _VERSION_AND_VARIANT | (high << 64) | low)
