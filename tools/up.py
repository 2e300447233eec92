"""`./dev up`, `reset` and `demo`: the whole system on this machine, without Docker."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import time

from kit.keys import create_key_directory
from tools import health, plan, running, sample, starting
from tools.machine import PLACES, ROOT, SERVICES, Places, Report, is_running
from tools.terminal import Trouble, confirm, note, say, table, working

HELP = """Starts PostgreSQL, NATS and the five services on this machine and waits until they are ready.

  DEALERLOOP_PORT            where the gateway listens (8080)
  DEALERLOOP_HTTP_HOST       on which address (127.0.0.1)
  DEALERLOOP_ADMIN_PASSWORD  the first administrator's password; otherwise one is made and printed once
  DATABASE_URL               a PostgreSQL 18 server to use instead of a local one; a role that may create roles
  NATS_URL                   a NATS server with JetStream to use instead of a local one
  DEALERLOOP_SAMPLE          no: the first start loads no sample group (as --empty does)
  DEALERLOOP_STATE           another folder for all data than .dealerloop/, to run a second copy

All data lie in .dealerloop/ and survive `down`; `reset` removes them."""


def up(places: Places = PLACES, *, empty: bool = False) -> int:
    """Starts everything, or says where it is when it runs already; a first start loads the sample group before."""
    try:
        wishes = plan.Wishes.of(os.environ)
    except ValueError as error:
        raise Trouble(str(error)) from None
    begin = time.monotonic()
    sample.refuse_half(places)
    if is_running(places):
        return _already_up(places, wishes)
    for name in running.end_orphans(places):
        note(f"{name} was left by a supervisor that had been killed; it has been stopped.")
    starting.check_machine(wishes, places, "up")
    if sample.is_wanted(wishes, places, os.environ, empty=empty):
        note("This is the first start: two sample stores live through the last weeks (without them: ./dev up --empty).")
        sample.load(wishes, places)
    places.prepare()
    sample.skip(places)
    create_key_directory(places.keys, SERVICES)
    wishes = dataclasses.replace(wishes, admin_password=starting.admin_password(wishes, places))
    plan.make(wishes, places).write(places.plan)
    report = starting.start(places)
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
    running.stop(places.simulation)
    running.stop(places)
    with working("Removing the local data"):
        shutil.rmtree(places.state)
    return 0


def demo(arguments: list[str], places: Places = PLACES) -> int:
    """Runs tools/demo against what is up, as the administrator."""
    report = Report.read(places.report)
    if not is_running(places) or report.phase != "running":
        raise Trouble("Nothing is running; start it with ./dev up.")
    password = os.environ.get("DEALERLOOP_ADMIN_PASSWORD") or starting.remembered_password(places)
    if not password:
        raise Trouble("Say the administrator's password in DEALERLOOP_ADMIN_PASSWORD.")
    environment = os.environ | {"DEALERLOOP_ADMIN_PASSWORD": password}
    command = [sys.executable, "-m", "tools.demo", "--url", report.http, *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


def _already_up(places: Places, wishes: plan.Wishes) -> int:
    report = running.follow(places)  # another ./dev up may still be under way
    if "DEALERLOOP_PORT" in os.environ and report.http != wishes.url:
        raise Trouble(f"It runs already, at {report.http}. To move it: ./dev down, then ./dev up with the other port.")
    starting.wait_ready(report, places)
    note("It was running already. To run changed code: ./dev down && ./dev up\n")
    _explain(report, places)
    return 0


def _explain(report: Report, places: Places) -> None:
    """What runs where, how to log in, what to try next."""
    url = report.http
    rows = [(name, process.address, str(process.pid)) for name, process in report.processes.items()]
    say(table(("PROCESS", "ADDRESS", "PID"), rows))
    say()
    say(f"API        {url}   documentation: {url}/docs   OpenAPI: {url}/openapi.json")
    say(f"Log in     user {starting.ADMIN}, {_password_words(places, url)}")
    say(f"           curl -s {url}/v1/auth/token -d grant_type=password -d username={starting.ADMIN} -d password=…")
    if invented := sample.words(places):
        say(invented)
    say()
    say("Next       ./dev demo            from a delivery to a closed month, with a complaint between")
    say("           ./dev status          memory and health")
    say("           ./dev logs gateway -f")
    say("           ./dev down            stop; data stay")


def _password_words(places: Places, url: str) -> str:
    """The made password, once; it works only when the gateway had no administrator before."""
    password = starting.remembered_password(places)
    if not password or places.admin_shown.exists():
        return "with the password that was set, or shown at the first start"
    if not health.can_log_in(url, starting.ADMIN, password):
        places.admin_password.unlink()
        return "with the password that this administrator already had"
    places.admin_shown.touch()
    return f"password {password}   (shown only now; ./dev demo reads it from {places.admin_password.name})"
