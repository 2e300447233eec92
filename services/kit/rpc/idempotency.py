"""A repeated call is answered with the first one's response, in the transaction that did the work.

The response is kept as it was sent. That is why responses with personal data in the clear are kept out of here: the
server does not come here for audited reads. `kit.service.sweep` removes the rows after 48 hours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import Conflict
from kit.vault import Vault

_CLAIM = """
INSERT INTO idempotency (caller, method, key, request_hash, response, create_time)
VALUES ($1, $2, $3, $4, ''::bytea, $5) ON CONFLICT DO NOTHING RETURNING 1
"""
_READ = "SELECT request_hash, response FROM idempotency WHERE caller = $1 AND method = $2 AND key = $3"
_KEEP = "UPDATE idempotency SET response = $4 WHERE caller = $1 AND method = $2 AND key = $3"


class KeyReused(Conflict):
    """The same key came with another request."""

    reason = "IDEMPOTENCY_KEY_REUSED"


@dataclass(frozen=True)
class Repetition:
    """What makes a call the repetition of another: the caller, the method and the key that he chose."""

    caller: str
    method: str
    key: str
    request_hash: bytes

    @classmethod
    def of(cls, caller: str, method: str, key: str, *, request: Message, vault: Vault) -> Repetition:
        """Of a parsed request, so that two encodings of one content are the same.

        The hash is keyed: a plain one would let whoever reads the table try out telephone numbers and passwords.
        """
        digest = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
        return cls(caller, method, key, vault.blind("idempotency.request", digest))


async def claim(session: AsyncSession, repetition: Repetition, now: datetime) -> bytes | None:
    """Takes the key for this transaction, or returns the response of the call that had it before.

    While another transaction holds the key this waits for its end: after its commit its response is returned, after
    its failure the key is ours. None means: do the work, then `keep` the response.

    Raises:
        Conflict: the key was used for another request.
    """
    connection = await session.connection()
    # `now` comes from the caller's clock; a key that the sweeper removes in between is simply claimed anew.
    while True:
        taken = await connection.exec_driver_sql(_CLAIM, (*_identity(repetition), repetition.request_hash, now))
        if taken.first() is not None:
            return None
        row = (await connection.exec_driver_sql(_READ, _identity(repetition))).first()
        if row is not None:
            break
    if bytes(row.request_hash) != repetition.request_hash:
        raise KeyReused("this request_id was already used with another request")
    return bytes(row.response)


async def keep(session: AsyncSession, repetition: Repetition, response: bytes) -> None:
    """Keeps the response of the claimed key; it counts when the transaction commits."""
    connection = await session.connection()
    await connection.exec_driver_sql(_KEEP, (*_identity(repetition), response))


def _identity(repetition: Repetition) -> tuple[str, str, str]:
    return repetition.caller, repetition.method, repetition.key
