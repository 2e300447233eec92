"""Fixtures for every test: real servers, never a mock of our own code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.support import docker

if TYPE_CHECKING:  # unit tests do not pay for what they do not use
    from collections.abc import AsyncIterator, Iterator

    from nats.js import JetStreamContext

    from tests.support.nats import NatsServer
    from tests.support.postgres import Cloner, PostgresServer

TESTS = Path(__file__).parent

# A busy machine is no defect, so no example has a deadline; HYPOTHESIS_PROFILE=thorough looks further.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=25)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One PostgreSQL server per worker (a start costs 0.6 s, less than sharing would cost in care)."""
    from tests.support import postgres

    with postgres.postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One NATS server per worker."""
    from tests.support import nats

    with nats.nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def database_urls(postgres_server: PostgresServer) -> Iterator[Cloner]:
    """`database_urls("sales")` is this test's own migrated database of the service; removed afterwards."""
    from tests.support import postgres

    with postgres.clones(postgres_server) as clone:
        yield clone


@pytest.fixture
def nats_url(nats_server: NatsServer) -> Iterator[str]:
    """The address of an empty JetStream that is this test's own."""
    with nats_server.jetstream_url() as url:
        yield url


@pytest.fixture
async def jetstream(nats_url: str) -> AsyncIterator[JetStreamContext]:
    """A connection to this test's own JetStream."""
    import nats

    client = await nats.connect(nats_url)
    try:
        yield client.jetstream()
    finally:
        await client.close()


def pytest_configure(config: pytest.Config) -> None:
    """Looks once for Docker; workers of pytest-xdist inherit the answer."""
    os.environ.setdefault(docker.VARIABLE, docker.why_not())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Chaos tests share one group; tests that need Docker are left out, and told, where there is none."""
    without_docker = []
    for item in items:
        if item.path.is_relative_to(TESTS / "chaos"):
            item.add_marker(pytest.mark.chaos)
        if item.get_closest_marker("chaos"):
            item.add_marker(pytest.mark.xdist_group("chaos"))
        if item.get_closest_marker("docker") and os.environ[docker.VARIABLE]:
            without_docker.append(item)
    if without_docker:
        items[:] = [item for item in items if item not in without_docker]
        config.hook.pytest_deselected(items=without_docker)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what this run did not cover, before pytest's closing line."""
    why = os.environ[docker.VARIABLE]
    if why:
        terminalreporter.section("not run on this machine")
        terminalreporter.line(
            f"compose and servers from testcontainers (tests marked docker): {why}; the wheels' servers were used"
        )
