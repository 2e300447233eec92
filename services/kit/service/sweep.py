"""Removes what the kit's tables no longer need, a little at a time."""

import asyncio
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from kit import ids, telemetry
from kit.clock import Clock
from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.log import log

OUTBOX_KEPT: Final = timedelta(days=30)
INBOX_KEPT: Final = timedelta(days=45)
IDEMPOTENCY_KEPT: Final = timedelta(hours=48)
_EVERY_SECONDS: Final = 600.0
# Small enough that nobody waits for the locks, large enough to keep up with the busiest day.
_AT_ONCE: Final = 5_000

# What was published before the limit was also made before it, and ids carry the time: the primary key finds it.
_OUTBOX: Final = """
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE id < $1 AND publish_time < $2 ORDER BY id LIMIT $3)
"""
_INBOX: Final = """
DELETE FROM inbox WHERE ctid = ANY (ARRAY(SELECT ctid FROM inbox WHERE receive_time < $1 LIMIT $2))
"""
_IDEMPOTENCY: Final = """
DELETE FROM idempotency WHERE ctid = ANY (ARRAY(SELECT ctid FROM idempotency WHERE create_time < $1 LIMIT $2))
"""


async def sweep(database: Database, now: datetime, *, at_once: int = _AT_ONCE) -> Mapping[str, int]:
    """Delete everything that is past its time; return how many rows went, by table. Unpublished events always stay."""
    statements = {
        "outbox": (_OUTBOX, (ids.floor_id(now - OUTBOX_KEPT), now - OUTBOX_KEPT)),
        "inbox": (_INBOX, (now - INBOX_KEPT,)),
        "idempotency": (_IDEMPOTENCY, (now - IDEMPOTENCY_KEPT,)),
    }
    gone = dict.fromkeys(statements, 0)
    for table, (statement, limits) in statements.items():
        deleted = at_once
        while deleted == at_once:
            async with database.transaction(Scope.system("sweep")) as session:
                status = await (await raw_connection(session)).execute(statement, *limits, at_once)
            deleted = int(status.rpartition(" ")[2])
            gone[table] += deleted
    return gone


class Sweeper:
    """Sweeps every ten minutes, beginning at a random moment so that the services do not do it together."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End `run` after the deletion that is under way."""
        self._stopped.set()

    async def run(self) -> None:
        """Sweep until stopped; a database that is away is met again next time."""
        while not await self._pause(_EVERY_SECONDS * random.uniform(0.5, 1.5)):  # noqa: S311 - spreads the load
            try:
                gone = await sweep(self._database, self._clock.now())
            except Exception as error:
                log.warning("sweep.failed", error=type(error).__name__)
                continue
            for table, count in gone.items():
                telemetry.counter("dealerloop_swept_rows_total", "Rows removed after their time.", ("table",)).labels(
                    table
                ).inc(count)

    async def _pause(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            return False
        return True
