"""Puts rows of the outbox on a stream: all at once where the server can, else key by key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from nats.js.api import PubAck
from nats.js.client import JetStreamContext
from nats.js.errors import APIError

from kit.messaging.connection import AWAY, REQUEST_SECONDS, BrokerAway, client_of, is_server_trouble

ATOMIC_LIMIT: Final = 1000
"""The server takes no larger atomic batch."""

_IN_FLIGHT: Final = 64
_HEADROOM_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event, ready to be sent."""

    id: UUID
    key: str
    subject: str
    headers: dict[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """The stream has it, under this sequence; `duplicate` when it had it before."""

    id: UUID
    sequence: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The stream does not take this event; later ones of its key wait."""

    id: UUID
    key: str
    reason: str


@dataclass(slots=True)
class Outcome:
    """What became of the events; `away` when NATS went away before all were tried."""

    sent: list[Sent]
    refused: list[Refused]
    away: BrokerAway | None = None


async def send(jetstream: JetStreamContext, events: Sequence[Outgoing]) -> Outcome:
    """Publishes the events in their order inside each key and waits until the stream has them."""
    if not client_of(jetstream).is_connected:
        return Outcome([], [], BrokerAway("not connected"))
    fitting = [event for event in events if _fits(jetstream, event)]
    if len(fitting) == len(events) and 1 < len(events) <= ATOMIC_LIMIT:
        try:
            sent = await _send_batch(jetstream, events)
        except AWAY as error:
            return Outcome([], [], BrokerAway(type(error).__name__))
        if sent is not None:
            return Outcome(sent, [])
    return await _send_by_key(jetstream, events)


async def _send_batch(jetstream: JetStreamContext, events: Sequence[Outgoing]) -> list[Sent] | None:
    """All or nothing; None when the server refused (an event is there already, or batches are not allowed)."""
    client = client_of(jetstream)
    batch = uuid4().hex
    last = len(events)
    for place, event in enumerate(events[:-1], 1):
        headers = {**event.headers, "Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(place)}
        await client.publish(event.subject, event.payload, headers=headers)
    closing = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(last), "Nats-Batch-Commit": "1"}
    reply = await client.request(
        events[-1].subject, events[-1].payload, timeout=REQUEST_SECONDS, headers={**events[-1].headers, **closing}
    )
    answer = json.loads(reply.data)
    if "error" in answer:
        return None
    ack = PubAck.from_response(answer)
    if ack.batch_size != last:
        # A server that knows no batches has taken the last one alone; singly, in order, is right then.
        return None
    first = ack.seq - last + 1
    return [Sent(event.id, first + place, duplicate=False) for place, event in enumerate(events)]


async def _send_by_key(jetstream: JetStreamContext, events: Sequence[Outgoing]) -> Outcome:
    keys: dict[str, list[Outgoing]] = {}
    for event in events:
        keys.setdefault(event.key, []).append(event)
    outcome = Outcome([], [])
    gate = asyncio.Semaphore(_IN_FLIGHT)

    async def in_order(queue: Sequence[Outgoing]) -> None:
        async with gate:
            for event in queue:
                if outcome.away is not None or not await _send_one(jetstream, event, outcome):
                    return

    async with asyncio.TaskGroup() as group:
        for queue in keys.values():
            group.create_task(in_order(queue))
    return outcome


async def _send_one(jetstream: JetStreamContext, event: Outgoing, outcome: Outcome) -> bool:
    if not _fits(jetstream, event):
        outcome.refused.append(Refused(event.id, event.key, f"{len(event.payload)} bytes are more than NATS takes"))
        return False
    try:
        ack = await jetstream.publish(event.subject, event.payload, timeout=REQUEST_SECONDS, headers=event.headers)
    except AWAY as error:
        outcome.away = BrokerAway(type(error).__name__)
        return False
    except APIError as error:
        if is_server_trouble(error):
            outcome.away = BrokerAway(str(error.description))
        else:
            outcome.refused.append(Refused(event.id, event.key, str(error.description)[:500]))
        return False
    outcome.sent.append(Sent(event.id, ack.seq, bool(ack.duplicate)))
    return True


def _fits(jetstream: JetStreamContext, event: Outgoing) -> bool:
    # The server ends the connection over a message that is too large, headers included: it is never sent.
    return len(event.payload) + _HEADROOM_BYTES <= client_of(jetstream).max_payload
