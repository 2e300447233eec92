"""SAL-11: the cut-off is the group's to set, as a time of the day and nothing else."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from kit.settings import ConfigurationError, load
from sales.settings import Settings


def loaded(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    given = {"database_url": "postgresql://u:p@h/sales", "keys_dir": str(Path.cwd())} | variables
    for name, value in given.items():
        monkeypatch.setenv(f"DEALERLOOP_{name.upper()}", value)
    return load(Settings)


def test_the_cut_off_is_half_past_six_unless_the_group_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(monkeypatch).handover_cut_off == time(18, 30)
    assert loaded(monkeypatch, handover_cut_off="20:05").handover_cut_off == time(20, 5)
    assert loaded(monkeypatch, handover_cut_off="00:00").handover_cut_off == time(0, 0)


@pytest.mark.parametrize("text", ["1830", "24:00", "18:60", "6:30", "18:30:00", "18:30Z", "half past six"])
def test_what_is_no_time_of_the_day_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"DEALERLOOP_HANDOVER_CUT_OFF .*must look like 18:30"):
        loaded(monkeypatch, handover_cut_off=text)
