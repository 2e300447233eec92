"""The process that owns everything that `./dev up` starts."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kit.local.process import free_port
from tools import running
from tools.machine import Places, ProcessReport, Report, is_running
from tools.plan import Job, Plan, Server
from tools.terminal import Trouble

FOREVER = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0))\nwhile True: signal.pause()"


def python(name: str, code: str) -> Job:
    return Job(name, [sys.executable, "-c", code], dict(os.environ), "127.0.0.1:1")


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    places = Places(tmp_path / "state")
    places.prepare()
    yield places
    running.stop(places)


def start(places: Places, plan: Plan) -> Report:
    plan.write(places.plan)
    running.spawn(places)
    return running.follow(places)


def plan_of(places: Places, *services: Job, **more: list[Job]) -> Plan:
    return Plan(logs=str(places.logs), services=list(services), setup=more)


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pids(report: Report) -> list[int]:
    return [report.supervisor, *(process.pid for process in report.processes.values())]


def alive(numbers: list[int]) -> list[int]:
    living = [psutil.Process(number) for number in numbers if psutil.pid_exists(number)]
    return [process.pid for process in living if process.status() != psutil.STATUS_ZOMBIE]


def test_servers_and_services_run_after_the_command_and_none_is_left_after_down(places: Places) -> None:
    plan = plan_of(places, python("sales", FOREVER), python("gateway", FOREVER))
    servers = {
        "postgres": Server(str(places.postgres), free_port()),
        "nats": Server(str(places.nats), free_port()),
    }

    report = start(places, Plan(plan.logs, "", servers["postgres"], servers["nats"], {}, plan.services))

    assert list(report.processes) == ["postgres", "nats", "sales", "gateway"]
    assert len(alive(pids(report))) == 5
    for server in servers.values():
        socket.create_connection(("127.0.0.1", server.port), timeout=2).close()

    assert running.stop(places)

    assert alive(pids(report)) == []
    assert not is_running(places)
    assert not running.stop(places)


def test_a_crashed_service_and_a_crashed_server_are_started_again(places: Places) -> None:
    port = free_port()
    plan = Plan(str(places.logs), "", Server(str(places.postgres), port), None, {}, [python("sales", FOREVER)])
    before = start(places, plan)

    for name in ("sales", "postgres"):
        os.kill(before.processes[name].pid, signal.SIGKILL)

    def is_back() -> bool:
        processes = Report.read(places.report).processes
        return all(processes[name].exits == 1 and processes[name].pid for name in processes)

    wait_for(is_back)
    after = Report.read(places.report).processes
    assert after["sales"].last_exit == -signal.SIGKILL
    assert {process.pid for process in after.values()}.isdisjoint(pids(before))
    socket.create_connection(("127.0.0.1", port), timeout=2).close()


def test_a_service_that_always_crashes_is_tried_more_and_more_rarely(places: Places) -> None:
    start(places, plan_of(places, python("sales", "raise SystemExit(7)")))

    wait_for(lambda: Report.read(places.report).processes["sales"].exits == 3)

    said = [line for line in places.log_of("supervisor").read_text().splitlines() if "starting it again" in line]
    assert [line.split("again in ")[1] for line in said] == ["0.5 s", "1 s", "2 s"]
    assert Report.read(places.report).processes["sales"].last_exit == 7


def test_a_failed_setup_stops_everything_and_shows_its_last_lines(places: Places) -> None:
    broken = python("migrate-sales", "print('the table is there already'); raise SystemExit(1)")
    plan = plan_of(places, python("sales", FOREVER), Migrating=[python("migrate-gateway", "pass"), broken])

    with pytest.raises(Trouble, match=r"migrate-sales failed.*\n.*the table is there already"):
        start(places, plan)

    assert Report.read(places.report).processes == {}
    assert not is_running(places)


def test_a_taken_port_is_named(places: Places) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        plan = Plan(str(places.logs), nats=Server(str(places.nats), port))

        with pytest.raises(Trouble, match=f"port {port} is taken"):
            start(places, plan)


def test_services_end_after_the_gateway(places: Places, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    tells = (
        "import signal, pathlib, time\n"
        f"def end(*_):\n    f = open({str(ended)!r}, 'a'); f.write('NAME '); f.close(); exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True)\nwhile True: signal.pause()"
    )
    jobs = [python(name, tells.replace("NAME", name)) for name in ("sales", "scoring", "gateway")]
    start(places, plan_of(places, *jobs))
    wait_for(lambda: all("up" in places.log_of(job.name).read_text() for job in jobs))

    running.stop(places)

    assert ended.read_text().split()[0] == "gateway"
    assert sorted(ended.read_text().split()) == ["gateway", "sales", "scoring"]


def test_nothing_outlives_a_supervisor_that_was_killed(places: Places) -> None:
    plan = Plan(
        str(places.logs),
        "",
        Server(str(places.postgres), free_port()),
        Server(str(places.nats), free_port()),
        {},
        [python("sales", FOREVER)],
    )
    report = start(places, plan)

    os.kill(report.supervisor, signal.SIGKILL)

    wait_for(lambda: alive(pids(report)) == [])
    assert not is_running(places)


def test_a_number_that_belongs_to_somebody_else_by_now_is_left_alone(places: Places) -> None:
    stranger = psutil.Process()
    Report(phase="running", processes={"sales": ProcessReport(pid=stranger.pid, started=1.0)}).write(places.report)

    assert running.end_orphans(places) == []
    assert stranger.is_running()


def test_down_in_the_middle_of_a_start_stops_it(places: Places) -> None:
    slow = python("migrate-sales", "import time; time.sleep(60)")
    plan = plan_of(places, Migrating=[slow])
    plan.write(places.plan)
    running.spawn(places)
    wait_for(lambda: Report.read(places.report).doing == "Migrating")

    begin = time.monotonic()
    assert running.stop(places)

    assert time.monotonic() - begin < 5
    assert Report.read(places.report).phase == "stopped"
