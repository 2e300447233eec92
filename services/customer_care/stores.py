"""The store directory as planning uses it: read once per version, because reading a calendar is not free."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from dealership.stores import Store, StoreProjection, get_stores
from kit.rpc.client import Peer


class StoreCache:
    """Stores by id with one query: the versions are asked for, and only what has changed is read again."""

    def __init__(self, gateway: Peer) -> None:
        self._gateway = gateway
        self._known: dict[str, tuple[int, Store]] = {}

    async def get(self, session: AsyncSession, store_id: str) -> Store:
        """Return one store. Raises StoreUnknown; Unavailable when it is not here and the gateway does not answer."""
        return (await self.get_many(session, [store_id]))[store_id]

    async def get_many(self, session: AsyncSession, store_ids: Collection[str]) -> dict[str, Store]:
        """Return several stores by id, as `get` does for one."""
        wanted = sorted(set(store_ids))
        query = select(StoreProjection.store_id, StoreProjection.version).where(StoreProjection.store_id.in_(wanted))
        versions = dict((await session.execute(query)).all())
        stores: dict[str, Store] = {}
        for store_id in wanted:
            version, store = self._known.get(store_id, (0, None))
            if store is not None and version == versions.get(store_id):
                stores[store_id] = store
        missing = [store_id for store_id in wanted if store_id not in stores]
        if missing:
            for store_id, store in (await get_stores(session, self._gateway, missing)).items():
                stores[store_id] = store
                # One that was read through has no version here yet, and is asked for again.
                if store_id in versions:
                    self._known[store_id] = (versions[store_id], store)
        return stores
