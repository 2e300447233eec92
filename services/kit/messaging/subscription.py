"""What a service reads: a subscription and the batch that its handler is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession

from kit.messaging.event import Event, subject_filter


@dataclass(frozen=True, slots=True)
class Batch:
    """Events to be handled in one transaction.

    `session` is that transaction, `events` are those that this subscription has not handled yet, in stream order,
    `now` is the time of the clock at the start (UTC). The handler neither commits nor acknowledges.
    """

    session: AsyncSession
    events: Sequence[Event]
    now: datetime


Handler = Callable[[Batch], Awaitable[None]]
OnRewind = Callable[[str, int, int], Awaitable[None]]
"""Called with source, old and new epoch before the first event of a new epoch; reconciles by snapshot, idempotent."""


@dataclass(frozen=True)
class Subscription:
    """A reader of one stream: its name within the service, the events it takes and the handler of a batch.

    `source_service` is the service that owns the stream; it stands first in the subjects. `on_rewind` is needed where
    the handler ignores what is older than what it has: a source that was restored from a backup counts from there.
    `gather_seconds` is how long the first event may wait for others, where nobody waits for what the handler makes:
    one transaction for ten events costs little more than for one.
    """

    name: str
    stream: str
    events: tuple[type[Message], ...]
    handle: Handler
    batch_size: int = 500
    source_service: str = ""
    on_rewind: OnRewind | None = None
    gather_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what could never receive anything."""
        if not self.source_service:
            raise ValueError(f"subscription {self.name}: source_service is missing")
        if not self.events:
            raise ValueError(f"subscription {self.name}: it takes no events")

    @cached_property
    def classes(self) -> dict[str, type[Message]]:
        """The message classes by proto full name."""
        return {event.DESCRIPTOR.full_name: event for event in self.events}

    @cached_property
    def filters(self) -> list[str]:
        """The subjects of these events, without doubles."""
        return sorted({subject_filter(event, self.source_service) for event in self.events})
