"""REST to gRPC against a real server with its real interceptors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc.jwk import KeySet, OKPKey
from structlog.testing import capture_logs

from gateway.api.guard import MAX_BODY, Guard
from gateway.api.transcoder import Transcoder
from kit.clock import ManualClock
from kit.db.engine import Database
from kit.db.migrate import upgrade
from kit.rpc.client import Peer
from kit.rpc.principal import Assignment
from kit.rpc.server import RpcServer, RpcService
from kit.rpc.tokens import TokenSigner, TokenVerifier
from kit.vault import Vault
from tests.integration.rpc.things import PACKAGE
from tests.support import echo
from tests.support.echo_server import EchoEdge
from tests.support.postgres import DatabaseUrls, PostgresServer

_KEY = OKPKey.generate_key("Ed25519", {"kid": "gateway"})
_CLOCK = ManualClock(datetime(2026, 3, 2, 1, 30, tzinfo=UTC))
_SIGNER = TokenSigner("gateway", _KEY, _CLOCK)
_TOKEN = _SIGNER.user_token("li.wei", [Assignment("keeper", frozenset({"a"}))], timedelta(minutes=15))
_GRANTS = {"keeper": frozenset({"echo.read", "echo.write"})}
_ITEM = "/v1/stores/a/items/1"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


@pytest.fixture(scope="module")
def echo_urls(postgres_server: PostgresServer) -> Iterator[DatabaseUrls]:
    urls = postgres_server.empty("echo")
    upgrade(urls.migration_url, package=PACKAGE)
    yield urls
    postgres_server.drop(urls.name)


@pytest.fixture
async def client(echo_urls: DatabaseUrls) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway in front of a running echo service, with the token of one who may."""
    database = Database(echo_urls.database_url, pool_size=2)
    verifier = TokenVerifier(KeySet([OKPKey.import_key(_KEY.as_dict(private=False))]), _CLOCK)
    service = RpcService(echo.contracts().services[0], EchoEdge())
    vault = Vault({1: bytes(32)}, active=1, blind_key=bytes(32))
    server = RpcServer([service], database=database, verifier=verifier, grants=_GRANTS, clock=_CLOCK, vault=vault)
    peer = Peer(f"127.0.0.1:{await server.start()}", _SIGNER, service="echo")
    async with _client(peer) as http:
        yield http
    await peer.close()
    await server.stop(0)
    await database.close()


def _client(peer: Peer) -> httpx.AsyncClient:
    app = Guard(Transcoder(echo.bound(), lambda _: peer, seconds={f"{echo.SERVICE}.BreakItem": 0.5}))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway", headers={"Authorization": f"Bearer {_TOKEN}"}
    )


def _problem(answer: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["reason"]) == (status, reason)
    assert len(body["trace_id"]) == 32
    return body


def _errors(body: dict[str, Any]) -> dict[str, str]:
    return {error["field"]: error["rule"] for error in body["errors"]}


async def test_a_call_goes_through_and_back(client: httpx.AsyncClient) -> None:
    body = {"title": "Lamp", "colour": "COLOUR_RED", "place": {"shelf": "京"}, "secret": "x"}

    answer = await client.post("/v1/stores/a/items", params={"requestId": "r1"}, json=body)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found["principal"] == "staff/li.wei"
    assert found["item"]["place"] == {"shelf": "京", "levelNumber": 0}
    assert 'parent: "stores/a"' in found["request"]
    assert 'request_id: "r1"' in found["request"]
    assert "secret" not in found["item"]


async def test_the_trace_goes_along(client: httpx.AsyncClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    answer = await client.get("/v1/stores/a/items", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})

    assert answer.json()["trace"] == trace


