"""Projections of the gateway's directory: the newest version of each row, read through when missing, and rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import sqlalchemy as sa
from google.protobuf.message import Message
from sqlalchemy.dialects.postgresql import insert

from kit.db.model import NAMING, Base
from kit.db.scope import Scope
from kit.errors import NotFound
from kit.messaging.subscription import OnRewind, Subscription

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from kit.db.engine import Database
    from kit.messaging.subscription import Batch
    from kit.rpc.client import Peer

DIRECTORY: Final = "DIRECTORY"
GATEWAY: Final = "gateway"
F = TypeVar("F", bound=Message)
_SERVICE: Final = "dealerloop.gateway.v1.OrganisationService"
_GET_SECONDS: Final = 3.0
_LIST_SECONDS: Final = 60.0
# A statement has room for 32,767 parameters.
_ROWS_AT_ONCE: Final = 1000


class DirectoryTable(Base):
    """A metadata of its own, so that a service may have more tables than these in its registry."""

    __abstract__ = True
    metadata = sa.MetaData(naming_convention=NAMING)


@dataclass(frozen=True)
class Projection(Generic[F]):
    """One table that follows what the gateway owns.

    `key` names the column of the id and the field of the question for one; `event` tells the facts in its field
    `told_in`. `row` makes the columns of facts. `ask_one` and `ask_all` are the gateway's methods with their requests,
    and `unknown` makes the error for an id that nobody has.
    """

    name: str
    table: type[DirectoryTable]
    key: str
    facts: type[F]
    event: type[Message]
    told_in: str
    row: Callable[[F], dict[str, Any]]
    ask_one: tuple[str, type[Message]]
    ask_all: tuple[str, type[Message]]
    unknown: Callable[[str], NotFound]

    async def read_through(self, session: AsyncSession, peer: Peer, missing: Collection[str]) -> list[F]:
        """Return what the gateway says about each of these, and keep it where the transaction may write.

        Raises what `unknown` makes, Unavailable when the gateway does not answer.
        """
        found = [await self.ask(peer, one) for one in missing]
        # A read-only call may miss the projection too; it answers without keeping what it learnt.
        if found and await _writable(session):
            await self.save(session, found)
        return found

    async def save(self, session: AsyncSession, facts: Iterable[F]) -> None:
        """Keep the newest version of each of these; older ones than what is here change nothing."""
        newest: dict[str, F] = {}
        for one in facts:
            known = newest.get(self._id(one))
            if known is None or _version(one) > _version(known):
                newest[self._id(one)] = one
        # Sorted, so that two transactions take the row locks in the same order.
        ids = sorted(newest)
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            await self._write(session, [self.row(newest[one]) for one in ids[start : start + _ROWS_AT_ONCE]])

    async def handle(self, batch: Batch) -> None:
        """Take its events into the projection, in any order and however often."""
        changes = [event.message for event in batch.events if isinstance(event.message, self.event)]
        await self.save(batch.session, [getattr(change, self.told_in) for change in changes])

    def subscription(self, database: Database, gateway: Peer) -> Subscription:
        """Return the subscription that keeps it current, also after the gateway was restored from a backup."""
        return Subscription(
            name=self.name,
            stream=DIRECTORY,
            events=(self.event,),
            handle=self.handle,
            source_service=GATEWAY,
            on_rewind=self.on_rewind(database, gateway),
        )

    async def rebuild(self, session: AsyncSession, peer: Peer) -> int:
        """Build it from nothing with the gateway's snapshot; returns how many rows there are.

        What is here is replaced whatever its version: a gateway that was restored from a backup counts from an older
        one.
        """
        method, request = self.ask_all
        stream = peer.stream(f"{_SERVICE}/{method}", request(), self.facts, timeout=_LIST_SECONDS)
        facts = [one async for one in stream]
        await session.execute(sa.delete(self.table))
        await self.save(session, facts)
        return len(facts)

    def on_rewind(self, database: Database, peer: Peer) -> OnRewind:
        """Return the hook that reconciles it when the gateway was restored from a backup."""

        async def reconcile(_source: str, _old: int, _new: int) -> None:
            async with database.transaction(Scope.system(f"directory: {self.name}")) as session:
                await self.rebuild(session, peer)

        return reconcile

    async def ask(self, peer: Peer, one: str) -> F:
        """Return what the gateway says; raises what `unknown` makes, Unavailable when it does not answer."""
        method, request = self.ask_one
        try:
            return await peer.call(f"{_SERVICE}/{method}", request(**{self.key: one}), self.facts, timeout=_GET_SECONDS)
        except NotFound as error:
            raise self.unknown(one) from error

    async def _write(self, session: AsyncSession, rows: list[dict[str, Any]]) -> None:
        statement = insert(self.table).values(rows)
        new = statement.excluded
        changes = {column: new[column] for column in rows[0] if column != self.key}
        newer = new["version"] > self.table.__table__.c.version
        await session.execute(statement.on_conflict_do_update(index_elements=[self.key], set_=changes, where=newer))

    def _id(self, facts: F) -> str:
        return str(getattr(facts, self.key))


def _version(facts: Message) -> int:
    return int(getattr(facts, "version"))  # noqa: B009 - every one of these facts has it, which Message does not know


async def _writable(session: AsyncSession) -> bool:
    answer = await session.execute(sa.text("select current_setting('transaction_read_only') = 'off'"))
    return bool(answer.scalar_one())
