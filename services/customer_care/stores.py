"""The store directory as planning uses it: read once per change, because reading a calendar is not free."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Text, cast, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from dealership.stores import Store, StoreProjection, get_stores
from kit.rpc.client import Peer

_STATE: Final = cast(literal_column("store.xmin"), Text)


class StoreCache:
    """Stores by id with one query: the states of the rows are asked for, and only what has changed is read again.

    The state is the transaction that wrote the row. The store's version would not do: a gateway that was restored from
    a backup counts from an older one, and comes by the same number with another calendar.
    """

    def __init__(self, gateway: Peer) -> None:
        self._gateway = gateway
        self._known: dict[str, tuple[str, Store]] = {}

    async def get(self, session: AsyncSession, store_id: str) -> Store:
        """Return one store. Raises StoreUnknown; Unavailable when it is not here and the gateway does not answer."""
        return (await self.get_many(session, [store_id]))[store_id]

    async def get_many(self, session: AsyncSession, store_ids: Collection[str]) -> dict[str, Store]:
        """Return several stores by id, as `get` does for one."""
        wanted = sorted(set(store_ids))
        query = select(StoreProjection.store_id, _STATE).where(StoreProjection.store_id.in_(wanted))
        states = dict((await session.execute(query)).all())
        stores: dict[str, Store] = {}
        for store_id in wanted:
            state, store = self._known.get(store_id, ("", None))
            if store is not None and state == states.get(store_id):
                stores[store_id] = store
        missing = [store_id for store_id in wanted if store_id not in stores]
        if missing:
            for store_id, store in (await get_stores(session, self._gateway, missing)).items():
                stores[store_id] = store
                # One that was read through has no row here yet, and is asked for again.
                if store_id in states:
                    self._known[store_id] = (states[store_id], store)
        return stores
