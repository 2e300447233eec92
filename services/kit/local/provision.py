"""Roles and databases of the services on one PostgreSQL server, made or brought up to date.

Per service: `<service>_owner` owns the database and runs migrations, `<service>_app` is what the service logs in as.
Both are ordinary roles: no superuser, no BYPASSRLS, so row-level security binds them.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

_ORDINARY = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"


class ProvisionError(Exception):
    """The server is not in a state that the services could run on; the message is for the person at the terminal."""


@dataclass(frozen=True)
class Naming:
    """How roles and databases are called; a prefix keeps tests on a shared server away from real data.

    Migrations find the role to grant to by these endings: what `…_owner` makes, `…_app` may use.
    """

    prefix: str = ""

    def database(self, service: str) -> str:
        """The service's database."""
        return f"{self.prefix}{service}"

    def owner(self, service: str) -> str:
        """The role that owns the tables and migrates them."""
        return f"{self.prefix}{service}_owner"

    def application(self, service: str) -> str:
        """The role that the running service logs in as."""
        return f"{self.prefix}{service}_app"


PLAIN = Naming()


def role_password(secret: str, role: str) -> str:
    """The role's password, derived from one secret: nothing to store per role, stable over restarts."""
    return hmac.new(secret.encode(), role.encode(), "sha256").hexdigest()


def provision(
    superuser_url: str, services: Iterable[str], secret: str, *, naming: Naming = PLAIN
) -> dict[str, tuple[str, str]]:
    """Makes what is missing; returns service → (address of the service's role, address of the owner's role).

    Args:
        superuser_url: a role that may create roles and databases; need not be a superuser on a managed server.
        services: names in snake_case; they become identifiers.
        secret: the passwords are derived from it and set anew each time.
        naming: see `Naming`.
    """
    return asyncio.run(provision_async(superuser_url, list(services), secret, naming=naming))


async def provision_async(
    superuser_url: str, services: Iterable[str], secret: str, *, naming: Naming = PLAIN
) -> dict[str, tuple[str, str]]:
    """`provision` inside a running event loop."""
    services = list(services)

    async def work(connection: Any) -> None:  # asyncpg has no type stubs
        for service in services:
            await _provide(connection, service, secret, naming)

    await on_server(superuser_url, work)
    return addresses(superuser_url, services, secret, naming=naming)


def addresses(
    superuser_url: str, services: Iterable[str], secret: str, *, naming: Naming = PLAIN
) -> dict[str, tuple[str, str]]:
    """What `provision` returns, without asking the server."""

    def pair(service: str) -> tuple[str, str]:
        database = naming.database(service)
        application, owner = (
            address(superuser_url, role, role_password(secret, role), database)
            for role in (naming.application(service), naming.owner(service))
        )
        return application, owner

    return {service: pair(service) for service in services}


async def on_server(url: str, work: Callable[[Any], Awaitable[None]]) -> None:
    """Runs `work` with one connection, closed afterwards."""
    import asyncpg

    connection = await asyncpg.connect(url, timeout=30)
    try:
        await work(connection)
    finally:
        await connection.close()


async def secure_database(connection: Any, database: str, service: str, naming: Naming = PLAIN) -> None:
    """Lets only the service's two roles in; a clone needs this anew."""
    owner, application = naming.owner(service), naming.application(service)
    await connection.execute(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
    await connection.execute(f'GRANT CONNECT ON DATABASE "{database}" TO "{owner}", "{application}"')


def address(server_url: str, user: str, password: str, database: str) -> str:
    """The server's address with another user and database; its options (such as sslmode) stay."""
    parts = urlsplit(server_url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}", path=f"/{database}"))


async def _provide(connection: Any, service: str, secret: str, naming: Naming) -> None:
    owner, application, database = naming.owner(service), naming.application(service), naming.database(service)
    for role in (owner, application):
        await _provide_role(connection, role, role_password(secret, role))
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
        # PostgreSQL 16 and later: who creates a database for a role must be able to become that role.
        await connection.execute(f'GRANT "{owner}" TO CURRENT_USER')
        await connection.execute(f'CREATE DATABASE "{database}" OWNER "{owner}" TEMPLATE template0 ENCODING UTF8')
    await secure_database(connection, database, service, naming)


async def _provide_role(connection: Any, role: str, password: str) -> None:
    question = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = $1"
    passes_security = await connection.fetchval(question, role)
    if passes_security is None:
        await connection.execute(f"CREATE ROLE \"{role}\" WITH {_ORDINARY} PASSWORD '{password}'")
        return
    if passes_security:
        raise ProvisionError(f"the role {role} exists and passes row-level security: take SUPERUSER and BYPASSRLS away")
    await connection.execute(f"ALTER ROLE \"{role}\" WITH LOGIN PASSWORD '{password}'")


def main() -> None:
    """`python -m kit.local.provision SERVICE…`; the secrets come in the environment, where other users cannot look."""
    import os
    import sys

    import asyncpg

    try:
        provision(os.environ["DEALERLOOP_SUPERUSER_URL"], sys.argv[1:], os.environ["DEALERLOOP_ROLE_SECRET"])
    except ProvisionError as error:
        raise SystemExit(str(error)) from None
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise SystemExit(f"PostgreSQL cannot be used: {error or type(error).__name__}") from None


if __name__ == "__main__":
    main()
