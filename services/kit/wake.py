"""Wakes workers when a transaction left something for them, within the process and across processes.

Inside one process a committed transaction calls the subscribers of its database at once. Where the server and the
worker are processes of their own, `Notifier` (in the one that writes) and `Listener` (in the one that works) carry the
call over PostgreSQL's NOTIFY. It is sent after the commit and on a connection of its own: a NOTIFY inside the business
transaction would make all commits of the cluster wait for one another. A lost call costs nothing but the poll.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import Database, after_commit
from kit.log import log

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTBOX: Final = "outbox"
TIMER: Final = "timer"
IMPORT: Final = "import"
CHANNELS: Final = (OUTBOX, TIMER, IMPORT)
_PREFIX: Final = "dealerloop_"
_GATHER_SECONDS: Final = 0.005
_RETRY_SECONDS: Final = 2.0

Waker = Callable[[], None]
_subscribers: WeakKeyDictionary[Any, dict[str, list[Waker]]] = WeakKeyDictionary()


def ring_after_commit(session: AsyncSession, channel: str) -> None:
    """Wakes the subscribers of the channel once, when this transaction has committed."""
    rung: set[str] = session.info.setdefault("kit.wake", set())
    if channel in rung:
        return
    rung.add(channel)
    engine = session.get_bind().engine
    after_commit(session, lambda: _ring(engine, channel))


@contextmanager
def subscribed(database: Database, channel: str, waker: Waker) -> Iterator[None]:
    """Has `waker` called after every transaction of this process that rang the channel."""
    wakers = _subscribers.setdefault(database.engine.sync_engine, {}).setdefault(channel, [])
    wakers.append(waker)
    try:
        yield
    finally:
        wakers.remove(waker)


def _ring(engine: Any, channel: str) -> None:
    for waker in tuple(_subscribers.get(engine, {}).get(channel, ())):
        waker()


class Notifier:
    """Passes the calls of this process on to the others; for a process that writes and does not work itself."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: set[str] = set()
        self._rung = asyncio.Event()

    async def run(self) -> None:
        """Runs until it is cancelled; many calls in a few milliseconds become one."""
        with ExitStack() as stack:
            for channel in CHANNELS:
                stack.enter_context(subscribed(self._database, channel, partial(self._ring, channel)))
            while True:
                try:
                    connection = await connect(self._database)
                    try:
                        await self._pass_on(connection)
                    finally:
                        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                            await connection.close(timeout=1)
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                    log.warning("wake.notifier_down", error=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _pass_on(self, connection: asyncpg.Connection) -> None:
        while True:
            await self._rung.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._rung.clear()
            channels, self._pending = self._pending, set()
            await connection.execute("".join(f"NOTIFY {_PREFIX}{channel};" for channel in sorted(channels)))

    def _ring(self, channel: str) -> None:
        self._pending.add(channel)
        self._rung.set()


class Listener:
    """Wakes the workers of this process when another one rang."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Runs until it is cancelled; connects again after an outage and then rings once, for what was missed."""
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                log.warning("wake.listener_down", error=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self) -> None:
        connection = await connect(self._database)
        ended = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: ended.set())
            for channel in CHANNELS:
                await connection.add_listener(_PREFIX + channel, self._heard)
                _ring(self._database.engine.sync_engine, channel)
            await ended.wait()
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await connection.close(timeout=1)

    def _heard(self, _connection: object, _pid: int, channel: str, _payload: object) -> None:
        _ring(self._database.engine.sync_engine, channel.removeprefix(_PREFIX))


async def connect(database: Database) -> asyncpg.Connection:
    """A connection outside the pool, for what stays open: the pool is for transactions."""
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return await asyncpg.connect(url, timeout=10, server_settings={"application_name": "dealerloop-wake"})
