"""The event edge of daily hand-overs: a store that becomes known, or moves to another time zone, gets its timer."""

from __future__ import annotations

from dataclasses import replace

from dealerloop.gateway.events.v1 import events_pb2
from dealership import stores
from kit.clock import Clock
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.messaging.subscription import Batch, Subscription
from kit.rpc.client import Peer
from kit.service import KitContext
from sales.handovers.watch import CutOffs


def stores_subscription(database: Database, gateway: Peer, cut_offs: CutOffs, clock: Clock) -> Subscription:
    """Return the subscription of the store directory that also keeps the timers of the cut-offs right."""
    directory = stores.subscription(database, gateway)
    rebuild = directory.on_rewind
    assert rebuild is not None

    async def handle(batch: Batch) -> None:
        await directory.handle(batch)
        messages = [event.message for event in batch.events]
        changed = {one.store_id for one in messages if isinstance(one, events_pb2.StoreChanged)}
        await cut_offs.follow(batch.session, changed, batch.now)

    async def on_rewind(source: str, old: int, new: int) -> None:
        await rebuild(source, old, new)
        async with database.transaction(Scope.system("daily hand-overs")) as session:
            await cut_offs.follow(session, None, clock.now())

    return replace(directory, handle=handle, on_rewind=on_rewind)


async def watch_known_stores(ctx: KitContext, cut_offs: CutOffs) -> None:
    """Begin with the stores that were known before there were daily hand-overs; at the start of every process."""
    async with ctx.database.transaction(Scope.system("daily hand-overs")) as session:
        await cut_offs.watch_new(session, ctx.clock.now())
