"""Signed tokens between the services: JWT, Ed25519, one key for each service."""

from __future__ import annotations

import base64
import json
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from kit.clock import Clock
from kit.errors import Unauthenticated
from kit.rpc.principal import Assignment, Principal

ALGORITHM = "Ed25519"
"""Fully specified (RFC 9864), where the older name EdDSA would leave the curve open."""
AUDIENCE = "dealerloop"
GATEWAY = "gateway"
"""The only service that may say that a person is calling."""
SERVICE_TOKEN_LIFE = timedelta(minutes=5)
RENEW_BEFORE = timedelta(minutes=1)
CLOCK_SKEW = timedelta(seconds=30)
"""By how much another machine's clock may be ahead when it signs; an expiry is taken exactly."""
CACHE_SIZE = 4096
LONGEST_TOKEN = 48 * 1024
LONGEST_PLAIN_ROLES = 512
"""Bytes of JSON."""


class TokenRefused(Unauthenticated):
    """The token is missing, altered, expired, or signed by somebody who may not; never says which of them."""

    reason = "TOKEN_REFUSED"


class TokenSigner:
    """Signs in the name of one service."""

    def __init__(self, service: str, key: OKPKey, clock: Clock) -> None:
        self.service = service
        self._key = key
        self._clock = clock
        self._service_token = ""
        self._renew_at: datetime | None = None

    def service_token(self) -> str:
        """A token of this service itself, valid for at least another minute; the same one until it needs renewal."""
        now = self._clock.now()
        if self._renew_at is None or now >= self._renew_at or now < self._renew_at - SERVICE_TOKEN_LIFE:
            self._service_token = self._sign(f"service:{self.service}", now, SERVICE_TOKEN_LIFE, {})
            self._renew_at = now + SERVICE_TOKEN_LIFE - RENEW_BEFORE
        return self._service_token

    def user_token(self, staff_id: str, assignments: Iterable[Assignment], ttl: timedelta) -> str:
        """A token of a person; services accept it from the gateway only."""
        roles = [
            [assignment.role, None if assignment.stores is None else sorted(assignment.stores)]
            for assignment in assignments
        ]
        return self._sign(f"staff/{staff_id}", self._clock.now(), ttl, {"roles": _packed(roles)})

    def _sign(self, subject: str, now: datetime, ttl: timedelta, more: dict[str, Any]) -> str:
        claims = {
            "iss": self.service,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": int(now.timestamp()),
            "exp": int((now + ttl).timestamp()),
            **more,
        }
        header = {"alg": ALGORITHM, "kid": self.service, "typ": "JWT"}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])


class TokenVerifier:
    """Says whom a token speaks for; each service's public key is in the keyring under the service's name."""

    def __init__(self, keyring: KeySet, clock: Clock) -> None:
        self._keys = {key.kid: key for key in keyring.keys if isinstance(key, OKPKey) and key.kid}
        self._clock = clock
        self._verified: OrderedDict[str, tuple[Principal, float, float]] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """The caller that the token was signed for; a token seen before costs no signature check.

        Raises:
            Unauthenticated: the token cannot be accepted.
        """
        now = self._clock.now().timestamp()
        known = self._verified.get(token)
        if known is None:
            known = self._check(token)
            self._verified[token] = known
            if len(self._verified) > CACHE_SIZE:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(token)
        principal, start, end = known
        if not start - CLOCK_SKEW.total_seconds() <= now < end:
            self._verified.pop(token, None)
            raise TokenRefused("sign in again")
        return principal

    def _check(self, token: str) -> tuple[Principal, float, float]:
        if len(token) > LONGEST_TOKEN:
            raise TokenRefused("sign in again")
        try:
            checked = jwt.decode(token, self._key_of, algorithms=[ALGORITHM])
            return _principal(checked.header["kid"], checked.claims)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error):
            # Whatever is wrong with it, the caller learns only that it was refused.
            raise TokenRefused("sign in again") from None

    def _key_of(self, token: Any) -> OKPKey:
        return self._keys[token.headers()["kid"]]


def _packed(roles: list[list[Any]]) -> Any:
    """The roles as they are, or deflated: a token must fit into a header, also one that names a region's stores."""
    text = json.dumps(roles, separators=(",", ":")).encode()
    return roles if len(text) <= LONGEST_PLAIN_ROLES else base64.b64encode(zlib.compress(text, 9)).decode()


def _unpacked(roles: Any) -> Any:
    # Nobody but the gateway can have signed this, so nobody can send a small text that inflates without end.
    return json.loads(zlib.decompress(base64.b64decode(roles))) if isinstance(roles, str) else roles


def _principal(signer: str, claims: dict[str, Any]) -> tuple[Principal, float, float]:
    """The claims as a caller with the times between which they hold; ValueError when they do not go together."""
    subject = claims["sub"]
    if claims["iss"] != signer or claims["aud"] != AUDIENCE or not isinstance(subject, str):
        raise ValueError
    start, end = claims["iat"], claims["exp"]
    if not isinstance(start, int) or not isinstance(end, int):
        raise TypeError
    if subject == f"service:{signer}":
        return Principal.service(signer), start, end
    staff_id = subject.removeprefix("staff/")
    if signer != GATEWAY or not staff_id or staff_id == subject:
        raise ValueError
    assignments = [
        Assignment(str(role), None if stores is None else frozenset(map(str, stores)))
        for role, stores in _unpacked(claims["roles"])
    ]
    return Principal.staff(staff_id, *assignments), start, end
