"""What ./dev up decides before it starts anything."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tools.machine import SERVICES, Places
from tools.plan import Plan, Wishes, make


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places(tmp_path / "state")
    places.prepare()
    return places


def test_each_service_gets_its_own_database_under_an_ordinary_role(places: Places) -> None:
    plan = make(Wishes(), places)

    urls = {job.name: job.environment["DEALERLOOP_DATABASE_URL"] for job in plan.services}
    assert list(urls) == list(SERVICES)
    for name, url in urls.items():
        assert url.startswith(f"postgresql://{name}_app:")
        assert url.endswith(f"/{name}")
    superuser = plan.setup["Preparing roles and databases"][0].environment["DEALERLOOP_SUPERUSER_URL"]
    assert all(superuser not in job.environment.values() for job in plan.services)


def test_no_service_gets_another_ones_password_or_the_owners(places: Places) -> None:
    plan = make(Wishes(), places)

    for job in plan.services:
        databases = [value for value in job.environment.values() if value.startswith("postgresql://")]
        assert databases == [job.environment["DEALERLOOP_DATABASE_URL"]]
        assert ("DEALERLOOP_ADMIN_PASSWORD" in job.environment) == (job.name == "gateway")


def test_ports_and_passwords_stay_from_one_start_to_the_next(places: Places) -> None:
    assert make(Wishes(), places) == make(Wishes(), places)


def test_a_port_that_somebody_took_meanwhile_is_replaced(places: Places) -> None:
    before = make(Wishes(), places)
    assert before.nats is not None

    with socket.socket() as other:
        other.bind(("127.0.0.1", before.nats.port))
        after = make(Wishes(), places)

    assert after.nats is not None
    assert after.nats.port != before.nats.port
    assert after.postgres == before.postgres


def test_servers_that_were_given_are_used_and_none_is_started(places: Places) -> None:
    wishes = Wishes(
        database_url="postgresql://me:pw@db.example:5433/postgres?ssl=require", nats_url="nats://n.example:4222"
    )

    plan = make(wishes, places)

    assert plan.postgres is None
    assert plan.nats is None
    url = plan.services[0].environment["DEALERLOOP_DATABASE_URL"]
    assert url.endswith("@db.example:5433/sales?ssl=require")
    assert plan.services[0].environment["DEALERLOOP_NATS_URL"] == "nats://n.example:4222"


def test_a_plan_is_read_as_it_was_written_and_only_by_its_owner(places: Places) -> None:
    plan = make(Wishes(admin_password="a password"), places)

    plan.write(places.plan)

    assert Plan.read(places.plan) == plan
    assert places.plan.stat().st_mode & 0o777 == 0o600
    assert places.state.stat().st_mode & 0o777 == 0o700


def test_settings_of_other_programs_do_not_leak_in(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEALERLOOP_NATS_URL", "nats://wrong:1")
    monkeypatch.setenv("PGHOST", "wrong")
    monkeypatch.setenv("DEALERLOOP_LOG_LEVEL", "debug")

    job = make(Wishes(), places).services[0]

    assert "wrong" not in " ".join(job.environment.values())
    assert job.environment["DEALERLOOP_LOG_LEVEL"] == "debug"


@pytest.mark.parametrize("port", ["abc", "0", "70000", "-1", ""])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match="DEALERLOOP_PORT"):
        Wishes.of({"DEALERLOOP_PORT": port})


def test_only_a_simulation_gets_the_shared_clock_and_long_tokens(places: Places) -> None:
    ordinary, simulated = make(Wishes(), places), make(Wishes(), places, simulated=True)

    migration = simulated.setup["Migrating the databases"][0]
    for job in (*simulated.services, migration):
        assert job.environment["DEALERLOOP_CLOCK_FILE"] == str(places.clock)
    for job in (*ordinary.services, *(job for jobs in ordinary.setup.values() for job in jobs)):
        assert "DEALERLOOP_CLOCK_FILE" not in job.environment
        assert "DEALERLOOP_TOKEN_MINUTES" not in job.environment


def test_a_clock_file_in_the_callers_environment_is_not_passed_on(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEALERLOOP_CLOCK_FILE", "/somewhere/else")

    assert all("DEALERLOOP_CLOCK_FILE" not in job.environment for job in make(Wishes(), places).services)


def test_no_two_processes_get_the_same_port(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port counts as free until its process listens, so it may be offered again, and the gateway's is known."""
    offers = [port for port in range(20_001, 20_020) for _ in range(3)]
    monkeypatch.setattr("tools.plan.free_port", lambda: offers.pop(0))

    plan = make(Wishes(http_port=20_002), places)

    assert plan.postgres is not None
    assert plan.nats is not None
    listen = [int(job.environment["DEALERLOOP_RPC_LISTEN"].rpartition(":")[2]) for job in plan.services]
    ports = [20_002, plan.postgres.port, plan.nats.port, *listen]
    assert len(set(ports)) == len(ports) == 3 + len(SERVICES)
