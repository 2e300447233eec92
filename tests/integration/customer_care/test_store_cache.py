"""Stores as planning uses them: kept in memory, and never older than the directory."""

from __future__ import annotations

from sqlalchemy import text

from customer_care.stores import StoreCache
from dealerloop.gateway.v1.organisation_pb2 import StoreFacts
from dealership import stores
from kit.db.scope import Scope
from tests.support.care_desk import CareDesk
from tests.support.deliveries import OTHER_STORE, STORE
from tests.support.statements import counted

TEST = Scope.system("test")


async def keep(care: CareDesk, version: int, display_name: str) -> None:
    facts = StoreFacts(store_id=STORE, version=version, display_name=display_name, time_zone="Asia/Shanghai")
    async with care.database.transaction(TEST) as session:
        await stores.save(session, [facts])


async def name_in(care: CareDesk, cache: StoreCache) -> str:
    async with care.database.transaction(TEST, read_only=True) as session:
        return (await cache.get(session, STORE)).display_name


async def test_what_did_not_change_is_not_read_again(care: CareDesk) -> None:
    cache = StoreCache(care.context.peer("gateway"))

    async with care.database.transaction(TEST, read_only=True) as session:
        with counted(care.database) as first:
            known = await cache.get_many(session, [STORE, OTHER_STORE])
        with counted(care.database) as second:
            again = await cache.get_many(session, [STORE, OTHER_STORE])

    assert (len(first), len(second)) == (2, 1)
    assert again == known


async def test_a_newer_version_is_read(care: CareDesk) -> None:
    cache = StoreCache(care.context.peer("gateway"))
    await keep(care, 2, "second")
    assert await name_in(care, cache) == "second"

    await keep(care, 3, "third")

    assert await name_in(care, cache) == "third"


async def test_a_restored_directory_is_read_although_it_counts_the_same(care: CareDesk) -> None:
    cache = StoreCache(care.context.peer("gateway"))
    await keep(care, 2, "before the restore")
    assert await name_in(care, cache) == "before the restore"

    async with care.database.transaction(TEST) as session:
        await session.execute(text("delete from store"))
    await keep(care, 2, "after it")

    assert await name_in(care, cache) == "after it"