async def test_a_resource_comes_with_its_etag(client: httpx.AsyncClient) -> None:
    answer = await client.get(_ITEM)

    assert answer.headers["ETag"] == '"7"'
    assert answer.json()["name"] == "stores/a/items/1"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_etag_that_is_quoted_already_is_not_quoted_again(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/stores/a/items/quoted")

    assert answer.headers["ETag"] == '"7"'


async def test_an_encoded_id_arrives_decoded(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/stores/a/items/x%20%3Ay")).json()["name"] == "stores/a/items/x :y"


async def test_a_patch_changes_what_its_body_sets(client: httpx.AsyncClient) -> None:
    answer = await client.patch(_ITEM, json={"place": {"levelNumber": 3}}, headers={"If-Match": '"7"'})

    request = answer.json()["request"]
    assert 'update_mask { paths: "place.level_number" }' in request
    assert r'etag: "\"7\""' in request
    assert answer.headers["ETag"] == '"8"'


async def test_a_stale_etag_is_a_failed_precondition(client: httpx.AsyncClient) -> None:
    _problem(await client.patch(_ITEM, json={"title": "x"}, headers={"If-Match": "old"}), 412, "STALE_ETAG")


async def test_the_key_of_a_repetition_goes_along(client: httpx.AsyncClient) -> None:
    body = {"title": "Lamp", "colour": "COLOUR_RED"}

    first = await client.post("/v1/stores/a/items", json=body, headers={"Idempotency-Key": "k7"})
    again = await client.post("/v1/stores/a/items", json=body, headers={"Idempotency-Key": "k7"})
    other = await client.post(
        "/v1/stores/a/items", json=body | {"day": "2026-03-01"}, headers={"Idempotency-Key": "k7"}
    )

    assert again.json() == first.json()
    _problem(other, 409, "IDEMPOTENCY_KEY_REUSED")


async def test_rules_of_the_contract_are_told_by_the_fields_of_the_body(client: httpx.AsyncClient) -> None:
    body = {"title": "", "itemCount": 101, "tags": ["toolong"], "colour": "COLOUR_RED", "day": "today"}

    answer = await client.post("/v1/stores/a/items", json=body)

    found = _errors(_problem(answer, 400, "VALIDATION_FAILED"))
    assert found == {
        "title": "string.min_len",
        "itemCount": "int32.gte_lte",
        "tags[0]": "string.max_len",
        "day": "string.pattern",
    }


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("conflict", 409, "ITEM_IS_BROKEN"),
        ("exists", 409, "ALREADY_EXISTS"),
        ("stale", 412, "STALE_ETAG"),
        ("many", 429, "TOO_MANY_REQUESTS"),
        ("away", 503, "UNAVAILABLE"),
        ("crash", 500, "INTERNAL"),
        ("slowly", 504, "DEADLINE_EXCEEDED"),
    ],
)
async def test_an_error_of_a_service_is_a_problem(
    client: httpx.AsyncClient, how: str, status: int, reason: str
) -> None:
    answer = await client.post(f"{_ITEM}:break", json={"how": how})

    body = _problem(answer, status, reason)
    assert "secret" not in answer.text
    if how == "conflict":
        assert body["metadata"] == {"since": "2026-03-01"}
    if how == "many":
        assert answer.headers["Retry-After"] == "7"
    if how == "away":
        assert int(answer.headers["Retry-After"]) >= 1


