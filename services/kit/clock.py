"""Time as an argument: nothing else in the product asks the operating system what time it is."""

import asyncio
import mmap
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

_MARK: Final = b"dl-clock"
_SIZE: Final = 16
_REAL_TIME: Final = 0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LOOK_SECONDS: Final = 0.02


class ClockFileError(Exception):
    """The file of a shared clock cannot be used; the message says why and names the file."""


class Clock(Protocol):
    """Where the present comes from."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the machine's time, aware, in UTC."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved; for tests and replays."""

    def __init__(self, start: datetime) -> None:
        self._now = _in_utc(start)

    def now(self) -> datetime:
        """Return the time it was set to, in UTC."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move forward (or back, when negative)."""
        self._now += by

    def set(self, instant: datetime) -> None:
        """Jump to an aware instant."""
        self._now = _in_utc(instant)


class SharedClock:
    """One clock for the processes of a simulation: a small file that all of them have mapped into their memory.

    It stands still at an instant until somebody moves it, or follows the machine's clock. Reading it costs no system
    call and never sees half of an instant: the file is a mark of 8 bytes and, aligned, one signed number of 8 bytes in
    the machine's order: microseconds since 1970 in UTC, 0 for the machine's own time.
    """

    def __init__(self, path: Path) -> None:
        """Map the file that `create` made. Raises ClockFileError."""
        try:
            with path.open("r+b") as file:
                if os.fstat(file.fileno()).st_size != _SIZE or file.read(len(_MARK)) != _MARK:
                    raise ClockFileError(f"{path} is not the file of a shared clock")
                self._memory = mmap.mmap(file.fileno(), _SIZE)
        except OSError as error:
            raise ClockFileError(f"{path}: {error.strerror}") from None
        self._words = memoryview(self._memory).cast("q")

    @classmethod
    def create(cls, path: Path, start: datetime) -> "SharedClock":
        """Make the file, or make it anew, with a clock that stands at an aware instant. Raises ClockFileError."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(_MARK + _microseconds(start).to_bytes(8, sys.byteorder, signed=True))
        draft.chmod(0o600)
        draft.replace(path)
        return cls(path)

    def now(self) -> datetime:
        """Return the instant at which it stands, or the machine's time, in UTC."""
        stands = self._words[1]
        return datetime.now(UTC) if stands == _REAL_TIME else _EPOCH + stands * _MICROSECOND

    @property
    def is_real(self) -> bool:
        """Whether it follows the machine's clock."""
        return bool(self._words[1] == _REAL_TIME)

    def set(self, instant: datetime) -> None:
        """Let it stand at an aware instant, in all processes at once."""
        self._words[1] = _microseconds(instant)

    def follow_real_time(self) -> None:
        """Let it follow the machine's clock from now on, in all processes at once."""
        self._words[1] = _REAL_TIME

    async def watch(self, moved: Callable[[], None]) -> None:
        """Call `moved` a few milliseconds after every movement; runs until it is cancelled."""
        seen = self._words[1]
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._words[1] != seen:
                seen = self._words[1]
                moved()

    def close(self) -> None:
        """Give the mapping back; it cannot be read afterwards."""
        self._words.release()
        self._memory.close()


def _microseconds(instant: datetime) -> int:
    return (_in_utc(instant) - _EPOCH) // _MICROSECOND


def _in_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(UTC)
