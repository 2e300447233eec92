"""The stores that a list may be for, and their people, from the directories that sales keeps."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from dealership import staff
from dealership.people import Names
from dealership.stores import StoreProjection, StoreUnknown, get_store
from kit.imports.values import FileRefusedError
from kit.rpc.client import Peer
from sales.imports.places import Place, Places


async def places_of(session: AsyncSession, gateway: Peer, store_id: str) -> Places:
    """Return the one store of a store's list, or every store for a list of the group (`store_id` empty).

    Raises FileRefusedError when the store is gone, Unavailable when it is not here and the gateway does not answer.
    """
    if store_id:
        try:
            store = await get_store(session, gateway, store_id)
        except StoreUnknown:
            raise FileRefusedError("STORE_UNKNOWN", "The store of this list does not exist.") from None
        return Places([Place(store.id, store.display_name, store.time_zone)], own=store.id)
    columns = (StoreProjection.store_id, StoreProjection.display_name, StoreProjection.time_zone)
    rows = (await session.execute(select(*columns))).all()
    return Places([Place(row[0], row[1], ZoneInfo(row[2])) for row in rows])


async def people_of(session: AsyncSession, places: Places) -> dict[str, Names]:
    """Return for each store of a list, by id, whom its people mean by a name. Two queries, however long the list is."""
    return await staff.by_display_name(session, places.ids)
