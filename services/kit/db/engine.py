"""Transactions with a row scope, on SQLAlchemy and asyncpg."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import structlog
from sqlalchemy import event
from sqlalchemy.engine.url import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from kit.db.scope import SETTING, Scope

log = structlog.get_logger()

_BEFORE_COMMIT = "kit.before_commit"
_HOOKS = "kit.after_commit"
# The service's own limits: a transaction that was forgotten, or a query that runs away, must not stay for ever.
_SERVER_SETTINGS = {
    "timezone": "UTC",
    "jit": "off",
    "idle_in_transaction_session_timeout": "60s",
    "statement_timeout": "60s",
}


class ScopedConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection whose next BEGIN also sets the row scope, in the same round trip."""

    # asyncpg.Connection has slots; a subclass without them may have attributes.
    opening: str = ""

    def open_with(self, scope: Scope, *, read_only: bool) -> None:
        """Remember what the next transaction starts with."""
        # A scope's ids are checked against a pattern without quotes when it is made.
        mode = "SET TRANSACTION READ ONLY; " if read_only else ""
        self.opening = f" {mode}SET LOCAL {SETTING} = '{scope.setting}';"

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 - asyncpg's own signature
        """Run a statement; the BEGIN of a transaction takes the scope with it."""
        if self.opening and not args and query.startswith("BEGIN"):
            query, self.opening = query + self.opening, ""
        return cast(str, await super().execute(query, *args, timeout=timeout))


class Database:
    """One service's database: a pool of connections under the service's role."""

    def __init__(self, url: str, *, pool_size: int = 10, application_name: str = "dealerloop") -> None:
        self.engine: AsyncEngine = create_async_engine(
            driver_url(url),
            pool_size=pool_size,
            max_overflow=pool_size // 2,
            pool_timeout=10,
            pool_recycle=1800,
            # The most recently used connection first: in quiet times the others stay idle and are recycled.
            pool_use_lifo=True,
            # Parameters may be personal data; errors are logged without them.
            hide_parameters=True,
            connect_args={
                "connection_class": ScopedConnection,
                "timeout": 10,
                "server_settings": {**_SERVER_SETTINGS, "application_name": application_name},
            },
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)

    @asynccontextmanager
    async def transaction(self, scope: Scope, *, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        """Open a transaction that sees this scope only; commit at the end, roll back on an error.

        Functions given to `after_commit` run after a successful commit, outside the transaction.
        """
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            driver = _driver(await session.connection())
            driver.open_with(scope, read_only=read_only)
            try:
                yield session
                for prepare in session.info.get(_BEFORE_COMMIT, ()):
                    await prepare()
                await session.commit()
            finally:
                # A transaction that ran no statement never began: its scope must not wait for the next one.
                driver.opening = ""
        for hook in session.info.get(_HOOKS, ()):
            try:
                hook()
            except Exception:
                # The work is committed: a hook's failure must not look like a failure of the work.
                log.exception("after_commit.failed")

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def before_commit(session: AsyncSession, prepare: Callable[[], Awaitable[None]]) -> None:
    """Run this as the last work of the transaction; its error rolls everything back."""
    session.info.setdefault(_BEFORE_COMMIT, []).append(prepare)


def after_commit(session: AsyncSession, hook: Callable[[], None]) -> None:
    """Run a quick function once this transaction has committed; never when it is rolled back."""
    session.info.setdefault(_HOOKS, []).append(hook)


async def raw_connection(session: AsyncSession) -> asyncpg.Connection:
    """Return the asyncpg connection of this session, inside its transaction; for unnest and other bulk work.

    What the session has not flushed yet is not visible to it: flush first. PostgreSQL refuses COPY into protected
    tables: use INSERT … SELECT FROM unnest. jsonb goes in as JSON text and comes out as Python objects (that is
    SQLAlchemy's codec).
    """
    connection = await session.connection()
    driver = _driver(connection)
    if not driver.is_in_transaction():
        # SQLAlchemy begins with its first statement, and what follows must already be inside.
        await connection.exec_driver_sql("SELECT 1")
    return driver


def driver_url(url: str) -> str:
    """Return a `postgresql://` address as SQLAlchemy's asyncpg dialect wants it, password included."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def _driver(connection: AsyncConnection) -> ScopedConnection:
    sync = connection.sync_connection
    assert sync is not None
    return cast(ScopedConnection, sync.connection.driver_connection)


def _refuse_closed(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    # asyncpg notices a lost server by itself; asking it costs nothing, where a ping would cost a round trip.
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError("the connection was closed while it was idle")
