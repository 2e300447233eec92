from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, OKPKey

from kit.clock import ManualClock
from kit.errors import Unauthenticated
from kit.rpc.principal import Assignment, Principal
from kit.rpc.tokens import TokenSigner, TokenVerifier

START = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
TTL = timedelta(minutes=15)
KEYS = {name: OKPKey.generate_key("Ed25519", {"kid": name}) for name in ("gateway", "sales")}
KEYRING = KeySet([OKPKey.import_key(key.as_dict(private=False)) for key in KEYS.values()])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def verifier(clock: ManualClock) -> TokenVerifier:
    return TokenVerifier(KEYRING, clock)


@pytest.fixture
def signer(clock: ManualClock) -> Callable[[str], TokenSigner]:
    return lambda name: TokenSigner(name, KEYS[name], clock)


def signed(key: Any, header: dict[str, Any] | None = None, **claims: Any) -> str:
    content = {"iss": "gateway", "aud": "dealerloop", "sub": "staff/li", "roles": [["seller", None]]}
    times = {"iat": int(START.timestamp()), "exp": int((START + TTL).timestamp())}
    whole = {"alg": "Ed25519", "kid": "gateway"} | (header or {})
    chosen = {name: value for name, value in (content | times | claims).items() if value is not ...}
    return jwt.encode(whole, chosen, key, algorithms=["Ed25519", "HS256"])


def test_the_gateway_speaks_for_people(signer: Callable[[str], TokenSigner], verifier: TokenVerifier) -> None:
    assignments = Assignment("seller", frozenset({"bj-01", "bj-02"})), Assignment("auditor", None)

    token = signer("gateway").user_token("li.wei", assignments, TTL)

    assert verifier.verify(token) == Principal.staff("li.wei", *assignments)


def test_a_token_that_names_a_thousand_stores_still_fits_into_a_header(
    signer: Callable[[str], TokenSigner], verifier: TokenVerifier
) -> None:
    region = Assignment("seller", frozenset(f"store-of-the-north-{number:04}" for number in range(1000)))

    token = signer("gateway").user_token("li.wei", [region], TTL)

    assert verifier.verify(token) == Principal.staff("li.wei", region)
    assert len(token) < 6000


def test_a_service_speaks_for_itself(signer: Callable[[str], TokenSigner], verifier: TokenVerifier) -> None:
    assert verifier.verify(signer("sales").service_token()) == Principal.service("sales")


def test_only_the_gateway_may_say_that_a_person_calls(
    signer: Callable[[str], TokenSigner], verifier: TokenVerifier
) -> None:
    token = signer("sales").user_token("li.wei", [Assignment("admin", None)], TTL)

    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_a_service_token_is_used_again_until_a_minute_before_its_end(
    signer: Callable[[str], TokenSigner], verifier: TokenVerifier, clock: ManualClock
) -> None:
    sales = signer("sales")
    first = sales.service_token()

    clock.advance(timedelta(minutes=3, seconds=59))
    assert sales.service_token() == first

    clock.advance(timedelta(seconds=1))
    second = sales.service_token()
    assert second != first
    assert verifier.verify(first) == verifier.verify(second)


def test_an_expired_token_is_refused_even_when_it_was_seen_before(
    signer: Callable[[str], TokenSigner], verifier: TokenVerifier, clock: ManualClock
) -> None:
    token = signer("gateway").user_token("li.wei", [], TTL)
    verifier.verify(token)

    clock.advance(TTL - timedelta(seconds=1))
    verifier.verify(token)
    clock.advance(timedelta(seconds=1))

    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_a_clock_that_is_a_little_ahead_is_forgiven(verifier: TokenVerifier) -> None:
    start = int(START.timestamp())

    verifier.verify(signed(KEYS["gateway"], iat=start + 30))
    with pytest.raises(Unauthenticated):
        verifier.verify(signed(KEYS["gateway"], iat=start + 31))


def unsigned() -> str:
    def part(content: dict[str, Any]) -> str:
        return urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    claims = {"iss": "gateway", "aud": "dealerloop", "sub": "staff/li", "roles": [], "iat": 0, "exp": 2**40}
    return f"{part({'alg': 'none', 'kid': 'gateway'})}.{part(claims)}."


def altered() -> str:
    header, claims, signature = signed(KEYS["gateway"]).split(".")
    return f"{header}.{claims[:-2]}AA.{signature}"


FORGED = {
    "empty": "",
    "no token at all": "hello",
    "three dots": "..",
    "much too long": "x" * 100_000,
    "without a signature": unsigned(),
    "altered": altered(),
    "signed by a stranger": signed(OKPKey.generate_key("Ed25519", {"kid": "gateway"})),
    "signed with a public key as a password": signed(
        OctKey.import_key(str(KEYS["gateway"].as_dict(private=False)["x"])), {"alg": "HS256"}
    ),
    "of an unknown signer": signed(KEYS["gateway"], {"kid": "nobody"}),
    "of a signer under another's name": signed(KEYS["sales"], {"kid": "sales"}),
    "of a signer under another's key": signed(KEYS["sales"]),
    "for another system": signed(KEYS["gateway"], aud="elsewhere"),
    "for another service": signed(KEYS["gateway"], sub="service:sales"),
    "for nobody": signed(KEYS["gateway"], sub="staff/"),
    "for something else": signed(KEYS["gateway"], sub="machine/1"),
    "without a subject": signed(KEYS["gateway"], sub=...),
    "without an end": signed(KEYS["gateway"], exp=...),
    "with an end that is no number": signed(KEYS["gateway"], exp="never"),
    "without roles": signed(KEYS["gateway"], roles=...),
    "with packed roles that do not unpack": signed(KEYS["gateway"], roles="AAAA"),
    "with roles of another form": signed(KEYS["gateway"], roles=["admin"]),
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_a_token_that_is_not_right_in_every_way_is_refused_in_the_same_words(
    token: str, verifier: TokenVerifier
) -> None:
    with pytest.raises(Unauthenticated) as refused:
        verifier.verify(token)

    assert (refused.value.reason, refused.value.message) == ("TOKEN_REFUSED", "sign in again")
