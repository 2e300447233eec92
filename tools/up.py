"""`./dev up`, `reset` and `demo`: the whole system on this machine, without Docker."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import shutil
import subprocess
import sys
import time
from urllib.parse import urlsplit

import psutil

from kit.keys import create_key_directory
from kit.local import binaries
from kit.local.process import LocalServerError, is_free, tail
from tools import health, plan, running
from tools.machine import PLACES, ROOT, SERVICES, Places, Report, is_running, write_private
from tools.readable import readable
from tools.terminal import Trouble, confirm, note, say, table, working

HELP = """Starts PostgreSQL, NATS and the five services on this machine and waits until they are ready.

  DEALERLOOP_PORT            where the gateway listens (8080)
  DEALERLOOP_HTTP_HOST       on which address (127.0.0.1)
  DEALERLOOP_ADMIN_PASSWORD  the first administrator's password; otherwise one is made and printed once
  DATABASE_URL               a PostgreSQL 18 server to use instead of a local one; a role that may create roles
  NATS_URL                   a NATS server with JetStream to use instead of a local one
  DEALERLOOP_STATE           another folder for all data than .dealerloop/, to run a second copy

All data lie in .dealerloop/ and survive `down`; `reset` removes them."""
READY_SECONDS = 90.0
FREE_BYTES = 500_000_000
FULL_BYTES = 5_000_000
ADMIN = "admin"


def up(places: Places = PLACES) -> int:
    """Starts everything, or says where it is when it runs already."""
    try:
        wishes = plan.Wishes.of(os.environ)
    except ValueError as error:
        raise Trouble(str(error)) from None
    begin = time.monotonic()
    if is_running(places):
        return _already_up(places, wishes)
    for name in running.end_orphans(places):
        note(f"{name} was left by a supervisor that had been killed; it has been stopped.")
    _check_machine(wishes, places)
    places.prepare()
    create_key_directory(places.keys, SERVICES)
    wishes = dataclasses.replace(wishes, admin_password=_admin_password(wishes, places))
    plan.make(wishes, places).write(places.plan)
    try:
        report = _start(places)
    except Trouble as trouble:
        if shutil.disk_usage(places.state).free > FULL_BYTES:
            raise
        raise Trouble(f"The disk of {places.state} is full.\n\n{trouble}") from None
    note(f"Ready after {time.monotonic() - begin:.1f} s.\n")
    _explain(report, places)
    return 0


def reset(*, sure: bool, places: Places = PLACES) -> int:
    """Removes all local data; a database or broker that was given by address is left as it is."""
    if not places.state.exists():
        note("There is nothing to remove.")
        return 0
    question = f"Remove all local data in {places.state} (databases, streams, keys, logs)?"
    if not sure and not confirm(question):
        raise Trouble("Nothing was removed; say --yes, or answer y.")
    running.stop(places)
    with working("Removing the local data"):
        shutil.rmtree(places.state)
    return 0


def demo(arguments: list[str], places: Places = PLACES) -> int:
    """Runs tools/demo against what is up, as the administrator."""
    report = Report.read(places.report)
    if not is_running(places) or report.phase != "running":
        raise Trouble("Nothing is running; start it with ./dev up.")
    password = os.environ.get("DEALERLOOP_ADMIN_PASSWORD") or _remembered_password(places)
    if not password:
        raise Trouble("Say the administrator's password in DEALERLOOP_ADMIN_PASSWORD.")
    environment = os.environ | {"DEALERLOOP_ADMIN_PASSWORD": password}
    command = [sys.executable, "-m", "tools.demo", "--url", report.http, *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


def _start(places: Places) -> Report:
    """Starts the supervisor and waits; when something does not come up, everything is stopped again."""
    running.spawn(places)
    report = running.follow(places)
    try:
        _wait_ready(report, places)
    except BaseException:
        running.stop(places)
        raise
    return report


def _already_up(places: Places, wishes: plan.Wishes) -> int:
    report = running.follow(places)  # another ./dev up may still be under way
    if "DEALERLOOP_PORT" in os.environ and report.http != wishes.url:
        raise Trouble(f"It runs already, at {report.http}. To move it: ./dev down, then ./dev up with the other port.")
    _wait_ready(report, places)
    note("It was running already. To run changed code: ./dev down && ./dev up\n")
    _explain(report, places)
    return 0


def _check_machine(wishes: plan.Wishes, places: Places) -> None:
    """What can be known before anything is started. Raises Trouble or UnsupportedPlatformError."""
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
            f"  DEALERLOOP_PORT={wishes.http_port + 1} ./dev up"
        )


def _by_whom(port: int) -> str:
    """` by NAME (process N)` when this user may know it."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def _admin_password(wishes: plan.Wishes, places: Places) -> str:
    """The first administrator's password; made and kept for `demo` when nobody gave one."""
    password = wishes.admin_password or _remembered_password(places)
    if not password:
        password = secrets.token_urlsafe(12)
        write_private(places.admin_password, password)
    return password


def _remembered_password(places: Places) -> str:
    return places.admin_password.read_text() if places.admin_password.exists() else ""


def _wait_ready(report: Report, places: Places) -> None:
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


def _explain(report: Report, places: Places) -> None:
    """What runs where, how to log in, what to try next."""
    url = report.http
    rows = [(name, process.address, str(process.pid)) for name, process in report.processes.items()]
    say(table(("PROCESS", "ADDRESS", "PID"), rows))
    say()
    say(f"API        {url}   documentation: {url}/docs   OpenAPI: {url}/openapi.json")
    say(f"Log in     user {ADMIN}, {_password_words(places, url)}")
    say(f"           curl -s {url}/v1/auth/token -d grant_type=password -d username={ADMIN} -d password=…")
    say()
    say("Next       ./dev demo            one delivery becomes follow-ups, a warranty, a survey and a live grade")
    say("           ./dev status          memory and health")
    say("           ./dev logs gateway -f")
    say("           ./dev down            stop; data stay")


def _password_words(places: Places, url: str) -> str:
    """The made password, once; it works only when the gateway had no administrator before."""
    password = _remembered_password(places)
    if not password or places.admin_shown.exists():
        return "with the password that was set, or shown at the first start"
    if not health.can_log_in(url, ADMIN, password):
        places.admin_password.unlink()
        return "with the password that this administrator already had"
    places.admin_shown.touch()
    return f"password {password}   (shown only now; ./dev demo reads it from {places.admin_password.name})"
