"""Personal data at rest: sealed columns, and blind indexes to find them by exact value."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
BLIND_BYTES = 16
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HIGHEST_VERSION = 255
_HASH_BLOCK_BYTES = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


class VaultError(Exception):
    """A sealed value cannot be opened, or the keys are not usable. Never carries the value."""


class Vault:
    """Seals text with AES-256-GCM under the active key; values sealed under older keys still open.

    A sealed value is: key version (1 byte), nonce (12), ciphertext, tag (16). The purpose (such as
    `customer.phone`) and the key version are authenticated, so a value cannot be moved to another column.
    Blind indexes have a key of their own that is not rotated: changing it means computing every index again.
    """

    def __init__(self, keys: Mapping[int, bytes], *, active: int, blind_key: bytes) -> None:
        if active not in keys:
            raise VaultError(f"the active vault key {active} is not among the keys")
        for version, key in keys.items():
            if not 1 <= version <= _HIGHEST_VERSION:
                raise VaultError("a vault key's version is between 1 and 255")
            if len(key) != KEY_BYTES:
                raise VaultError(f"vault key {version} is not {KEY_BYTES} bytes long")
        if len(blind_key) != KEY_BYTES:
            raise VaultError(f"the blind index key is not {KEY_BYTES} bytes long")
        self._ciphers = {version: AESGCM(key) for version, key in keys.items()}
        self._active = active
        self._header = bytes([active])
        # HMAC-SHA256 by its definition (RFC 2104); the part of the key is hashed once, which halves the time of a call.
        block = blind_key.ljust(_HASH_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER_PAD))
        self._outer = hashlib.sha256(block.translate(_OUTER_PAD))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read `vault.json`: {"active": 1, "keys": {"1": base64}, "blind": base64}. Raises VaultError."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            keys = {int(version): _decode(key) for version, key in document["keys"].items()}
            active, blind_key = int(document["active"]), _decode(document["blind"])
        except FileNotFoundError:
            raise VaultError(f"there is no vault file at {path}") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise VaultError(f"{path} is not a vault file") from None
        return cls(keys, active=active, blind_key=blind_key)

    def seal(self, purpose: str, text: str) -> bytes:
        """Encrypt under the active key; two seals of the same text differ."""
        return self.seal_bytes(purpose, text.encode())

    def seal_bytes(self, purpose: str, content: bytes) -> bytes:
        """Encrypt what is not text, such as a message."""
        nonce = os.urandom(_NONCE_BYTES)
        header = self._header
        return header + nonce + self._ciphers[self._active].encrypt(nonce, content, _bound_to(header, purpose))

    def open(self, purpose: str, data: bytes) -> str:
        """Decrypt. Raises VaultError when the key is unknown, the purpose is another, or the data was changed."""
        return self.open_bytes(purpose, data).decode()

    def open_bytes(self, purpose: str, data: bytes) -> bytes:
        """Decrypt what `seal_bytes` encrypted. Raises VaultError as `open` does."""
        data = bytes(data)
        if len(data) < 1 + _NONCE_BYTES + _TAG_BYTES:
            raise VaultError("the sealed value is too short")
        header, nonce, ciphertext = data[:1], data[1 : 1 + _NONCE_BYTES], data[1 + _NONCE_BYTES :]
        cipher = self._ciphers.get(header[0])
        if cipher is None:
            raise VaultError(f"no vault key of version {header[0]}")
        try:
            return cipher.decrypt(nonce, ciphertext, _bound_to(header, purpose))
        except InvalidTag:
            raise VaultError(f"the sealed value was changed, or is not a {purpose}") from None

    def needs_reseal(self, data: bytes) -> bool:
        """Say whether a value is sealed under a key that is not the active one."""
        return not data or data[0] != self._active

    def blind(self, purpose: str, text: str) -> bytes:
        """Return the 16 bytes by which exactly this text is found again (HMAC-SHA256). The caller normalises first."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(_bound_to(b"", purpose) + text.encode())
        outer.update(inner.digest())
        return outer.digest()[:BLIND_BYTES]


@lru_cache(maxsize=256)
def _bound_to(header: bytes, purpose: str) -> bytes:
    # The NUL keeps "a" + "bc" apart from "ab" + "c".
    return header + purpose.encode() + b"\0"


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
