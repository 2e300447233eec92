"""What a caller learns when a call fails, and what he does not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy import text
from structlog.testing import capture_logs

from kit.db.scope import Scope
from kit.errors import (
    AlreadyExists,
    Conflict,
    DomainError,
    FieldViolation,
    InvalidArgument,
    Kind,
    NotFound,
    StaleEtag,
    TooMany,
    Unavailable,
)
from kit.rpc import status
from kit.rpc.client import Peer
from kit.rpc.server import Call, RpcService
from kit.rpc.status import OutOfTime, PeerFailed
from kit.rpc.tokens import TokenSigner
from tests.integration.rpc.things.edge import ThingEdge, TitleTaken, WornOut
from tests.integration.rpc.things.running import KEYS, SERVICE, Things, server_of
from tests.support.things import CreateThingRequest, GetMineRequest, GetThingRequest, Thing, service

SECRET = "王小明 13800138000"
A_REQUEST = GetThingRequest(name="stores/bj-01/things/1").SerializeToString()


async def _raw(things: Things, method: str, data: bytes, token: str) -> grpc.aio.AioRpcError:
    """The error as it is on the wire."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{things.server.port}") as channel:
        send = channel.unary_unary(f"/{SERVICE}/{method}", bytes, bytes)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await send(data, metadata=(("authorization", f"Bearer {token}"),), timeout=10)
        return failed.value


def _trailers(failed: grpc.aio.AioRpcError) -> dict[str, bytes]:
    trailers: Any = failed.trailing_metadata()
    return dict(trailers)


def _raising(error: Exception) -> ThingEdge:
    async def during(_call: Call) -> None:
        raise error

    edge = ThingEdge()
    edge.during = during
    return edge


async def test_broken_rules_come_back_with_field_and_rule(things: Things) -> None:
    request = CreateThingRequest(parent="Stores", thing=Thing(title="", tags=["much too long"]), request_id="x" * 65)

    with pytest.raises(InvalidArgument) as refused:
        await things.call("CreateThing", request, Thing, token=things.keeper)

    assert [(found.field, found.rule) for found in refused.value.violations] == [
        ("parent", "string.pattern"),
        ("thing.title", "string.min_len"),
        ("thing.tags[0]", "string.max_len"),
        ("request_id", "string.max_len"),
    ]
    assert things.edge.calls == []