async def test_violations_of_a_service_are_told_in_camel_case(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{_ITEM}:break", json={"how": "fields"})

    assert _errors(_problem(answer, 400, "INVALID_ARGUMENT")) == {
        "how": "HOW_WRONG",
        "item.place.levelNumber": "LEVEL_HIGH",
    }


async def test_a_missing_thing_and_a_missing_path_are_not_found(client: httpx.AsyncClient) -> None:
    _problem(await client.get("/v1/stores/a/items/missing"), 404, "NOT_FOUND")
    _problem(await client.get("/v1/unicorns"), 404, "NOT_FOUND")
    _problem(await client.post(f"{_ITEM}:polish", json={}), 404, "NOT_FOUND")


async def test_a_wrong_method_is_told_the_right_ones(client: httpx.AsyncClient) -> None:
    answer = await client.delete(_ITEM)

    _problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, PATCH"
    options = await client.options(_ITEM)
    assert (options.status_code, options.headers["Allow"]) == (204, answer.headers["Allow"])


async def test_nobody_gets_in_without_a_token(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]

    answer = await client.get(_ITEM)

    _problem(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer a b", "Bearer ä", "Bearer " + "a" * 60_000])
async def test_what_is_no_token_is_refused_at_the_door(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.get(_ITEM, headers={b"Authorization": header.encode("latin-1")})

    _problem(answer, 401, "UNAUTHENTICATED")


async def test_a_forged_token_is_refused_by_the_service(client: httpx.AsyncClient) -> None:
    answer = await client.get(_ITEM, headers={"Authorization": f"Bearer {_TOKEN[:-3]}abc"})

    _problem(answer, 401, "TOKEN_REFUSED")
    assert "invalid_token" in answer.headers["WWW-Authenticate"]


async def test_another_store_is_forbidden(client: httpx.AsyncClient) -> None:
    _problem(await client.get("/v1/stores/b/items/1"), 403, "ACCESS_DENIED")


async def test_a_public_method_needs_no_token(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]

    assert (await client.get("/v1/open")).status_code == 200


@pytest.mark.parametrize(
    ("content", "media_type", "status", "reason"),
    [
        (b"{", "application/json", 400, "INVALID_REQUEST"),
        (b"\xff\xfe", "application/json", 400, "INVALID_REQUEST"),
        (b"[]", "application/json", 400, "INVALID_REQUEST"),
        (b"null", "application/json", 400, "INVALID_REQUEST"),
        (b"[" * 5000, "application/json", 400, "INVALID_REQUEST"),
        (b'{"title": "\\ud800"}', "application/json", 400, "INVALID_REQUEST"),
        (b'{"title": "\\u0000"}', "application/json", 400, "INVALID_REQUEST"),
        (b'{"itemCount": 1e400}', "application/json", 400, "INVALID_REQUEST"),
        (b"{}", "application/json; charset=gbk", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"title": "' + b"x" * MAX_BODY + b'"}', "application/json", 413, "BODY_TOO_LARGE"),
    ],
)
async def test_a_bad_body_is_a_problem(
    client: httpx.AsyncClient, content: bytes, media_type: str, status: int, reason: str
) -> None:
    answer = await client.post("/v1/stores/a/items", content=content, headers={"Content-Type": media_type})

    _problem(answer, status, reason)


async def test_a_body_in_pieces_is_limited_too(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    answer = await client.post("/v1/stores/a/items", content=pieces(), headers={"Content-Type": "application/json"})

    _problem(answer, 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    ("path", "field", "rule"),
    [
        ("/v1/stores/a/items?colour=red", "colour", "UNKNOWN_PARAMETER"),
        ("/v1/stores/a/items?pageSize=201", "pageSize", "int32.gte_lte"),
        ("/v1/stores/a/items/%ff", "path", "PATH_ENCODING"),
        ("/v1/stores/a%2Fb/items/1", "path", "PATH_ENCODING"),
    ],
)
async def test_a_bad_address_is_a_problem(client: httpx.AsyncClient, path: str, field: str, rule: str) -> None:
    answer = await client.get(path)

    assert answer.status_code == 400, answer.text
    assert _errors(answer.json()) == {field: rule}


async def test_a_stream_comes_as_lines(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/stores/a/items:watch", params={"count": 3})

    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line)["result"]["title"] for line in answer.text.splitlines()] == ["item 0", "item 1", "item 2"]


async def test_a_stream_comes_as_events_when_asked(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/stores/a/items:watch", params={"count": 1}, headers={"Accept": "text/event-stream"})

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("data: {")
    assert json.loads(answer.text.removeprefix("data: "))["title"] == "item 0"
    assert answer.text.endswith("\n\n")


async def test_an_empty_stream_is_an_empty_answer(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/stores/a/items:watch")

    assert (answer.status_code, answer.text) == (200, "")


async def test_an_error_before_the_first_message_is_an_ordinary_problem(client: httpx.AsyncClient) -> None:
    _problem(await client.get("/v1/stores/a/items:watch", params={"count": -1}), 409, "ITEM_IS_BROKEN")
    _problem(await client.get("/v1/stores/b/items:watch"), 403, "ACCESS_DENIED")


async def test_an_error_after_it_is_the_last_line(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/stores/a/items:watch", params={"count": 5, "breakAfter": 2})

    *results, last = [json.loads(line) for line in answer.text.splitlines()]
    assert len(results) == 2
    assert last["error"]["reason"] == "ITEM_IS_BROKEN"


async def test_a_service_that_is_away_is_worth_another_try_later() -> None:
    peer = Peer("127.0.0.1:1", _SIGNER, service="echo")
    async with _client(peer) as client:
        answer = await client.get(_ITEM)
    await peer.close()

    _problem(answer, 503, "UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_many_calls_at_once_do_not_mix(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.get(f"/v1/stores/a/items/{number}") for number in range(50)))

    assert [answer.json()["name"] for answer in answers] == [f"stores/a/items/{number}" for number in range(50)]
