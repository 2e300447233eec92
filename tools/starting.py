"""Starting the whole system from the command line, and waiting until it answers."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from urllib.parse import urlsplit

import psutil

from kit.local import binaries
from kit.local.process import LocalServerError, is_free, tail
from tools import health, plan, running
from tools.machine import SERVICES, Places, Report, write_private
from tools.readable import readable
from tools.terminal import Trouble, working

ADMIN = "admin"
READY_SECONDS = 90.0
FREE_BYTES = 500_000_000
FULL_BYTES = 5_000_000


def start(places: Places) -> Report:
    """Runs the plan in `places` and waits; when something does not come up, everything is stopped again.

    Raises:
        Trouble: what does not come up, and why.
    """
    try:
        running.spawn(places)
        report = running.follow(places)
        try:
            wait_ready(report, places)
        except BaseException:
            running.stop(places)
            raise
    except Trouble as trouble:
        if shutil.disk_usage(places.state).free > FULL_BYTES:
            raise
        raise Trouble(f"The disk of {places.state} is full.\n\n{trouble}") from None
    return report


def check_machine(wishes: plan.Wishes, places: Places, command: str) -> None:
    """What can be known before anything is started by `./dev COMMAND`. Raises Trouble or UnsupportedPlatformError."""
    if not wishes.database_url:
        binaries.postgres_folder()
    if not wishes.nats_url:
        binaries.nats_server()
    for name, url in (("DATABASE_URL", wishes.database_url), ("NATS_URL", wishes.nats_url)):
        if url and not health.answers(url):
            raise Trouble(f"Nothing answers at the address in {name} ({urlsplit(url).netloc.rpartition('@')[2]}).")
    place = next(folder for folder in (places.state, *places.state.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < FREE_BYTES:
        raise Trouble(
            f"The disk is nearly full: {free / 1e6:.0f} MB are free at {place}, {FREE_BYTES / 1e6:.0f} MB are needed."
        )
    try:
        taken = not is_free(wishes.http_port, wishes.http_host)
    except OSError as error:
        raise LocalServerError(f"Cannot listen on {wishes.http_host}: {error.strerror}") from None
    if taken:
        raise Trouble(
            f"Port {wishes.http_port} is taken{_by_whom(wishes.http_port)}. Choose another one, for example:\n"
            f"  {wishes.port_variable}={wishes.http_port + 1} ./dev {command}"
        )


def _by_whom(port: int) -> str:
    """` by NAME (process N)` when this user may know it."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def admin_password(wishes: plan.Wishes, places: Places) -> str:
    """The first administrator's password; made and kept for `demo` when nobody gave one."""
    password = wishes.admin_password or remembered_password(places)
    if not password:
        password = secrets.token_urlsafe(12)
        write_private(places.admin_password, password)
    return password


def remembered_password(places: Places) -> str:
    """The administrator's password that was made here; empty when somebody gave one."""
    return places.admin_password.read_text() if places.admin_password.exists() else ""


def wait_ready(report: Report, places: Places) -> None:
    """Waits until every service says that it is ready.

    Raises:
        Trouble: a service ended, or was not ready in time; with the last lines of its log.
    """
    deadline = time.monotonic() + READY_SECONDS
    waiting = {name: process.address for name, process in report.processes.items() if name in SERVICES}
    before = {name: report.processes[name].exits for name in waiting}
    with working("Waiting until the services are ready") as work:
        while waiting:
            for name in [name for name, address in waiting.items() if health.is_well(address)]:
                del waiting[name]
            now = Report.read(places.report)
            for name in waiting:
                process = now.processes.get(name)
                if process is None or process.exits > before[name]:
                    code = process.last_exit if process else None
                    raise Trouble(f"{name} ended at start (exit code {code}). Its last lines:\n{_last(places, name)}")
            if time.monotonic() > deadline:
                name = next(iter(waiting))
                raise Trouble(
                    f"Not ready after {READY_SECONDS:.0f} s: {', '.join(waiting)}. The last lines of {name}:\n"
                    f"{_last(places, name)}"
                )
            if waiting:
                work.now(f"Waiting until the services are ready: {', '.join(waiting)}")
                time.sleep(0.05)
        work.now("All services are ready")


def _last(places: Places, name: str) -> str:
    return readable(tail(places.log_of(name), 15)) or f"(it wrote nothing; see {places.log_of(name)})"
