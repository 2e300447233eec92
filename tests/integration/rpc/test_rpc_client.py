"""The client: what it tries again, how it finds its peers, and who it says it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kit.errors import Unavailable
from kit.rpc.client import Peer, is_repeatable
from kit.rpc.server import Call, RpcServer, RpcService
from kit.rpc.status import OutOfTime
from kit.rpc.tokens import TokenSigner
from tests.integration.rpc.things.edge import ThingEdge
from tests.integration.rpc.things.running import KEYS, SERVICE, Things, server_of
from tests.support.things import (
    CountThingsRequest,
    CountThingsResponse,
    CreateThingRequest,
    GetMineRequest,
    GetThingRequest,
    Thing,
    service,
)


async def _unavailable_until(things: Things, count: int) -> None:
    async def during(_call: Call) -> None:
        if len(things.edge.calls) < count:
            raise Unavailable

    things.edge.during = during


async def test_a_read_is_tried_again_when_the_peer_is_unavailable(things: Things) -> None:
    await _unavailable_until(things, 3)

    assert await things.call("GetMine", GetMineRequest(), Thing, token=things.keeper)
    assert len(things.edge.calls) == 3


async def test_a_write_with_a_request_id_is_tried_again(things: Things) -> None:
    await _unavailable_until(things, 2)

    assert (await things.create("chair", "key-1")).title == "chair"
    assert await things.titles() == ["chair"]


async def test_a_write_without_a_request_id_is_never_tried_again(things: Things) -> None:
    await _unavailable_until(things, 2)

    with pytest.raises(Unavailable):
        await things.create("chair")
    assert len(things.edge.calls) == 1


async def test_trying_ends_after_three_times(things: Things) -> None:
    await _unavailable_until(things, 100)

    with pytest.raises(Unavailable):
        await things.call("GetMine", GetMineRequest(), Thing, token=things.keeper)
    assert len(things.edge.calls) == 3


async def test_no_try_begins_after_the_deadline(things: Things) -> None:
    async def during(_call: Call) -> None:
        await asyncio.sleep(0.25)
        raise Unavailable

    things.edge.during = during

    with pytest.raises(Unavailable):
        await things.call("GetMine", GetMineRequest(), Thing, token=things.keeper, wait=0.3)
    assert len(things.edge.calls) <= 2


def test_what_may_be_sent_twice() -> None:
    assert is_repeatable(GetThingRequest(name="x"))
    assert is_repeatable(CreateThingRequest(request_id="x"))
    assert not is_repeatable(CreateThingRequest())


async def test_a_service_says_its_own_name(things: Things) -> None:
    await things.peer("sales").call(f"{SERVICE}/CountThings", CountThingsRequest(), CountThingsResponse, timeout=5)

    assert things.edge.calls[0].principal.id == "service:sales"


async def test_nobody_there_is_unavailable(things: Things) -> None:
    peer = Peer("127.0.0.1:1", TokenSigner("sales", KEYS["sales"], things.clock), service="nobody")

    with pytest.raises(Unavailable) as refused:
        await peer.call(f"{SERVICE}/GetMine", GetMineRequest(), Thing, timeout=3)
    await peer.close()

    assert not isinstance(refused.value, OutOfTime)


async def test_a_peer_that_comes_back_is_found_again_soon(things: Things) -> None:
    await things.call("GetMine", GetMineRequest(), Thing, token=things.keeper)
    port = things.server.port
    await things.server.stop(0)
    with pytest.raises(Unavailable):
        await things.call("GetMine", GetMineRequest(), Thing, token=things.keeper, wait=1)

    thing_service = RpcService(service("ThingService"), things.edge)
    again = server_of(thing_service, database=things.database, clock=things.clock, listen=f"127.0.0.1:{port}")
    await again.start()
    try:
        async with asyncio.timeout(5):
            while True:
                try:
                    await things.call("GetMine", GetMineRequest(), Thing, token=things.keeper, wait=2)
                except Unavailable:
                    await asyncio.sleep(0.1)
                else:
                    break
    finally:
        await again.stop(0)


@pytest.fixture
async def two_servers(things: Things) -> AsyncIterator[list[tuple[RpcServer, ThingEdge]]]:
    servers = []
    for _ in range(2):
        edge = ThingEdge()
        server = server_of(RpcService(service("ThingService"), edge), database=things.database, clock=things.clock)
        await server.start()
        servers.append((server, edge))
    yield servers
    for server, _ in servers:
        await server.stop(0)


async def test_calls_go_round_all_addresses_of_a_name(
    things: Things, two_servers: list[tuple[RpcServer, ThingEdge]]
) -> None:
    target = "ipv4:" + ",".join(f"127.0.0.1:{server.port}" for server, _ in two_servers)
    peer = Peer(target, TokenSigner("sales", KEYS["sales"], things.clock), service="things")

    for _ in range(40):
        await peer.call(f"{SERVICE}/CountThings", CountThingsRequest(), CountThingsResponse, timeout=5)
    await peer.close()

    assert min(len(edge.calls) for _, edge in two_servers) >= 10


async def test_a_lost_instance_costs_no_read(things: Things, two_servers: list[tuple[RpcServer, ThingEdge]]) -> None:
    target = "ipv4:" + ",".join(f"127.0.0.1:{server.port}" for server, _ in two_servers)
    peer = Peer(target, TokenSigner("sales", KEYS["sales"], things.clock), service="things")

    for number in range(40):
        await peer.call(f"{SERVICE}/CountThings", CountThingsRequest(), CountThingsResponse, timeout=5)
        if number == 10:
            await two_servers[0][0].stop(0)
    await peer.close()

    assert len(two_servers[1][1].calls) >= 20
