"""`./dev status` and `./dev logs`."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from datetime import timedelta
from typing import NamedTuple

import psutil

from kit.local.process import tail
from tools import health
from tools.machine import PLACES, SERVERS, SERVICES, Places, Report, is_running
from tools.readable import readable
from tools.terminal import Trouble, note, say, table

LOGGED = (*SERVICES, *SERVERS, "setup", "supervisor")
NOTHING_RUNS = 3


class Line(NamedTuple):
    """One process of the list; memory is what it holds in RAM, in MB."""

    name: str
    pid: int
    memory_mb: float
    address: str
    health: str
    up_seconds: int
    restarts: int


def status(*, as_json: bool, places: Places = PLACES) -> int:
    """Prints the list; the exit code says whether all is well."""
    if not is_running(places):
        say("[]" if as_json else "Nothing is running; start it with ./dev up.")
        return NOTHING_RUNS
    report = Report.read(places.report)
    lines = collect(report)
    if as_json:
        say(json.dumps([line._asdict() for line in lines]))
    else:
        say(f"{report.phase} since {timedelta(seconds=int(time.time() - report.since))}, API {report.http}\n")
        say(table(("PROCESS", "PID", "MEMORY", "ADDRESS", "HEALTH", "UP", "RESTARTS"), [_row(line) for line in lines]))
        services = sum(line.memory_mb for line in lines if line.name in SERVICES)
        everything = sum(line.memory_mb for line in lines)
        say(f"\nThe services hold {services:.0f} MB together, with servers {everything:.0f} MB.")
    return 0 if lines and all(line.health == "well" for line in lines) else 1


def collect(report: Report) -> list[Line]:
    """Asks each process."""
    lines = []
    for name, process in report.processes.items():
        well = bool(process.pid) and (name in SERVERS or health.is_well(process.address))
        state = "well" if well else "ended" if not process.pid else "not ready"
        up = int(time.time() - process.started) if process.pid else 0
        lines.append(Line(name, process.pid, memory_mb(process.pid), process.address, state, up, process.exits))
    return lines


def memory_mb(pid: int) -> float:
    """Resident memory of a process and its children; what PostgreSQL's sessions share is counted once."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid) if pid else None
        for process in [root, *root.children(recursive=True)] if root else []:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                memory = process.memory_info()
                total += memory.rss - (getattr(memory, "shared", 0) if process is not root else 0)
    return round(total / 1e6, 1)


def _row(line: Line) -> tuple[str, ...]:
    up = str(timedelta(seconds=line.up_seconds))
    memory = f"{line.memory_mb:.0f} MB"
    return line.name, str(line.pid or "-"), memory, line.address, line.health, up, str(line.restarts)


def logs(name: str, *, lines: int, follow: bool, places: Places = PLACES) -> int:
    """Prints the end of a log, and what is added as long as `follow`."""
    if name not in LOGGED:
        raise Trouble(f"There is no log of {name!r}; there are: {', '.join(LOGGED)}")
    path = places.log_of(name)
    if not path.exists():
        raise Trouble(f"{name} has written nothing yet.")
    note(f"{path}")
    shown = readable if sys.stdout.isatty() else str
    say(shown(tail(path, lines)))
    if not follow:
        return 0
    with path.open("rb") as log:
        log.seek(0, 2)
        while True:
            added = log.read()
            if added:
                say(shown(added.decode(errors="replace").rstrip("\n")))
            time.sleep(0.2)
