"""Password hashes (argon2id), made and checked in threads so that the event loop never waits for them."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP's first choice for argon2id: 19 MiB and two passes, about 20 ms; memory, not time, is what an attacker pays.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# What is compared where there is nothing to compare with.
_NOBODY: Final = "the password of an account that does not exist"


async def hashed(password: str) -> str:
    """Return the hash to store, with its parameters and salt inside."""
    return await asyncio.to_thread(_HASHER.hash, password)


async def matches(stored: str | None, password: str) -> bool:
    """Say whether this is the password; without a stored hash the answer is no and takes the same time."""
    return await asyncio.to_thread(_matches, stored, password)


def outdated(stored: str) -> bool:
    """Say whether a hash was made with other parameters than those of today."""
    return _HASHER.check_needs_rehash(stored)


def _matches(stored: str | None, password: str) -> bool:
    try:
        _HASHER.verify(stored if stored is not None else _dummy(), password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


@cache
def _dummy() -> str:
    return _HASHER.hash(_NOBODY)
