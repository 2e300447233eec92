"""`python -m tools.cli COMMAND …`: what `./dev` becomes once the environment is there."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Callable, Sequence
from datetime import date

from tools import codegen
from tools.terminal import Trouble, note, working

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Runs one command; every expected failure is a plain message and an exit code other than 0."""
    from kit.local.process import LocalServerError

    command, *rest = arguments
    try:
        if command != "lock" and not codegen.is_current():
            with working("Generating code from proto/"):
                codegen.generate()
        return COMMANDS[command](rest)
    except (Trouble, LocalServerError) as trouble:
        note(f"\n{trouble}")
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        note(f"\nThe disk is full: {error.filename or error}")
        return 1
    except KeyboardInterrupt:
        note("\nInterrupted." + (" What was started goes on; ./dev down stops it." if command == "up" else ""))
        return INTERRUPTED


def _parser(command: str, about: str) -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=f"./dev {command}", description=about, formatter_class=shape)


def _up(arguments: list[str]) -> int:
    from tools import up

    parser = _parser("up", up.HELP)
    parser.add_argument("--empty", action="store_true", help="begin without the sample group")
    return up.up(empty=parser.parse_args(arguments).empty)


def _down(arguments: list[str]) -> int:
    from tools import running

    _parser("down", "Stops everything that `up` started. Data stay.").parse_args(arguments)
    note("Stopped." if running.stop() else "Nothing was running.")
    return 0


def _reset(arguments: list[str]) -> int:
    from tools import up

    parser = _parser("reset", "Stops everything and removes all local data: databases, streams, keys, logs.")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return up.reset(sure=parser.parse_args(arguments).yes)


def _status(arguments: list[str]) -> int:
    from tools import status

    parser = _parser("status", "Shows what runs. Exit code 0: all well, 1: something is not, 3: nothing runs.")
    parser.add_argument("--json", action="store_true", help="for a script")
    return status.status(as_json=parser.parse_args(arguments).json)


def _logs(arguments: list[str]) -> int:
    from tools import status

    parser = _parser("logs", "Shows what a process wrote.")
    parser.add_argument("service", help=", ".join(status.LOGGED))
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("-n", "--lines", type=int, default=100, help="how many lines back (100)")
    given = parser.parse_args(arguments)
    return status.logs(given.service, lines=given.lines, follow=given.follow)


def _demo(arguments: list[str]) -> int:
    from tools import up

    return up.demo(arguments)


def _simulate(arguments: list[str]) -> int:
    from tools.simulation import command

    parser = _parser("simulate", command.HELP)
    parser.add_argument("--stores", type=int, default=3, help="how many stores (3)")
    parser.add_argument("--months", type=int, default=2, help="how many months (2)")
    parser.add_argument("--seed", type=int, default=1, help="another seed tells another story (1)")
    parser.add_argument("--end", type=date.fromisoformat, metavar="YYYY-MM-DD", help="the last day (today)")
    parser.add_argument("--keep", action="store_true", help="let it run on at the end, to look around")
    parser.add_argument("--down", action="store_true", help="stop one that was kept, and remove its data")
    given = parser.parse_args(arguments)
    if given.down:
        return command.down()
    return command.simulate(command.Wish(given.stores, given.months, given.seed, given.end, given.keep))


def _service(arguments: list[str]) -> int:
    from tools import operating
    from tools.machine import SERVICES

    parser = _parser("service", operating.HELP)
    parser.add_argument("name", help=", ".join(SERVICES))
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command with its arguments")
    given = parser.parse_args(arguments)
    return operating.service(given.name, given.command)


def _test(arguments: list[str]) -> int:
    from tools import testing

    return testing.test(arguments)


def _check(arguments: list[str]) -> int:
    from tools import checking

    parser = _parser("check", "Runs every check; or only those that are named.")
    parser.add_argument("only", nargs="*", help=", ".join(checking.CHECKS))
    parser.add_argument("--fix", action="store_true", help="let ruff mend what it can, first")
    given = parser.parse_args(arguments)
    return checking.check(given.only, fix=given.fix)


def _bench(arguments: list[str]) -> int:
    from tools import benching

    parser = _parser("bench", "Runs the measurements in bench/, or only those that are named.")
    parser.add_argument("only", nargs="*", help="file names in bench/ without .py")
    return benching.bench(parser.parse_args(arguments).only)


def _lock(arguments: list[str]) -> int:
    from tools import locking

    parser = _parser("lock", "Resolves requirements/*.in anew into the hashed locks.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that the .in files allow")
    return locking.lock(upgrade=parser.parse_args(arguments).upgrade)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "up": _up,
    "down": _down,
    "reset": _reset,
    "status": _status,
    "logs": _logs,
    "demo": _demo,
    "simulate": _simulate,
    "service": _service,
    "test": _test,
    "check": _check,
    "bench": _bench,
    "lock": _lock,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
