"""Servers from containers, the third way of the tests to get them; needs a Docker engine."""

from __future__ import annotations

import asyncpg
import nats
import pytest

from tests.support import nats as nats_support
from tests.support import postgres as postgres_support

pytestmark = pytest.mark.docker


async def test_a_postgres_container_gives_migrated_databases() -> None:
    with postgres_support.container() as server, postgres_support.clones(server) as clone:
        connection = await asyncpg.connect(clone("sales").database_url)
        tables = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
        await connection.close()

    assert "outbox" in {row["tablename"] for row in tables}


async def test_a_nats_container_gives_an_empty_jetstream_each_time() -> None:
    with nats_support.container() as server:
        for _ in range(2):
            with server.jetstream_url() as url:
                client = await nats.connect(url)
                assert await client.jetstream().streams_info() == []
                await client.jetstream().add_stream(name="SALES", subjects=["sales.>"])
                await client.close()
