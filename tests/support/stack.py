"""The whole product in processes of its own, as `./dev up` plans it, with every process in the test's hand."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx

from kit.keys import create_key_directory
from kit.local.nats import LocalNats
from kit.local.postgres import LocalPostgres
from kit.local.process import Child, free_port
from tools import health
from tools.machine import SERVICES, Places
from tools.plan import Job, Plan, Wishes, make

ADMIN_PASSWORD = "correct-horse-battery"
_READY_SECONDS = 60.0


class Stack:
    """Servers and services under one folder. Start it from the main thread: its processes end with it."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder)
        self.places.prepare()
        create_key_directory(self.places.keys, SERVICES)
        self.wishes = Wishes(http_port=free_port(), admin_password=ADMIN_PASSWORD)
        self.plan: Plan = make(self.wishes, self.places)
        assert self.plan.postgres is not None
        assert self.plan.nats is not None
        self.postgres = LocalPostgres(self.places.postgres, self.plan.postgres.port)
        self.nats = LocalNats(self.places.nats, self.plan.nats.port)
        self.children: dict[str, Child] = {}
        self._clients: list[httpx.Client] = []

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return self.plan.http

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Started, and stopped at the end. When the block fails, the logs outlive the folder; the error says where."""
        try:
            self.start()
            yield self
        except BaseException as error:
            kept = tempfile.mkdtemp(prefix="dealerloop-logs-")
            shutil.copytree(self.places.logs, kept, dirs_exist_ok=True)
            error.add_note(f"the logs of all processes: {kept}")
            raise
        finally:
            self.stop()

    def start(self) -> None:
        """Everything, until the gateway and all services are ready."""
        self.postgres.start()
        self.nats.start()
        for jobs in self.plan.setup.values():
            running = [(job, self._child(job)) for job in jobs]
            for job, child in running:
                code = child.wait(120)
                assert code == 0, f"{job.name}: {child.tail()}"
        for name in SERVICES:
            self.start_service(name)
        self.wait_ready()

    def stop(self) -> None:
        """Everything; what was killed before is no error."""
        for client in self._clients:
            client.close()
        for name in reversed(SERVICES):
            self.kill(name)
        self.nats.stop()
        self.postgres.stop()

    def start_service(self, name: str, *, failpoint: str = "") -> Child:
        """One service, with a failpoint that will end it or without."""
        job = next(job for job in self.plan.services if job.name == name)
        extra = {"DEALERLOOP_FAILPOINT": failpoint} if failpoint else {}
        self.children[name] = self._child(Job(job.name, job.program, job.environment | extra))
        return self.children[name]

    def kill(self, name: str) -> None:
        """SIGKILL, if it still runs."""
        child = self.children.pop(name, None)
        if child is not None:
            child.kill()

    def wait_ready(self) -> None:
        """Until the gateway and its neighbours say that they are ready; what was killed is not waited for."""
        self.wait_for("the system to be ready", self._is_ready, seconds=_READY_SECONDS)

    def wipe_jetstream(self) -> None:
        """The broker loses its disk and starts empty at the same address."""
        self.nats.kill()
        self.nats.wipe()
        self.nats.start()

    def wait_for(self, what: str, done: Callable[[], bool], *, seconds: float = 60.0) -> None:
        """Asks again until it is done; says what every service wrote last when it never is."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {name}\n{child.tail(8)}" for name, child in self.children.items())
                raise AssertionError(f"waited {seconds:.0f} s in vain for {what}\n{tails}")
            time.sleep(0.05)

    def rows(self, service: str, query: str) -> list[tuple[Any, ...]]:
        """What the superuser sees in a service's database."""

        async def ask() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.postgres.url.rsplit("/", 1)[0] + f"/{service}")
            try:
                return [tuple(row) for row in await connection.fetch(query)]
            finally:
                await connection.close()

        return asyncio.run(ask())

    def count(self, service: str, query: str) -> int:
        """One number."""
        return int(self.rows(service, query)[0][0])

    def sign_in(self, username: str = "admin", password: str = ADMIN_PASSWORD) -> httpx.Client:
        """A client with a token."""
        client = httpx.Client(base_url=self.url, timeout=20)
        self._clients.append(client)
        answer = client.post("/v1/auth/token", data={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client

    def _is_ready(self) -> bool:
        # A server that answers at a service's address need not be the service: it may have found its port taken, and
        # then it ends.
        addresses = {job.name: job.address for job in self.plan.services}
        well = all(health.is_well(addresses[name]) for name in self.children)
        for name, child in self.children.items():
            assert child.exit_code() is None, f"{name} ended: {child.tail(20)}"
        return well

    def _child(self, job: Job) -> Child:
        return Child(job.program, log_path=self.places.log_of(job.name), environment=job.environment)
