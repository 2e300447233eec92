"""Which epoch of each source a subscription has seen; a new one means that the source came back from a backup."""

from __future__ import annotations

from kit.clock import Clock
from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.log import log
from kit.messaging.subscription import OnRewind


class Epochs:
    """The epochs that one durable consumer has met."""

    def __init__(self, consumer: str, database: Database, clock: Clock, on_rewind: OnRewind | None) -> None:
        self._consumer = consumer
        self._database = database
        self._clock = clock
        self._on_rewind = on_rewind
        self._seen: dict[str, int] = {}

    def is_news(self, source: str, epoch: int) -> bool:
        """Whether this epoch of the source was not met before; costs no query when it was."""
        return epoch > self._seen.get(source, 0)

    async def meet(self, source: str, epoch: int) -> None:
        """Has the service reconcile, when there was an older epoch, and remembers the new one only then."""
        old = await self._load(source)
        if old is not None and epoch > old:
            log.warning("consumer.source_rewound", consumer=self._consumer, source=source, old=old, new=epoch)
            if self._on_rewind is not None:
                await self._on_rewind(source, old, epoch)
        if old is None or epoch > old:
            await self._save(source, epoch)
        self._seen[source] = max(epoch, old or 0)

    async def _load(self, source: str) -> int | None:
        async with self._database.transaction(Scope.system("consumer"), read_only=True) as session:
            connection = await raw_connection(session)
            epoch = await connection.fetchval(
                "SELECT epoch FROM seen_epoch WHERE consumer = $1 AND source = $2", self._consumer, source
            )
            return None if epoch is None else int(epoch)

    async def _save(self, source: str, epoch: int) -> None:
        async with self._database.transaction(Scope.system("consumer")) as session:
            connection = await raw_connection(session)
            await connection.execute(
                """
                INSERT INTO seen_epoch (consumer, source, epoch, see_time) VALUES ($1, $2, $3, $4)
                ON CONFLICT (consumer, source) DO UPDATE SET epoch = $3, see_time = $4 WHERE seen_epoch.epoch < $3
                """,
                self._consumer,
                source,
                epoch,
                self._clock.now(),
            )
