"""Deadlines, transactions, streams, health: how calls run and end."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import text
from structlog.testing import capture_logs

from kit.errors import Conflict, Unavailable
from kit.rpc import deadlines
from kit.rpc.server import Call, PortTaken, RpcServer, RpcService
from kit.rpc.status import OutOfTime, PeerFailed
from kit.rpc.tokens import TokenVerifier
from tests.integration.rpc.things.edge import ThingEdge
from tests.integration.rpc.things.running import GRANTS, KEYRING, SERVICE, VAULT, Things, server_of
from tests.support.things import (
    CountThingsRequest,
    CountThingsResponse,
    GetMineRequest,
    GetThingRequest,
    ListThingsRequest,
    ListThingsResponse,
    StreamThingsRequest,
    Thing,
    service,
)


async def test_the_server_gives_up_when_the_clients_time_is_over(things: Things) -> None:
    given_up = asyncio.Event()

    async def during(call: Call) -> None:
        try:
            await call.session.execute(text("SELECT pg_sleep(30)"))
        except asyncio.CancelledError:
            given_up.set()
            raise

    things.edge.during = during
    started = time.monotonic()

    with pytest.raises(OutOfTime):
        await things.call("GetMine", GetMineRequest(), Thing, token=things.keeper, wait=0.3)

    async with asyncio.timeout(5):
        await given_up.wait()
    assert time.monotonic() - started < 3
    # Nothing is left running in the database, and the connection is good for the next call.
    things.edge.during = None
    assert await things.call("GetMine", GetMineRequest(), Thing, token=things.keeper)


async def test_a_call_without_a_deadline_gets_one(things: Things, monkeypatch: pytest.MonkeyPatch) -> None:
    left = []

    async def during(_call: Call) -> None:
        left.append(deadlines.left(3600))
        await asyncio.sleep(30)

    things.edge.during = during
    assert deadlines.UNARY_SECONDS == 10
    monkeypatch.setattr(deadlines, "UNARY_SECONDS", 0.2)

    async with grpc.aio.insecure_channel(f"127.0.0.1:{things.server.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await channel.unary_unary(f"/{SERVICE}/GetMine", bytes, bytes)(
                b"", metadata=(("authorization", f"Bearer {things.keeper}"),)
            )

    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0 < left[0] <= 0.2


async def test_a_call_inside_a_call_gets_what_is_left_of_its_time(things: Things) -> None:
    left = []

    async def during(_call: Call) -> None:
        left.append(deadlines.left(3600))
        if len(left) == 1:
            await things.call("CountThings", CountThingsRequest(), CountThingsResponse, wait=3600)

    things.edge.during = during

    await things.call("GetMine", GetMineRequest(), Thing, token=things.keeper, wait=5)

    # gRPC rounds what it tells the peer, so the inner time may look a trifle longer.
    assert 0 < left[1] < left[0] + 0.1 < 5.1


async def test_a_read_cannot_write(things: Things) -> None:
    async def during(call: Call) -> None:
        await call.session.execute(text("DELETE FROM thing"))

    things.edge.during = during

    with pytest.raises(PeerFailed):
        await things.call("ListThings", ListThingsRequest(), ListThingsResponse, token=things.keeper)


async def test_a_call_sees_one_instant(things: Things) -> None:
    await things.create("chair")

    assert things.edge.calls[0].now == things.clock.now()
    assert things.edge.calls[0].method == f"{SERVICE}/CreateThing"


async def test_a_stream_arrives_in_order(things: Things) -> None:
    stream = things.peer().stream(f"{SERVICE}/StreamThings", StreamThingsRequest(count=1000), Thing, timeout=10)

    assert [int(thing.title) async for thing in stream] == list(range(1000))


async def test_a_stream_that_fails_says_why_after_what_it_has_sent(things: Things) -> None:
    request = StreamThingsRequest(count=2, fail="no more")
    arrived = []

    async def read() -> None:
        async for thing in things.peer().stream(f"{SERVICE}/StreamThings", request, Thing, timeout=10):
            arrived.append(thing.title)  # noqa: PERF401 - a comprehension would lose what came before the failure

    with pytest.raises(Conflict, match="no more") as refused:
        await read()

    assert (arrived, refused.value.reason) == (["0", "1"], "THING_WORN_OUT")


async def test_a_stream_runs_read_only(things: Things) -> None:
    async def during(call: Call) -> None:
        await call.session.execute(text("DELETE FROM thing"))

    things.edge.during = during
    stream = things.peer().stream(f"{SERVICE}/StreamThings", StreamThingsRequest(), Thing, timeout=10)

    with pytest.raises(PeerFailed):
        assert [thing async for thing in stream] == []


async def test_a_client_that_leaves_a_stream_ends_it_and_its_transaction(things: Things) -> None:
    request = StreamThingsRequest(count=10_000_000)
    stream = things.peer().stream(f"{SERVICE}/StreamThings", request, Thing, timeout=60)

    async for _ in stream:
        break
    await stream.aclose()  # type: ignore[attr-defined]

    async with asyncio.timeout(5):
        await things.edge.stream_ended.wait()
        # Nothing tells us but the pool.
        while things.database.engine.pool.checkedout():  # type: ignore[attr-defined] # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_stream_ends_with_its_deadline(things: Things) -> None:
    async def during(_call: Call) -> None:
        await asyncio.sleep(30)

    things.edge.during = during
    stream = things.peer().stream(f"{SERVICE}/StreamThings", StreamThingsRequest(), Thing, timeout=0.2)

    with pytest.raises(OutOfTime):
        assert [thing async for thing in stream] == []


async def test_a_token_with_every_store_of_a_large_region_passes(things: Things) -> None:
    stores = frozenset(f"a-store-with-a-rather-long-name-{number:04}" for number in range(1000))

    things_found = await things.call(
        "ListThings", ListThingsRequest(), ListThingsResponse, token=things.staff(("looker", stores))
    )

    assert list(things_found.things) == []
    assert things.edge.calls[0].scope.store_ids == stores


async def test_health_is_open_and_says_when_the_server_is_going(things: Things) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{things.server.port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check

        async def state(name: str) -> str:
            answer = await check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

        assert [await state(""), await state(SERVICE)] == ["SERVING", "SERVING"]
        await things.server.set_ready(ready=False)
        assert [await state(""), await state(SERVICE)] == ["NOT_SERVING", "NOT_SERVING"]


async def test_a_stopping_server_lets_running_calls_end(things: Things) -> None:
    running, go_on = asyncio.Event(), asyncio.Event()

    async def during(_call: Call) -> None:
        running.set()
        await go_on.wait()

    things.edge.during = during
    call = asyncio.create_task(things.create("chair", "key-1"))
    await running.wait()
    stopping = asyncio.create_task(things.server.stop(5))
    await asyncio.sleep(0.1)
    go_on.set()

    assert (await call).title == "chair"
    await stopping
    with pytest.raises(Unavailable):
        await things.create("table")


async def test_reflection_is_there_only_when_it_is_wanted(things: Things) -> None:
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    async def names(port: int) -> list[str]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            call = stub.ServerReflectionInfo(
                iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=5
            )
            return [found.name async for answer in call for found in answer.list_services_response.service]

    with pytest.raises(grpc.aio.AioRpcError):
        await names(things.server.port)
    open_server = RpcServer(
        [RpcService(service("ThingService"), ThingEdge())],
        database=things.database,
        verifier=TokenVerifier(KEYRING, things.clock),
        grants=GRANTS,
        clock=things.clock,
        vault=VAULT,
        with_reflection=True,
    )
    await open_server.start()
    try:
        assert SERVICE in await names(open_server.port)
    finally:
        await open_server.stop(0)


async def test_a_taken_port_is_said_in_plain_words(things: Things) -> None:
    taken = f"127.0.0.1:{things.server.port}"
    second = server_of(
        RpcService(service("ThingService"), ThingEdge()), database=things.database, clock=things.clock, listen=taken
    )

    with pytest.raises(PortTaken, match=taken):
        await second.start()


async def test_a_method_that_nobody_has_is_a_failure_of_the_peer_that_the_log_names(things: Things) -> None:
    with capture_logs() as lines, pytest.raises(PeerFailed, match="UNIMPLEMENTED"):
        await things.call("NoSuchMethod", GetThingRequest(), Thing, token=things.keeper)

    (told,) = [line for line in lines if line["event"] == "peer.failed"]
    assert told["code"] == "UNIMPLEMENTED"
    assert told["method"].endswith("/NoSuchMethod")
