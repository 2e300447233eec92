from __future__ import annotations

from kit import backoff


def test_pauses_double_up_to_a_limit() -> None:
    middles = [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]

    for failures, middle in enumerate(middles, 1):
        assert 0.7 * middle <= backoff.pause_after(failures) <= 1.3 * middle


def test_a_thousand_failures_are_no_overflow() -> None:
    assert backoff.pause_after(100_000) <= 13


def test_pauses_are_scattered() -> None:
    assert len({backoff.scattered(1.0) for _ in range(20)}) > 1
