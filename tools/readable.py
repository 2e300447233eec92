"""Log lines as a person reads them; in the files they stay JSON for programs."""

from __future__ import annotations

import json

_LEFT_OUT = {"event", "level", "timestamp", "service", "exception", "trace_id"}
_LAST_OF_EXCEPTION = 6


def readable(text: str) -> str:
    """Each JSON line as time, level, event and its facts, with the end of an exception below it; others as they are."""
    return "\n".join(_line(line) for line in text.splitlines())


def _line(line: str) -> str:
    if not line.startswith("{"):
        return line
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or "event" not in entry:
        return line
    time = str(entry.get("timestamp", ""))[11:19]
    facts = [f"{name}={value}" for name, value in entry.items() if name not in _LEFT_OUT]
    words = " ".join([time, f"{entry.get('level', ''):<7}", str(entry["event"]), *facts])
    exception = str(entry.get("exception", "")).strip().splitlines()[-_LAST_OF_EXCEPTION:]
    return "\n".join([words, *(f"    {part}" for part in exception)])
