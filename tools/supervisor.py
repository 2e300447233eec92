"""The parent of everything that `./dev up` starts: `python -m tools.supervisor STATE_FOLDER`.

Why a process of its own: `./dev up` returns to the shell, but a server needs someone who restarts it when it crashes,
and someone whose death ends it. This process is that someone. It owns every child directly (Linux ends them by a death
signal when it dies, elsewhere a watchdog does), so there is no pid file to trust and nothing can be left behind.

It reads one plan with all addresses decided, writes one report for people to read, and takes one order: SIGTERM. It
holds a file lock while it lives; `down` asks the lock, not a remembered process id, whether something runs.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO

from kit.local.nats import LocalNats
from kit.local.postgres import LocalPostgres
from kit.local.process import Child, LocalServerError
from tools.machine import Places, ProcessReport, Report
from tools.plan import Job, Plan
from tools.readable import readable

STOP_SECONDS = 15.0
SETUP_SECONDS = 300.0
STABLE_SECONDS = 60.0
LONGEST_PAUSE = 30.0
LOCK_SECONDS = 2.0


class StopRequestedError(Exception):
    """`down` was called while things were still starting."""


@dataclass
class Kept:
    """A process that is to run; `due` is when a crashed one is started again."""

    start: Startable
    crashes_in_a_row: int = 0
    due: float = 0.0


class Startable:
    """One kept program, whether a server with its own class or a plain job."""

    def __init__(self, name: str, server: LocalPostgres | LocalNats | None, job: Job | None, logs: Path) -> None:
        self.name = name
        self.address = job.address if job else f"127.0.0.1:{server.port}" if server else ""
        self._server = server
        self._job = job
        self._log = logs / f"{name}.log"
        self.child: Child | None = None

    @property
    def pid(self) -> int:
        """The process id, 0 before the start."""
        running = self._server or self.child
        return (running.pid if running else None) or 0

    def start(self) -> None:
        """Starts it. Raises LocalServerError."""
        if self._server is not None:
            self._server.start()
        elif self._job is not None:
            self.child = Child(self._job.program, log_path=self._log, environment=self._job.environment)

    def exit_code(self) -> int | None:
        """None while it runs."""
        running = self._server or self.child
        return running.exit_code() if running else None

    def ask_to_stop(self) -> None:
        """Sends SIGTERM to a plain job."""
        if self.child is not None:
            self.child.send(signal.SIGTERM)

    def stop(self) -> None:
        """Waits for its end, and makes an end after STOP_SECONDS."""
        if self._server is not None:
            self._server.stop(timeout=STOP_SECONDS)
        elif self.child is not None and self.child.wait(STOP_SECONDS) is None:
            self.child.kill()


class Supervisor:
    """Starts the plan in order, keeps it running, stops it in the opposite order."""

    def __init__(self, places: Places, plan: Plan) -> None:
        self._places = places
        self._plan = plan
        self._report = Report(supervisor=os.getpid(), since=time.time(), http=plan.http)
        self._kept: list[Kept] = []
        self._stopping = False
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)

    def run(self) -> int:
        """Until SIGTERM, or until something cannot be started. Returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # only so that it wakes the loop
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        failed = False
        try:
            self._start_all()
            self._tell("running")
            while not self._stopping:
                self._keep()
        except StopRequestedError:
            pass
        except (LocalServerError, OSError) as error:
            failed = True
            self._report.error = _plain(error)
            _log(self._report.error)
        finally:
            self._stopping = True
            self._stop_all(failed=failed)
        return 1 if failed else 0

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        first, self._stopping = not self._stopping, True
        if first and self._report.phase == "starting":
            raise StopRequestedError

    def _start_all(self) -> None:
        logs = Path(self._plan.logs)
        if self._plan.postgres:
            server = self._plan.postgres
            postgres = LocalPostgres(Path(server.folder), server.port, log_path=logs / "postgres.log")
            self._start(Startable("postgres", postgres, None, logs), "Starting PostgreSQL")
        if self._plan.nats:
            nats = LocalNats(Path(self._plan.nats.folder), self._plan.nats.port, log_path=logs / "nats.log")
            self._start(Startable("nats", nats, None, logs), "Starting NATS")
        for stage, jobs in self._plan.setup.items():
            self._tell("starting", stage)
            self._run_jobs(jobs)
        for job in self._plan.services:
            self._start(Startable(job.name, None, job, logs), "Starting the services")

    def _start(self, what: Startable, doing: str) -> None:
        self._tell("starting", doing)
        self._kept.append(Kept(what))
        what.start()
        self._started(what)

    def _started(self, what: Startable) -> None:
        report = self._report.processes.setdefault(what.name, ProcessReport())
        report.pid, report.started, report.address = what.pid, time.time(), what.address
        _log(f"{what.name} started, process {what.pid}")
        self._report.write(self._places.report)

    def _run_jobs(self, jobs: list[Job]) -> None:
        """Runs one-time jobs side by side. Raises LocalServerError with the last lines of one that fails."""
        logs = Path(self._plan.logs)
        running = {
            job.name: Child(job.program, log_path=logs / "setup.log", environment=job.environment) for job in jobs
        }
        try:
            for name, child in running.items():
                code = child.wait(SETUP_SECONDS)
                if code is None:
                    raise LocalServerError(f"{name} did not end within {SETUP_SECONDS:.0f} s:\n{child.tail()}")
                if code != 0:
                    raise LocalServerError(f"{name} failed (exit code {code}):\n{readable(child.tail(15))}")
        finally:
            for child in running.values():
                child.kill()

    def _keep(self) -> None:
        """Waits for something to happen, then starts again what ended."""
        waiting = [kept.due for kept in self._kept if kept.due]
        pause = max(0.0, min(waiting) - time.monotonic()) if waiting else None
        select.select([self._woken], [], [], pause)
        while _drain(self._woken):
            pass
        for kept in self._kept:
            if self._stopping:
                return
            code = kept.start.exit_code()
            if kept.due:
                if time.monotonic() >= kept.due:
                    kept.due = 0.0
                    self._restart(kept)
            elif code is not None:
                self._crashed(kept, code)

    def _crashed(self, kept: Kept, code: int | None) -> None:
        report = self._report.processes[kept.start.name]
        stable = time.time() - report.started > STABLE_SECONDS
        kept.crashes_in_a_row = 1 if stable else kept.crashes_in_a_row + 1
        pause = min(LONGEST_PAUSE, 0.5 * 2 ** (kept.crashes_in_a_row - 1))
        kept.due = time.monotonic() + pause
        report.exits, report.last_exit, report.pid = report.exits + 1, code, 0
        _log(f"{kept.start.name} ended with {code}; starting it again in {pause:g} s")
        self._report.write(self._places.report)

    def _restart(self, kept: Kept) -> None:
        try:
            kept.start.start()
        except LocalServerError as error:
            _log(str(error))
            self._crashed(kept, None)
        else:
            self._started(kept.start)

    def _stop_all(self, *, failed: bool) -> None:
        """The last started first; services side by side once the gateway takes no more requests."""
        self._tell("stopping")
        services = [kept.start for kept in self._kept if kept.start.child is not None]
        servers = [kept.start for kept in self._kept if kept.start.child is None]
        for group in (services[-1:], services[:-1]):
            for each in group:
                each.ask_to_stop()
            for each in group:
                self._stop_one(each)
        for server in reversed(servers):
            self._stop_one(server)
        self._report.processes = {}
        self._tell("failed" if failed else "stopped")

    def _stop_one(self, what: Startable) -> None:
        begin = time.monotonic()
        what.stop()
        _log(f"{what.name} stopped, {time.monotonic() - begin:.1f} s")

    def _tell(self, phase: str, doing: str = "") -> None:
        self._report.phase, self._report.doing = phase, doing
        _log(f"{phase} {doing}".strip())
        try:
            self._report.write(self._places.report)
        except OSError as error:  # a full disk must not keep anything from being stopped
            _log(_plain(error))
            if phase not in {"stopping", "stopped", "failed"}:
                raise


def _drain(end: socket.socket) -> bytes:
    try:
        return end.recv(4096)
    except BlockingIOError:
        return b""


def _plain(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}" if error.filename else str(error)
    return str(error)


def _log(text: str) -> None:
    print(datetime.now(UTC).isoformat(timespec="milliseconds"), text, flush=True)


def _take(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(state_folder: str) -> int:
    """Takes the lock and supervises; ends at once when another supervisor has it."""
    places = Places(Path(state_folder))
    with places.lock.open("a") as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _take(lock):
            if time.monotonic() > deadline:
                _log("another supervisor runs already")
                return 1
            time.sleep(0.01)  # a command that is just asking holds it for a moment
        return Supervisor(places, Plan.read(places.plan)).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
