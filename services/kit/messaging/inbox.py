"""The inbox: what a subscription has handled already, written in the transaction of the handler."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import raw_connection
from kit.messaging.event import Event

# In the order of the ids, so that two workers with the same events wait for one another and never cross.
_INSERT: Final = """
INSERT INTO inbox (consumer, event_id, receive_time)
SELECT $1, id, $3 FROM unnest($2::uuid[]) AS new (id) ORDER BY id
ON CONFLICT DO NOTHING
RETURNING event_id
"""


async def admit(session: AsyncSession, consumer: str, events: Sequence[Event], now: datetime) -> list[Event]:
    """Notes the events as handled in this transaction; returns those that were not before, in the given order."""
    connection = await raw_connection(session)
    rows = await connection.fetch(_INSERT, consumer, [event.id for event in events], now)
    if len(rows) == len(events):
        return list(events)
    left: set[UUID] = {row[0] for row in rows}
    fresh = []
    for event in events:
        # The same event twice in one batch is admitted once.
        if event.id in left:
            left.discard(event.id)
            fresh.append(event)
    return fresh
