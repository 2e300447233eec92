"""Clocks."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clock import ClockFileError, ManualClock, SharedClock, SystemClock

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(NOW)
    assert clock.now() == clock.now() == NOW

    clock.advance(timedelta(days=1))
    assert clock.now() == NOW + timedelta(days=1)

    clock.set(datetime(2026, 3, 2, 16, 0, tzinfo=timezone(timedelta(hours=8))))
    assert clock.now() == NOW
    assert clock.now().tzinfo is UTC


def test_a_clock_knows_no_time_without_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        ManualClock(datetime(2026, 3, 2))  # noqa: DTZ001


def test_the_system_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_a_shared_clock_stands_still_until_it_is_moved_and_can_follow_real_time(tmp_path: Path) -> None:
    clock = SharedClock.create(tmp_path / "clock", NOW)
    reader = SharedClock(tmp_path / "clock")
    assert reader.now() == reader.now() == NOW
    assert not reader.is_real

    clock.set(NOW.astimezone(timezone(timedelta(hours=8))) + timedelta(days=1))
    assert reader.now() == NOW + timedelta(days=1)

    clock.follow_real_time()
    assert reader.is_real
    before = datetime.now(UTC)
    assert before <= reader.now() <= datetime.now(UTC)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - as it wants them
def test_every_instant_comes_back_to_the_microsecond(
    tmp_path_factory: pytest.TempPathFactory, instant: datetime
) -> None:
    path = tmp_path_factory.getbasetemp() / "clock-of-instants"
    clock = SharedClock.create(path, instant)

    assert SharedClock(path).now() == clock.now() == instant


def test_a_movement_is_seen_by_another_process(tmp_path: Path) -> None:
    clock = SharedClock.create(tmp_path / "clock", NOW)
    code = (
        "import sys; from pathlib import Path; from kit.clock import SharedClock\n"
        "clock = SharedClock(Path(sys.argv[1]))\n"
        "for _ in sys.stdin: print(clock.now().isoformat(), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "clock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3] / "services",
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        seen = []
        for days in range(3):
            clock.set(NOW + timedelta(days=days))
            other.stdin.write("now?\n")
            other.stdin.flush()
            seen.append(other.stdout.readline().strip())
        other.stdin.close()

    assert seen == [(NOW + timedelta(days=days)).isoformat() for days in range(3)]


async def test_whoever_watches_a_shared_clock_is_told_of_every_jump(tmp_path: Path) -> None:
    clock = SharedClock.create(tmp_path / "clock", NOW)
    moved = asyncio.Event()
    watching = asyncio.create_task(clock.watch(moved.set))

    for jump in (clock.follow_real_time, lambda: clock.set(NOW), lambda: clock.set(NOW - timedelta(days=1))):
        await asyncio.sleep(0)
        jump()
        await asyncio.wait_for(moved.wait(), 10)
        moved.clear()

    watching.cancel()
    await asyncio.wait([watching])


@pytest.mark.parametrize("content", [b"", b"dl-clock", b"dl-clock1234567", b"another16bytes!!", b"x" * 17])
def test_another_file_is_no_clock(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clock").write_bytes(content)

    with pytest.raises(ClockFileError, match="is not the file of a shared clock"):
        SharedClock(tmp_path / "clock")


def test_a_missing_clock_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClockFileError, match=r"/clock: No such file"):
        SharedClock(tmp_path / "clock")
