"""What every part of a running service shares; opened once, in the composition root's caller."""

from dataclasses import dataclass, field
from typing import Self

import structlog
from joserfc.jwk import KeySet

from kit import keys
from kit.clock import Clock, SharedClock, SystemClock
from kit.db.engine import Database
from kit.rpc.client import Peer
from kit.rpc.tokens import TokenSigner, TokenVerifier
from kit.settings import KitSettings
from kit.vault import Vault


@dataclass(frozen=True)
class KitContext:
    """Settings, database, keys, clock and neighbours of one service."""

    name: str
    settings: KitSettings
    database: Database
    vault: Vault
    clock: Clock
    keyring: KeySet
    signer: TokenSigner
    verifier: TokenVerifier
    links_key: bytes = field(repr=False)
    log: structlog.stdlib.BoundLogger
    _peers: dict[str, Peer] = field(default_factory=dict, repr=False)

    @classmethod
    async def open(cls, settings: KitSettings, name: str, *, clock: Clock | None = None) -> Self:
        """Read the keys and prepare the database pool; nothing connects yet.

        Raises KeyFileError, VaultError, ClockFileError.
        """
        clock = clock or _clock(settings)
        keyring = keys.load_keyring(settings.keys_dir)
        return cls(
            name=name,
            settings=settings,
            database=Database(settings.database_url, pool_size=settings.pool_size, application_name=name),
            vault=keys.load_vault(settings.keys_dir),
            clock=clock,
            keyring=keyring,
            signer=TokenSigner(name, keys.load_signing_key(settings.keys_dir, name), clock),
            verifier=TokenVerifier(keyring, clock),
            links_key=keys.load_links_key(settings.keys_dir),
            log=structlog.get_logger(),
        )

    def peer(self, name: str) -> Peer:
        """Return the client of a neighbour, one for each; nothing connects before the first call."""
        if name not in self._peers:
            self._peers[name] = Peer(self.settings.target_of(name), self.signer, service=name)
        return self._peers[name]

    async def close(self) -> None:
        """Close the neighbours' channels and the database pool."""
        for peer in self._peers.values():
            await peer.close()
        await self.database.close()


def _clock(settings: KitSettings) -> Clock:
    return SystemClock() if settings.clock_file is None else SharedClock(settings.clock_file)
