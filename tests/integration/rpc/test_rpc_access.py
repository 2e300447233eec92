"""Who may call what: every kind of caller against every kind of method."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from google.protobuf.message import Message
from joserfc.jwk import OKPKey

from kit.db.scope import Scope
from kit.errors import InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from kit.rpc.access import ContractError
from kit.rpc.principal import Assignment
from kit.rpc.server import RpcServer, RpcService
from kit.rpc.tokens import TokenSigner
from tests.integration.rpc.things.edge import ThingEdge
from tests.integration.rpc.things.running import KEYS, SERVICE, Things, server_of
from tests.support.things import (
    CountThingsRequest,
    CountThingsResponse,
    CreateThingRequest,
    GetMineRequest,
    GetThingRequest,
    ListThingsRequest,
    ListThingsResponse,
    OpenThingRequest,
    RenameAllRequest,
    RevealThingRequest,
    StreamThingsRequest,
    Thing,
    UpdateThingRequest,
    service,
)

ID = "018f4d2e-7b8a-7c11-9a55-0242ac120002"
NAME = f"stores/bj-01/things/{ID}"
REQUESTS: dict[str, tuple[Message, type[Message]]] = {
    "CreateThing": (CreateThingRequest(parent="stores/bj-01", thing=Thing(title="t")), Thing),
    "GetThing": (GetThingRequest(name=NAME), Thing),
    "UpdateThing": (UpdateThingRequest(thing=Thing(name=NAME)), Thing),
    "RevealThing": (RevealThingRequest(name=NAME), Thing),
    "ListThings": (ListThingsRequest(), ListThingsResponse),
    "RenameAll": (RenameAllRequest(title="t"), ListThingsResponse),
    "GetMine": (GetMineRequest(), Thing),
    "OpenThing": (OpenThingRequest(token="t"), Thing),
    "CountThings": (CountThingsRequest(), CountThingsResponse),
    "StreamThings": (StreamThingsRequest(count=1), Thing),
}
HERE, ELSEWHERE, GROUP = frozenset({"bj-01"}), frozenset({"sh-01"}), None
# Written by hand, from what the options of things.proto are meant to say.
ALLOWED = {
    "keeper here": {"CreateThing", "GetThing", "UpdateThing", "ListThings", "GetMine", "OpenThing"},
    "keeper elsewhere": {"ListThings", "GetMine", "OpenThing"},
    "keeper of the group": {
        "CreateThing", "GetThing", "UpdateThing", "ListThings", "RenameAll", "GetMine", "OpenThing",
    },
    "looker here": {"GetThing", "ListThings", "GetMine", "OpenThing"},
    "revealer here": {"GetThing", "RevealThing", "ListThings", "GetMine", "OpenThing"},
    "revealer elsewhere": {"ListThings", "GetMine", "OpenThing"},
    "nobody in particular": {"GetMine", "OpenThing"},
    "of an unknown role": {"GetMine", "OpenThing"},
    "another service": {"CountThings", "StreamThings"},
    "the gateway itself": {"CountThings", "StreamThings", "OpenThing"},
}  # fmt: skip
CALLERS: dict[str, Callable[[Things], str]] = {
    "keeper here": lambda things: things.staff(("keeper", HERE)),
    "keeper elsewhere": lambda things: things.staff(("keeper", ELSEWHERE)),
    "keeper of the group": lambda things: things.staff(("keeper", GROUP)),
    "looker here": lambda things: things.staff(("looker", HERE)),
    "revealer here": lambda things: things.staff(("revealer", HERE)),
    "revealer elsewhere": lambda things: things.staff(("revealer", ELSEWHERE)),
    "nobody in particular": lambda things: things.staff(),
    "of an unknown role": lambda things: things.staff(("wizard", GROUP)),
    "another service": lambda things: things.service_token("sales"),
    "the gateway itself": lambda things: things.service_token("gateway"),
}


async def _try(things: Things, method: str, token: str | None) -> None:
    request, response_type = REQUESTS[method]
    if method == "StreamThings":
        stream = things.peer().stream(f"{SERVICE}/{method}", request, response_type, timeout=10, token=token)
        assert [message async for message in stream]
    else:
        await things.call(method, request, response_type, token=token)


@pytest.mark.parametrize("caller", ALLOWED)
async def test_each_caller_may_do_exactly_what_the_options_say(things: Things, caller: str) -> None:
    await things.rows(f"INSERT INTO thing VALUES ('{ID}', 'bj-01', 'here') RETURNING 1")
    token = CALLERS[caller](things)

    allowed = set()
    for method in REQUESTS:
        try:
            await _try(things, method, token)
        except PermissionDenied:
            continue
        allowed.add(method)

    assert allowed == ALLOWED[caller]


def test_the_table_covers_every_method() -> None:
    assert set(REQUESTS) == {method.name for method in service("ThingService").methods}


async def test_a_foreign_store_tells_nothing_about_what_exists_there(things: Things) -> None:
    await things.rows(f"INSERT INTO thing VALUES ('{ID}', 'sh-01', 'there') RETURNING 1")
    answers = []

    for name in (f"stores/sh-01/things/{ID}", f"stores/sh-01/things/{ID[:-1]}9", "stores/no-such-store/things/x"):
        with pytest.raises(PermissionDenied) as refused:
            await things.call("GetThing", GetThingRequest(name=name), Thing, token=things.keeper)
        answers.append((refused.value.reason, refused.value.message, refused.value.metadata))

    assert len(set(map(str, answers))) == 1


async def test_a_name_that_begins_with_my_store_shows_no_row_of_another(things: Things) -> None:
    await things.rows(f"INSERT INTO thing VALUES ('{ID}', 'sh-01', 'there') RETURNING 1")

    with pytest.raises(NotFound) as refused:
        await things.call("GetThing", GetThingRequest(name=NAME), Thing, token=things.keeper)

    assert refused.value.reason == "THING_NOT_FOUND"


async def test_a_request_that_names_no_store_is_refused_with_the_field(things: Things) -> None:
    everywhere = things.staff(("keeper", None))

    for name in ("", "things/1", "stores", "stores/", "stores/-/things/1", "stores/BJ/things/1", "/stores/bj-01"):
        for method, request, field in (
            ("GetThing", GetThingRequest(name=name), "name"),
            ("UpdateThing", UpdateThingRequest(thing=Thing(name=name)), "thing.name"),
        ):
            with pytest.raises(InvalidArgument) as refused:
                await things.call(method, request, Thing, token=everywhere)
            assert [(found.field, found.rule) for found in refused.value.violations] == [(field, "RESOURCE_NAME")]


async def test_the_scope_is_as_narrow_as_the_rule_allows(things: Things) -> None:
    group, two = things.staff(("keeper", None)), things.staff(("keeper", HERE), ("looker", ELSEWHERE))
    expected = [
        ("CreateThing", group, Scope.store("bj-01"), "bj-01"),
        ("ListThings", two, Scope.stores({"bj-01", "sh-01"}), ""),
        ("ListThings", group, Scope.group(), ""),
        ("RenameAll", group, Scope.group(), ""),
        ("GetMine", two, Scope.stores({"bj-01", "sh-01"}), ""),
        ("GetMine", things.staff(), Scope.stores(()), ""),
    ]

    for method, token, _, _ in expected:
        await _try(things, method, token)

    seen = [(call.scope, call.store_id) for call in things.edge.calls]
    assert seen == [(scope, store) for *_, scope, store in expected]


async def test_a_list_is_limited_to_the_stores_in_reach(things: Things) -> None:
    await things.rows(
        f"INSERT INTO thing VALUES ('{ID}', 'bj-01', 'here'), ('{ID[:-1]}3', 'sh-01', 'there') RETURNING 1"
    )

    found = await things.call("ListThings", ListThingsRequest(), ListThingsResponse, token=things.keeper)

    assert [thing.title for thing in found.things] == ["here"]


async def test_the_public_is_told_apart_from_the_gateway_that_speaks_for_it(things: Things) -> None:
    await _try(things, "OpenThing", things.service_token("gateway"))

    assert things.edge.calls[0].principal.id == "public"


async def test_no_method_answers_a_call_without_a_good_token(things: Things) -> None:
    keeper = things.keeper
    stranger = TokenSigner("gateway", OKPKey.generate_key("Ed25519", {"kid": "gateway"}), things.clock)
    not_the_gateway = TokenSigner("sales", KEYS["sales"], things.clock)
    everything = [Assignment("keeper", None), Assignment("revealer", None)]
    forged = [
        "",
        "hello",
        keeper[:-4] + "AAAA",
        stranger.user_token("li", everything, timedelta(minutes=5)),
        not_the_gateway.user_token("li", everything, timedelta(minutes=5)),
        things.staff(("keeper", None)),
    ]
    # The last one is good, but not for ever.
    things.clock.advance(timedelta(minutes=15))

    for method in REQUESTS:
        for token in forged:
            with pytest.raises(Unauthenticated):
                await _try(things, method, token)
    assert things.edge.calls == []


@pytest.mark.parametrize(
    ("service_name", "complaints"),
    [
        ("ForgottenService", ["ForgottenService/OpenDoor has no", "ForgottenService/OpenWindow has no"]),
        ("VagueService", ["VagueService/OpenStore is limited to a store", "names no permission"]),
        ("StreamingService", ["takes a stream of requests", "Watch is a stream, which runs read-only"]),
    ],
)
def test_a_contract_that_does_not_say_who_may_call_is_not_served(
    things: Things, service_name: str, complaints: list[str]
) -> None:
    with pytest.raises(ContractError) as refused:
        _server(things, RpcService(service(service_name), ThingEdge()))

    assert all(complaint in str(refused.value) for complaint in complaints)


class WrongEdge(ThingEdge):
    get_thing = None  # type: ignore[assignment] # a forgotten method

    async def create_thing(self, _call: object, _request: CreateThingRequest) -> Thing:
        raise AssertionError

    async def update_thing(self, _call: object, _request: Thing) -> Thing:  # type: ignore[override]
        raise AssertionError

    def get_mine(self, _call: object, _request: GetMineRequest) -> Thing:  # type: ignore[override]
        raise AssertionError

    async def open_thing(self, _call: object, _request: OpenThingRequest) -> NoSuchType:  # type: ignore[name-defined] # noqa: F821
        raise AssertionError

    async def stream_things(self, _call: object, _request: StreamThingsRequest) -> Thing:  # type: ignore[override]
        raise AssertionError


def test_an_edge_that_does_not_fit_its_contract_is_not_served(things: Things) -> None:
    with pytest.raises(ContractError) as refused:
        _server(things, RpcService(service("ThingService"), WrongEdge()))

    lines = str(refused.value).splitlines()[1:]
    assert [line.split("ThingService/")[1].split(":")[0].split(" ")[0] for line in lines] == [
        "CreateThing", "GetThing", "UpdateThing", "GetMine", "OpenThing", "StreamThings",
    ]  # fmt: skip


def test_a_service_given_twice_is_a_mistake(things: Things) -> None:
    with pytest.raises(ContractError, match="given twice"):
        _server(
            things, RpcService(service("ThingService"), ThingEdge()), RpcService(service("ThingService"), ThingEdge())
        )


def _server(things: Things, *services: RpcService) -> RpcServer:
    return server_of(*services, database=things.database, clock=things.clock)
