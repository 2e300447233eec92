"""Roles and databases on a server, made by whoever may make them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from kit.local.provision import Naming, ProvisionError, address, provision_async
from tests.support.postgres import PostgresServer

SECRET = "a secret of this machine"
SERVICES = ["sales", "scoring"]


@pytest.fixture
async def naming(postgres_server: PostgresServer) -> AsyncIterator[Naming]:
    """Names that are this test's own; what was made is removed."""
    naming = Naming(f"{postgres_server.naming.prefix}trial_")
    yield naming
    connection = await asyncpg.connect(postgres_server.url)
    for service in SERVICES:
        await connection.execute(f'DROP DATABASE IF EXISTS "{naming.database(service)}" WITH (FORCE)')
    for service in SERVICES:
        await connection.execute(f'DROP ROLE IF EXISTS "{naming.owner(service)}", "{naming.application(service)}"')
    await connection.execute(f'DROP ROLE IF EXISTS "{naming.prefix}manager"')
    await connection.close()


async def test_a_role_that_may_create_roles_and_databases_is_enough(
    postgres_server: PostgresServer, naming: Naming
) -> None:
    manager = f"{naming.prefix}manager"
    superuser = await asyncpg.connect(postgres_server.url)
    await superuser.execute(f"CREATE ROLE \"{manager}\" LOGIN CREATEDB CREATEROLE PASSWORD 'pw'")
    await superuser.close()
    url = address(postgres_server.url, manager, "pw", "postgres")

    first = await provision_async(url, SERVICES, SECRET, naming=naming)
    again = await provision_async(url, SERVICES, SECRET, naming=naming)

    assert first == again
    for service_url, owner_url in first.values():
        owner = await asyncpg.connect(owner_url)
        await owner.execute("CREATE TABLE note (id int)")
        await owner.close()
        service = await asyncpg.connect(service_url)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute("CREATE TABLE other (id int)")
        await service.close()


async def test_a_service_cannot_reach_its_neighbours_database(postgres_server: PostgresServer, naming: Naming) -> None:
    urls = await provision_async(postgres_server.url, SERVICES, SECRET, naming=naming)
    sales, scoring = naming.database("sales"), naming.database("scoring")

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        await asyncpg.connect(urls["sales"][0].removesuffix(sales) + scoring)


async def test_a_role_that_would_pass_row_level_security_is_refused(
    postgres_server: PostgresServer, naming: Naming
) -> None:
    superuser = await asyncpg.connect(postgres_server.url)
    await superuser.execute(f'CREATE ROLE "{naming.application("sales")}" LOGIN BYPASSRLS')
    await superuser.close()

    with pytest.raises(ProvisionError, match="row-level security"):
        await provision_async(postgres_server.url, SERVICES, SECRET, naming=naming)
