"""`./dev service`: the commands that a service has for its operator, with the environment of what runs here."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tools.machine import PLACES, ROOT, SERVICES, Places, Report, is_running
from tools.plan import Plan
from tools.terminal import Trouble

HELP = """Runs `python -m NAME COMMAND ...` with the environment of the running service, for example:

  ./dev service customer_care dlq list
  ./dev service scoring verify
  ./dev service sales republish DeliveryRecorded --since 2026-11-01 --dry-run

Without a command it lists those of the service; docs/operations/restore.md says what they are for."""
# What ./dev up runs by itself; a second one would only be in its way.
_RUN_BY_UP = ("rpc", "worker", "all", "migrate")


def service(name: str, command: Sequence[str], places: Places = PLACES) -> int:
    """Runs the command and returns its exit code.

    Raises:
        Trouble: there is no such service, nothing runs, or the command is one that `./dev up` runs.
    """
    if name not in SERVICES:
        raise Trouble(f"There is no service {name!r}; there are: {', '.join(SERVICES)}")
    if command and command[0] in _RUN_BY_UP:
        raise Trouble(f"./dev up runs {command[0]!r} of {name} already; ./dev service {name} lists what is for you.")
    if not is_running(places) or Report.read(places.report).phase != "running":
        raise Trouble("Nothing is running; start it with ./dev up.")
    job = next(job for job in Plan.read(places.plan).services if job.name == name)
    program = [*job.program[:-1], *(command or ["--help"])]
    return subprocess.run(program, env=job.environment, cwd=ROOT, check=False).returncode
