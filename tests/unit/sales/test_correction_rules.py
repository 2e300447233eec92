"""CARE-03: what a request to correct a record tells beyond what is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sales.corrections import rules
from sales.corrections.values import Known, State

NINE = datetime(2026, 5, 20, 9, tzinfo=UTC)
TEN, ELEVEN = NINE + timedelta(hours=1), NINE + timedelta(hours=2)


@pytest.mark.parametrize(
    ("known", "news"),
    [
        ([], True),
        ([Known(TEN, None)], False),
        ([Known(ELEVEN, None)], False),
        ([Known(NINE, None)], True),
        ([Known(NINE, TEN)], False),
        ([Known(NINE, ELEVEN)], False),
        ([Known(NINE - timedelta(hours=2), NINE)], True),
        ([Known(NINE - timedelta(hours=2), NINE), Known(TEN, None)], False),
    ],
)
def test_a_request_that_is_told_again_or_comes_after_the_correction_is_no_news(known: list[Known], news: bool) -> None:
    assert rules.is_news(TEN, known) is news


def test_a_correction_ends_once() -> None:
    rules.require_open(State.OPEN)
    with pytest.raises(rules.CorrectionAlreadyResolved):
        rules.require_open(State.RESOLVED)
