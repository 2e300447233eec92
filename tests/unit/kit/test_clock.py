"""Clocks."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kit.clock import ManualClock, SystemClock

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
