"""Processes of a tiny system end by SIGKILL at every failpoint, and the broker loses its store in mid-run.

What is counted afterwards: every pebble that was thrown was caught exactly once, and told on exactly once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kit import failpoints
from kit.db.engine import Database
from kit.db.migrate import upgrade
from kit.local.nats import LocalNats
from kit.local.postgres import LocalPostgres
from kit.local.provision import provision_async
from kit.messaging.connection import connect
from tests.integration.messaging.pond import PACKAGE
from tests.support.pond import POND, Pond, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

ENDLESS = 10**9
ROOT = Path(__file__).parents[2]


class Nodes:
    """The processes, by role."""

    def __init__(self, databases: dict[str, str], nats_url: str) -> None:
        self._databases = databases
        self._nats_url = nats_url
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str, *, failpoint: str = "", count: int = ENDLESS) -> subprocess.Popen[bytes]:
        self.stop(role)
        arguments = [sys.executable, "-m", "tests.support.pond_node", role, self._databases[role], self._nats_url]
        environment = {name: value for name, value in os.environ.items() if name != failpoints.VARIABLE}
        if failpoint:
            environment[failpoints.VARIABLE] = failpoint
        process = subprocess.Popen(
            [*arguments, str(count)], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._running[role] = process
        return process

    async def die(self, role: str, failpoint: str) -> None:
        """Runs the process until it ends itself at its failpoint, and starts it again."""
        process = self.start(role, failpoint=failpoint)
        await until(lambda: _ended(process), seconds=40)
        assert process.returncode == -signal.SIGKILL
        self.start(role)

    def kill(self, role: str) -> None:
        process = self._running.pop(role)
        process.kill()
        process.wait()

    def stop(self, role: str) -> None:
        if role in self._running:
            self.kill(role)

    def stop_all(self) -> None:
        for role in list(self._running):
            self.kill(role)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalNats]:
    server = LocalNats(tmp_path / "nats")
    server.start()
    yield server
    server.wipe()


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    server = LocalPostgres(tmp_path / "postgres", durable=True)
    url = server.start()
    provided = await provision_async(url, ["pond", "shore"], "secret")
    for _, migration_url in provided.values():
        upgrade(migration_url, package=PACKAGE)
    yield {"thrower": provided["pond"][0], "catcher": provided["shore"][0]}
    server.wipe()


@pytest.fixture
async def ponds(databases: dict[str, str], broker: LocalNats) -> AsyncIterator[dict[str, Pond]]:
    """Both databases as the test sees them."""
    client = await connect(broker.url, "test")
    opened = {role: Pond(Database(url, pool_size=2), client.jetstream()) for role, url in databases.items()}
    yield opened
    await client.close()
    for pond in opened.values():
        await pond.database.close()


@pytest.fixture
def nodes(databases: dict[str, str], broker: LocalNats, ponds: dict[str, Pond]) -> Iterator[Nodes]:
    running = Nodes(databases, broker.url)
    yield running
    running.stop_all()


async def test_processes_that_die_at_every_failpoint_lose_nothing_and_double_nothing(
    nodes: Nodes, ponds: dict[str, Pond]
) -> None:
    nodes.start("thrower")
    for role, failpoint in (
        ("catcher", "before_ack:5"),
        ("catcher", "after_commit:5"),
        ("thrower", "after_commit:5"),
        ("catcher", "after_publish:4"),
        ("thrower", "after_publish:2"),
        ("catcher", "after_ack:5"),
    ):
        await nodes.die(role, failpoint)

    count = await _stop_throwing(nodes, ponds)
    # What the dead ones held comes again after ack_wait.
    await until(lambda: _arrived(ponds, count), seconds=90)
    await _assert_each_exactly_once(ponds, count)


async def test_everything_dies_in_turn_and_the_store_is_wiped_in_mid_run(
    nodes: Nodes, ponds: dict[str, Pond], broker: LocalNats
) -> None:
    nodes.start("catcher")
    nodes.start("thrower")
    for round_ in range(3):
        await until(lambda: _thrown(ponds, (round_ + 1) * 300), seconds=40)  # noqa: B023 - awaited at once
        broker.wipe()
        await asyncio.sleep(0.3)
        broker.start()
        await nodes.die("catcher", f"{('before_ack', 'after_publish', 'after_ack')[round_]}:3")
        nodes.start("thrower")

    count = await _stop_throwing(nodes, ponds)
    await until(lambda: _arrived(ponds, count), seconds=90)
    await _assert_each_exactly_once(ponds, count)
    # The stream tells the whole story again, and each of its events once.
    found = Counter(await ponds["thrower"].in_stream())
    assert len(found) == count


async def _stop_throwing(nodes: Nodes, ponds: dict[str, Pond]) -> int:
    """From here on the thrower only publishes; returns how many were thrown in all."""
    nodes.stop("thrower")
    count = int(await ponds["thrower"].value("SELECT count(*) FROM thrown"))
    nodes.start("thrower", count=count)
    return count


async def _ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


async def _thrown(ponds: dict[str, Pond], count: int) -> bool:
    return bool(await ponds["thrower"].value("SELECT count(*) FROM thrown") >= count)


async def _arrived(ponds: dict[str, Pond], count: int) -> bool:
    waiting = "SELECT count(*) FROM outbox WHERE publish_time IS NULL"
    return (
        await ponds["thrower"].value("SELECT count(*) FROM thrown") == count
        and await ponds["catcher"].value("SELECT count(DISTINCT pebble_id) FROM caught") >= count
        and not any([await pond.value(waiting) for pond in ponds.values()])
    )


async def _assert_each_exactly_once(ponds: dict[str, Pond], count: int) -> None:
    thrown = [row[0] for row in await ponds["thrower"].fetch("SELECT pebble_id FROM thrown ORDER BY 1")]
    caught = await ponds["catcher"].caught("shore")
    told = await ponds["catcher"].value("SELECT count(*) FROM outbox")
    events = await ponds["thrower"].value("SELECT count(*) FROM outbox")
    assert len(thrown) == count
    assert caught == thrown
    assert (told, events) == (count, count)
    assert (await ponds["thrower"].jetstream.stream_info(POND.name)).state.messages >= count
