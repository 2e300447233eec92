"""Starting, following and stopping the supervisor from the command line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil

from kit.local.process import tail
from tools.machine import PLACES, Places, Report, is_running
from tools.terminal import Trouble, note, working

STOP_SECONDS = 60.0
_CLOCK_TOLERANCE = 5.0
_LARGE_LOG = 20_000_000
# Supervisors that this process started: it is their parent until it ends itself, and owes them a wait.
_started: list[subprocess.Popen[bytes]] = []


def spawn(places: Places = PLACES) -> None:
    """Starts the supervisor in a session of its own, so that it outlives this command and its terminal."""
    places.report.unlink(missing_ok=True)
    for old in places.logs.glob("*.log"):
        if old.stat().st_size > _LARGE_LOG:
            old.replace(old.with_suffix(".log.1"))
    log_path = places.log_of("supervisor")
    begin = log_path.stat().st_size if log_path.exists() else 0
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.supervisor", str(places.state)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _started.append(process)
    while not places.report.exists():
        if process.poll() is not None:
            raise Trouble(f"The supervisor ended at once:\n{tail(log_path, 12, since=begin)}")
        time.sleep(0.01)


def follow(places: Places = PLACES) -> Report:
    """Shows the start step by step until everything is started.

    Raises:
        Trouble: something could not be started; everything has been stopped again.
    """
    with ExitStack() as shown:
        doing = ""
        while True:
            alive = is_running(places)  # asked before reading: what a supervisor wrote last is then read for certain
            report = Report.read(places.report)
            if report.doing != doing and report.phase == "starting":
                shown.close()
                doing = report.doing
                shown.enter_context(working(doing))
            if report.phase == "running":
                return report
            if not alive:
                _reap()
                raise Trouble(report.error or f"The supervisor ended:\n{tail(places.log_of('supervisor'), 12)}")
            time.sleep(0.02)


def stop(places: Places = PLACES) -> bool:
    """Stops everything; False when nothing ran.

    Raises:
        Trouble: it did not end in time.
    """
    ran = is_running(places)
    if ran:
        pid = Report.read(places.report).supervisor
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        with working("Stopping"):
            while is_running(places):
                if time.monotonic() > deadline:
                    raise Trouble(f"The supervisor (process {pid}) did not stop within {STOP_SECONDS:.0f} s.")
                time.sleep(0.02)
            _reap()
            while _lives(pid) and time.monotonic() < deadline:
                time.sleep(0.01)  # the lock is free a moment before the process is gone
    left = end_orphans(places)
    for name in left:
        note(f"{name} was left behind by a supervisor that had been killed; it has been stopped.")
    return ran or bool(left)


def _reap() -> None:
    while _started:
        _started.pop().wait(STOP_SECONDS)


def _lives(pid: int) -> bool:
    """Not so when only its entry is left, because its parent (a container's first process, say) has not looked."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def orphans(places: Places = PLACES) -> Iterator[tuple[str, psutil.Process]]:
    """Processes of a supervisor that was killed; one whose number belongs to somebody else by now is not among them."""
    for name, report in Report.read(places.report).processes.items():
        if not report.pid:
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(report.pid)
            same_start = abs(process.create_time() - report.started) < _CLOCK_TOLERANCE
            if same_start and _lives(report.pid):
                yield name, process


def end_orphans(places: Places = PLACES) -> list[str]:
    """Stops them; returns their names. They end by themselves a moment after their supervisor, so wait for that."""
    time.sleep(0.3 if Report.read(places.report).processes else 0)
    left = list(orphans(places))
    for name, process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
    _, alive = psutil.wait_procs([process for _, process in left], timeout=15)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return [name for name, _ in left]
