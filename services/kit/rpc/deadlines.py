"""How long a call may take, and what is left of it for the calls that it makes."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

UNARY_SECONDS = 10.0
"""For a call whose client set no deadline."""
STREAM_SECONDS = 600.0
"""The same for a server stream, which may carry a whole table."""

_until: ContextVar[float | None] = ContextVar("dealerloop_deadline", default=None)


def begin(seconds: float) -> None:
    """Says that the current task's call ends in this many seconds."""
    _until.set(asyncio.get_running_loop().time() + seconds)


def left(at_most: float) -> float:
    """Seconds for a call made now: `at_most`, or what is left of the call being served if that is less."""
    until = _until.get()
    return at_most if until is None else max(0.0, min(at_most, until - asyncio.get_running_loop().time()))
