"""Log lines for people."""

from __future__ import annotations

import json

from tools.readable import readable


def test_a_json_line_becomes_time_level_event_and_facts() -> None:
    entry = {
        "event": "relay.away",
        "level": "warning",
        "timestamp": "2026-03-06T01:02:03.5Z",
        "service": "sales",
        "n": 3,
    }

    assert readable(json.dumps(entry)) == "01:02:03 warning relay.away n=3"


def test_an_exception_is_shown_by_its_end() -> None:
    exception = "\n".join(["Traceback (most recent call last):", *(f"  line {n}" for n in range(20)), "ValueError: no"])
    entry = {"event": "service.failed", "level": "error", "timestamp": "2026-03-06T01:02:03Z", "exception": exception}

    lines = readable(json.dumps(entry)).splitlines()

    assert lines[0] == "01:02:03 error   service.failed"
    assert lines[-1] == "    ValueError: no"
    assert len(lines) == 7


def test_anything_else_stays_as_it_is() -> None:
    text = 'plain words\n{not json}\n["a", "list"]\n{"no": "event"}'

    assert readable(text) == text
