"""The fixtures that every other test stands on keep tests apart."""

from __future__ import annotations

import asyncpg
import nats
from nats.js import JetStreamContext

from tests.support.nats import NatsServer
from tests.support.postgres import PostgresServer


async def test_a_database_belongs_to_its_owner_and_lets_the_service_in(postgres_server: PostgresServer) -> None:
    urls = postgres_server.empty("sales")

    owner = await asyncpg.connect(urls.migration_url)
    await owner.execute("create table note (id int)")
    service = await asyncpg.connect(urls.database_url)
    role = await service.fetchrow("select rolsuper, rolbypassrls, rolname from pg_roles where rolname = current_user")

    assert role is not None
    assert (role["rolsuper"], role["rolbypassrls"]) == (False, False)
    assert role["rolname"] == postgres_server.naming.application("sales")
    await owner.close()
    await service.close()
    postgres_server.drop(urls.name)


async def test_streams_of_one_test_are_invisible_to_the_next(nats_server: NatsServer) -> None:
    with nats_server.jetstream_url() as url:
        first = await nats.connect(url)
        await first.jetstream().add_stream(name="SALES", subjects=["sales.>"])
        await first.jetstream().publish("sales.v1.delivery.1.recorded", b"x")
        await first.close()

    with nats_server.jetstream_url() as url:
        second = await nats.connect(url)
        streams = await second.jetstream().streams_info()
        await second.close()

    assert streams == []


async def test_a_test_gets_a_jetstream_that_works(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="SALES", subjects=["sales.>"])

    acknowledged = await jetstream.publish("sales.v1.delivery.1.recorded", b"x")

    assert acknowledged.seq == 1