ERRORS: list[DomainError] = [
    WornOut("it is worn out", metadata={"age": "9"}),
    TitleTaken(violations=[FieldViolation("thing.title", "TITLE_TAKEN", "is taken")]),
    InvalidArgument(violations=[FieldViolation("thing.title", "A", "a"), FieldViolation("thing.kind", "B", "b")]),
    StaleEtag(metadata={"etag": '"2"'}),
    TooMany(retry_after=timedelta(seconds=30)),
    NotFound("there is none"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_of_the_contract_arrives_as_it_was_raised(things: Things, error: DomainError) -> None:
    things.edge.during = _raising(error).during

    base = type(error).__mro__[1] if type(error).__module__ != "kit.errors" else type(error)

    with pytest.raises(base) as refused:
        await things.create("t")

    told = refused.value
    assert isinstance(told, DomainError)
    assert (told.reason, told.kind, told.message) == (error.reason, error.kind, error.message)
    assert (told.metadata, told.violations) == (error.metadata, error.violations)
    assert await things.titles() == []


async def test_an_error_has_the_standard_form_on_the_wire(things: Things) -> None:
    things.edge.during = _raising(
        WornOut(
            "it is worn out",
            metadata={"age": "9"},
            violations=[FieldViolation("thing.kind", "OLD", "is old")],
            retry_after=timedelta(seconds=7),
        )
    ).during

    failed = await _raw(things, "GetThing", A_REQUEST, things.keeper)

    trailers = _trailers(failed)
    told = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    bad_request = error_details_pb2.BadRequest()
    assert [detail.Unpack(into) for detail, into in zip(told.details, (info, bad_request, retry), strict=True)]
    assert (failed.code(), failed.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "it is worn out")
    assert (info.reason, info.domain, dict(info.metadata)) == ("THING_WORN_OUT", "dealerloop", {"age": "9"})
    violation = bad_request.field_violations[0]
    assert (violation.field, violation.reason, violation.description) == ("thing.kind", "OLD", "is old")
    assert retry.retry_delay.seconds == 7


async def test_an_unknown_error_shows_nothing_and_is_logged(things: Things) -> None:
    things.edge.during = _raising(RuntimeError(SECRET)).during
    with capture_logs() as logged:
        failed = await _raw(things, "GetThing", A_REQUEST, things.keeper)

    assert (failed.code(), failed.details()) == (grpc.StatusCode.INTERNAL, "")
    assert SECRET not in repr(failed)
    assert "grpc-status-details-bin" not in _trailers(failed)
    assert [(line["event"], line["log_level"], line["method"]) for line in logged] == [
        ("rpc.failed", "error", f"{SERVICE}/GetThing")
    ]


async def test_an_unknown_error_of_a_peer_is_no_error_of_the_contract(things: Things) -> None:
    things.edge.during = _raising(RuntimeError(SECRET)).during

    with pytest.raises(PeerFailed, match=r"^INTERNAL$"):
        await things.call("GetMine", GetMineRequest(), Thing, token=things.keeper)


async def test_a_database_error_shows_nothing(things: Things) -> None:
    async def during(call: Call) -> None:
        await call.session.execute(text("SELECT :secret::int"), {"secret": SECRET})

    things.edge.during = during

    with pytest.raises(PeerFailed) as failed:
        await things.call("GetMine", GetMineRequest(), Thing, token=things.keeper)
    assert SECRET not in str(failed.value)


async def test_bytes_that_are_no_request_are_the_callers_mistake(things: Things) -> None:
    failed = await _raw(things, "GetThing", b"\xff\xff\xff", things.keeper)

    error = status.from_rpc_error(failed)
    assert isinstance(error, InvalidArgument)
    assert error.reason == "MALFORMED_REQUEST"


class CarelessEdge(ThingEdge):
    async def get_mine(self, _call: Call, _request: GetMineRequest) -> Thing:
        return GetMineRequest()  # type: ignore[return-value]


async def test_an_answer_of_the_wrong_type_is_our_mistake(things: Things) -> None:
    careless = server_of(
        RpcService(service("ThingService"), CarelessEdge()), database=things.database, clock=things.clock
    )
    await careless.start()
    peer = Peer(f"127.0.0.1:{careless.port}", TokenSigner("sales", KEYS["sales"], things.clock), service="things")

    with pytest.raises(PeerFailed):
        await peer.call(f"{SERVICE}/GetMine", GetMineRequest(), Thing, timeout=5, token=things.keeper)

    await peer.close()
    await careless.stop(0)


async def test_a_database_that_is_away_is_said_to_be_away(things: Things) -> None:
    async def during(call: Call) -> None:
        await call.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    things.edge.during = during

    with pytest.raises(Unavailable) as refused:
        await things.create("t")
    assert refused.value.reason == "DATABASE_UNAVAILABLE"


async def test_a_lock_that_is_not_had_in_time_is_nobodys_mistake(things: Things) -> None:
    async def during(call: Call) -> None:
        await call.session.execute(text("SET LOCAL lock_timeout = '50ms'"))
        async with things.database.transaction(Scope.system("test")) as other:
            await other.execute(text("SELECT pg_advisory_xact_lock(1)"))
            await call.session.execute(text("SELECT pg_advisory_xact_lock(1)"))

    things.edge.during = during

    with pytest.raises(Unavailable) as refused:
        await things.create("t")
    assert refused.value.reason == "DATABASE_UNAVAILABLE"


async def test_a_text_that_no_database_takes_is_the_callers_mistake(things: Things) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await things.create("a\0b")

    assert refused.value.reason == "NUL_CHARACTER"
    assert await things.titles() == []


async def test_a_serialization_failure_is_tried_again(things: Things) -> None:
    async def during(call: Call) -> None:
        if len(things.edge.calls) < 3:
            code = ("40001", "40P01")[len(things.edge.calls) - 1]
            await call.session.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$"))

    things.edge.during = during

    assert (await things.create("t")).title == "t"
    assert (len(things.edge.calls), await things.titles()) == (3, ["t"])


async def test_a_real_deadlock_between_two_calls_ends_with_both_done(things: Things) -> None:
    first, second = await things.create("one"), await things.create("two")
    order = [[first.title, second.title], [second.title, first.title]]
    both_hold_one = asyncio.Barrier(2)

    async def during(call: Call) -> None:
        number = len(things.edge.calls)
        titles = order[number % 2]
        lock = text("SELECT 1 FROM thing WHERE title = :title FOR UPDATE")
        await call.session.execute(lock, {"title": titles[0]})
        if number <= 4:  # the first try of each
            await both_hold_one.wait()
        await call.session.execute(lock, {"title": titles[1]})

    things.edge.during = during

    done = await asyncio.gather(things.create("three"), things.create("four"))

    assert {thing.title for thing in done} == {"three", "four"}
    assert len(things.edge.calls) == 5


async def test_endless_contention_is_said_to_be_contention(things: Things) -> None:
    async def during(call: Call) -> None:
        await call.session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$"))

    things.edge.during = during

    with pytest.raises(Unavailable) as refused:
        await things.create("t")
    assert (refused.value.reason, len(things.edge.calls)) == ("CONTENTION", 3)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_error_survives_the_wire(kind: Kind) -> None:
    error_class = type("Sample", (DomainError,), {"reason": "SAMPLE", "kind": kind})
    error = error_class("words", metadata={"a": "b"}, violations=[FieldViolation("f", "R", "d")])

    told = status.from_status(status.code_of(error), error.message, status.to_status(error))

    assert isinstance(told, DomainError)
    assert (told.kind, told.reason, told.message, told.metadata) == (kind, "SAMPLE", "words", {"a": "b"})
    assert told.violations == error.violations


def test_a_flood_of_violations_is_cut_to_what_a_header_can_carry() -> None:
    error = InvalidArgument(violations=[FieldViolation(f"things[{n}].title", "RULE", "x" * 100) for n in range(500)])

    encoded = status.to_status(error)

    told = status.from_status(status.code_of(error), "", encoded)
    assert isinstance(told, InvalidArgument)
    assert encoded.ByteSize() < 6_500
    assert len(told.violations) + int(told.metadata["violations_left_out"]) == 500


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED])
def test_a_status_that_is_not_of_the_contract_is_a_failure_of_the_peer(code: grpc.StatusCode) -> None:
    assert isinstance(status.from_status(code, "words", None), PeerFailed)


def test_the_words_of_the_transport_are_not_passed_on() -> None:
    told = status.from_status(grpc.StatusCode.UNAVAILABLE, "failed to connect to 10.0.0.7:50051", None)

    assert isinstance(told, Unavailable)
    assert "10.0.0.7" not in told.message


def test_a_deadline_is_an_unavailable_peer_to_its_caller() -> None:
    told = status.from_status(grpc.StatusCode.DEADLINE_EXCEEDED, "", None)

    assert isinstance(told, OutOfTime)
    assert status.code_of(told) is grpc.StatusCode.DEADLINE_EXCEEDED


def test_reasons_keep_their_class() -> None:
    for error in (TitleTaken(), WornOut()):
        told = status.from_status(status.code_of(error), error.message, status.to_status(error))
        assert isinstance(told, AlreadyExists if isinstance(error, TitleTaken) else Conflict)
