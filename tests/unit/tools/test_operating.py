"""The commands of a service for its operator, run beside a local system."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.machine import SERVICES, Places, Report
from tools.operating import service
from tools.plan import Job, Plan
from tools.terminal import Trouble

TELLS = "import json, os, sys; open(os.environ['TOLD'], 'w').write(json.dumps(sys.argv[1:])); raise SystemExit(3)"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A folder whose services write their arguments to the file that their own environment names."""
    places = Places(tmp_path / "state")
    places.prepare()
    jobs = [
        Job(name, [sys.executable, "-c", TELLS, name, "all"], {"TOLD": str(tmp_path / f"{name}.json")})
        for name in SERVICES
    ]
    Plan(str(places.logs), services=jobs).write(places.plan)
    return places


@contextmanager
def running(places: Places, phase: str = "running") -> Iterator[None]:
    Report(phase=phase).write(places.report)
    with places.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_a_command_runs_with_the_environment_of_its_service_and_tells_its_exit_code(
    places: Places, tmp_path: Path
) -> None:
    with running(places):
        assert service("customer_care", ["dlq", "show", "17"], places) == 3

    assert (tmp_path / "customer_care.json").read_text() == '["customer_care", "dlq", "show", "17"]'
    assert not (tmp_path / "sales.json").exists()


def test_without_a_command_the_service_lists_its_own(places: Places, tmp_path: Path) -> None:
    with running(places):
        service("scoring", [], places)

    assert (tmp_path / "scoring.json").read_text() == '["scoring", "--help"]'


def test_when_nothing_runs_that_is_said(places: Places) -> None:
    with pytest.raises(Trouble, match=r"Nothing is running; start it with \./dev up"):
        service("sales", ["dlq", "list"], places)


def test_a_system_that_is_still_starting_is_not_used(places: Places, tmp_path: Path) -> None:
    with running(places, phase="starting"), pytest.raises(Trouble, match="Nothing is running"):
        service("sales", ["dlq", "list"], places)

    assert not (tmp_path / "sales.json").exists()


def test_an_unknown_service_is_answered_with_those_that_there_are(places: Places) -> None:
    with running(places), pytest.raises(Trouble, match=f"no service 'sale'; there are: {', '.join(SERVICES)}"):
        service("sale", ["dlq", "list"], places)


@pytest.mark.parametrize("command", ["rpc", "worker", "all", "migrate"])
def test_what_runs_already_is_not_started_twice(places: Places, tmp_path: Path, command: str) -> None:
    with running(places), pytest.raises(Trouble, match="already"):
        service("sales", [command], places)

    assert not (tmp_path / "sales.json").exists()


def test_options_behind_the_command_are_the_services_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tools import cli, operating

    given: list[list[str]] = []

    def remember(name: str, command: list[str]) -> int:
        given.append([name, *command])
        return 0

    monkeypatch.setattr(operating, "service", remember)
    words = ["sales", "republish", "DeliveryRecorded", "--since", "2026-11-01", "--dry-run"]

    assert cli.COMMANDS["service"](words) == 0
    assert given == [words]
