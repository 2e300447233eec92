"""A repeated call is answered with the first one's response, in the transaction that did the work.

The response may be personal data, such as the note of a call, so it is kept sealed and opens only as the answer to this
caller, method and key. Audited reads are never kept. `kit.service.sweep` removes the rows after 48 hours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import raw_connection
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

    @property
    def purpose(self) -> str:
        """What the kept response is sealed for; a key may hold any character, so it comes last."""
        return f"idempotency.response {self.caller} {self.method} {self.key}"


async def claim(session: AsyncSession, repetition: Repetition, now: datetime, *, vault: Vault) -> bytes | None:
    """Takes the key for this transaction, or returns the response of the call that had it before.

    While another transaction holds the key this waits for its end: after its commit its response is returned, after
    its failure the key is ours. None means: do the work, then `keep` the response.

    Raises:
        Conflict: the key was used for another request.
        VaultError: the kept response was sealed with a key that is gone.
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
        raise KeyReused("this request id (Idempotency-Key) was already used with another request")
    return vault.open_bytes(repetition.purpose, row.response)


async def keep(session: AsyncSession, repetition: Repetition, response: bytes, *, vault: Vault) -> None:
    """Keeps the response of the claimed key; it counts when the transaction commits."""
    connection = await raw_connection(session)
    await connection.execute(_KEEP, *_identity(repetition), vault.seal_bytes(repetition.purpose, response))


def _identity(repetition: Repetition) -> tuple[str, str, str]:
    return repetition.caller, repetition.method, repetition.key
