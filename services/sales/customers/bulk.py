"""Customers by the hundred: arrays in, one round trip for each step (GRP-05)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from asyncpg import Connection
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import raw_connection
from kit.ids import new_ids
from kit.vault import Vault
from sales.customers.model import NAME, PHONE, blind
from sales.customers.values import Buyer

_FIND: Final = """
SELECT wanted.place, customer.id
FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bytea[]) AS wanted (place, store_id, phone_blind, name_blind)
JOIN customer USING (store_id, phone_blind, name_blind)
WHERE customer.erase_time IS NULL
ORDER BY store_id, phone_blind, name_blind
"""
# Whoever is found stays as he is until the caller commits: an erasure waits, and then finds his new deliveries.
_FIND_AND_KEEP: Final = f"{_FIND} FOR KEY SHARE OF customer"
# In the order of the index, so that two transactions wait for one another and never in a ring.
_INSERT: Final = """
INSERT INTO customer (id, store_id, name_sealed, name_blind, phone_sealed, phone_blind, phone_verified, consents,
                      version, create_time, update_time)
SELECT id, store_id, name_sealed, name_blind, phone_sealed, phone_blind, phone_verified, '{}'::jsonb, 1,
       $8::timestamptz, $8::timestamptz
FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::boolean[])
     AS new (id, store_id, name_sealed, name_blind, phone_sealed, phone_blind, phone_verified)
ORDER BY store_id, phone_blind, name_blind
ON CONFLICT (store_id, phone_blind, name_blind) WHERE erase_time IS NULL DO NOTHING
RETURNING id
"""
_FORGET: Final = "DELETE FROM customer WHERE id = ANY ($1)"
_Row = tuple[UUID, str, bytes | None, bytes | None, bytes | None, bytes | None, bool]


class Found(NamedTuple):
    """The customer of one buyer; whether he was made just now, in this transaction."""

    id: UUID
    new: bool


class _Wanted(NamedTuple):
    store_id: str
    buyer: Buyer
    phone_blind: bytes | None
    name_blind: bytes


async def find_or_record(
    session: AsyncSession, vault: Vault, buyers: Sequence[tuple[str, Buyer]], now: datetime
) -> list[Found]:
    """Return the customer of each buyer (store, person) in the same order; new where the store knows none.

    Who is known keeps everything as it is, consents too: a list asked nobody. Two buyers who are the same person are
    one customer; without a telephone nobody is the same as anybody. Publishes nothing: the caller tells of those that
    it keeps.
    """
    # Ciphers take their time, and others are waiting for the loop.
    wanted = await asyncio.to_thread(_wanted, vault, buyers)
    connection = await raw_connection(session)
    places = _first_places(wanted)
    here = await _find(connection, _FIND_AND_KEEP, wanted, places)
    missing = [place for place in places if place not in here]
    made = await _insert(connection, await asyncio.to_thread(_rows, vault, wanted, missing, now), now)
    # Who is neither known nor made was recorded by somebody else meanwhile.
    here |= await _find(connection, _FIND_AND_KEEP, wanted, [place for place in missing if place not in made])
    found = {place: Found(made[place], new=True) for place in missing if place in made}
    found |= {place: Found(customer_id, new=False) for place, customer_id in here.items()}
    return [found[first] for first in _places(wanted)]


async def known(session: AsyncSession, vault: Vault, buyers: Sequence[tuple[str, Buyer]]) -> list[bool]:
    """Say of each buyer (store, person) whether the store knows him; writes nothing."""
    wanted = await asyncio.to_thread(_wanted, vault, buyers)
    found = await _find(await raw_connection(session), _FIND, wanted, range(len(wanted)))
    return [place in found for place in range(len(wanted))]


async def forget(session: AsyncSession, customer_ids: Collection[UUID]) -> None:
    """Take customers back who were made in this transaction, and turned out not to be needed."""
    if customer_ids:
        await (await raw_connection(session)).execute(_FORGET, sorted(customer_ids))


def _wanted(vault: Vault, buyers: Sequence[tuple[str, Buyer]]) -> list[_Wanted]:
    wanted = []
    for store_id, buyer in buyers:
        keys = blind(buyer.person, vault)
        name = keys["name_blind"]
        assert name is not None
        wanted.append(_Wanted(store_id, buyer, keys["phone_blind"], name))
    return wanted


def _places(wanted: Sequence[_Wanted]) -> list[int]:
    """Return for each the first place at which the same person stands; without a telephone its own."""
    first: dict[tuple[str, bytes, bytes], int] = {}
    return [
        place if one.phone_blind is None else first.setdefault((one.store_id, one.phone_blind, one.name_blind), place)
        for place, one in enumerate(wanted)
    ]


def _first_places(wanted: Sequence[_Wanted]) -> list[int]:
    return list(dict.fromkeys(_places(wanted)))


async def _find(
    connection: Connection, query: str, wanted: Sequence[_Wanted], places: Iterable[int]
) -> dict[int, UUID]:
    rows = [
        (place, wanted[place].store_id, wanted[place].phone_blind, wanted[place].name_blind)
        for place in places
        if wanted[place].phone_blind is not None
    ]
    if not rows:
        return {}
    return dict(await connection.fetch(query, *_columns(rows)))


def _rows(vault: Vault, wanted: Sequence[_Wanted], places: Sequence[int], now: datetime) -> dict[int, _Row]:
    rows: dict[int, _Row] = {}
    for place, customer_id in zip(places, new_ids(len(places), now), strict=True):
        one = wanted[place]
        person = one.buyer.person
        name = vault.seal(NAME, person.display_name)
        number = vault.seal(PHONE, person.phone) if person.phone else None
        keys = one.name_blind, one.phone_blind
        rows[place] = (customer_id, one.store_id, name, keys[0], number, keys[1], one.buyer.phone_verified)
    return rows


async def _insert(connection: Connection, rows: Mapping[int, _Row], now: datetime) -> dict[int, UUID]:
    if not rows:
        return {}
    written = {row["id"] for row in await connection.fetch(_INSERT, *_columns(list(rows.values())), now)}
    return {place: row[0] for place, row in rows.items() if row[0] in written}


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
