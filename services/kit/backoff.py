"""How long to wait before the next try."""

from __future__ import annotations

import random
from typing import Final

_FIRST_SECONDS: Final = 0.2
_LONGEST_SECONDS: Final = 10.0
_DOUBLINGS: Final = 10


def scattered(seconds: float, share: float = 0.3) -> float:
    """`seconds`, up to `share` more or less, so that many who wait do not come back at once."""
    return seconds * random.uniform(1 - share, 1 + share)  # noqa: S311 - nothing secret


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row (1, 2, …): doubling, ten at the most, scattered."""
    return scattered(min(_LONGEST_SECONDS, _FIRST_SECONDS * 2 ** min(failures - 1, _DOUBLINGS)))
