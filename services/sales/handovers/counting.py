"""How many deliveries of a day are recorded: counted when it is asked, for many days at once."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import raw_connection

RECORDED: Final = """
SELECT delivery.store_id, delivery_date, count(*)
FROM unnest($1::text[], $2::date[]) AS asked (store_id, date)
JOIN delivery ON delivery.store_id = asked.store_id AND delivery_date = asked.date AND state <> 'CANCELLED'
GROUP BY 1, 2
"""

StoreDay = tuple[str, date]


async def recorded(session: AsyncSession, days: Collection[StoreDay]) -> dict[StoreDay, int]:
    """Return how many deliveries of these days of these stores are recorded and not cancelled; none is left out."""
    asked = sorted(set(days))
    connection = await raw_connection(session)
    rows = await connection.fetch(RECORDED, [store_id for store_id, _ in asked], [day for _, day in asked])
    return dict.fromkeys(asked, 0) | {(row[0], row[1]): row[2] for row in rows}
