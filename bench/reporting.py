"""How every bench says what it found: one line a figure, the figure to reach beside it."""

from __future__ import annotations

from collections.abc import Sequence


def say(what: str, value: float, unit: str, goal: str = "", *, met: bool | None = None) -> None:
    """One figure."""
    verdict = "" if met is None else ("  ok" if met else "  MISSED")
    print(f"{what:<58} {value:>12,.3f} {unit:<10} {goal}{verdict}", flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
