"""One message on its way to a handler, and the answers that the server is given about it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from kit.backoff import scattered
from kit.messaging.connection import AWAY
from kit.messaging.event import Event, UnreadableEvent, read
from kit.messaging.subscription import Subscription

RETRY_SECONDS: Final = (1.0, 2.0, 5.0, 15.0, 60.0, 180.0, 300.0, 600.0)
"""The pause after the first, second, … failed attempt; the last one holds from there on."""
_ACK: Final = b"+ACK"
_PROGRESS: Final = b"+WPI"
_TERM: Final = b"+TERM"
_OLD_TOKENS: Final = 9
_NANO: Final = 1_000_000_000


@dataclass(slots=True)
class Delivery:
    """A message as it arrived: how often it came, its place in the stream, and the event or why there is none."""

    subject: str
    reply: str
    headers: dict[str, str]
    data: bytes
    attempts: int
    sequence: int
    pending: int
    event: Event | None = None
    error: UnreadableEvent | None = None

    @property
    def content(self) -> Event:
        """The event of a message that could be read."""
        assert self.event is not None
        return self.event


def receive(message: Msg, subscription: Subscription) -> Delivery:
    """Takes a message apart, once."""
    # `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.…`, or with `<domain>.<account>` after ACK.
    tokens = message.reply.split(".")
    place = 4 if len(tokens) == _OLD_TOKENS else 6
    delivery = Delivery(
        subject=message.subject,
        reply=message.reply,
        headers=message.headers or {},
        data=message.data,
        attempts=int(tokens[place]),
        sequence=int(tokens[place + 1]),
        pending=int(tokens[place + 4]),
    )
    try:
        delivery.event = read(message.subject, message.headers, message.data, subscription.classes)
    except UnreadableEvent as error:
        delivery.error = error
    return delivery


async def acknowledge(client: Client, deliveries: Iterable[Delivery]) -> None:
    """Tells the server that these are handled; without waiting, and without harm when it does not arrive."""
    # What is not acknowledged comes again, and the inbox knows it.
    with suppress(*AWAY):
        for delivery in deliveries:
            await client.publish(delivery.reply, _ACK)


async def postpone(client: Client, deliveries: Iterable[Delivery], pauses: tuple[float, ...] = RETRY_SECONDS) -> None:
    """Asks for them again later: the more often they failed, the later; scattered."""
    with suppress(*AWAY):
        for delivery in deliveries:
            seconds = scattered(pauses[min(delivery.attempts, len(pauses)) - 1])
            await client.publish(delivery.reply, b"-NAK " + json.dumps({"delay": int(seconds * _NANO)}).encode())


async def hand_back(client: Client, replies: Iterable[str]) -> None:
    """Gives messages back that were not tried, so that another process takes them at once."""
    with suppress(*AWAY):
        for reply in replies:
            await client.publish(reply, b"-NAK")


async def still_working(client: Client, replies: Iterable[str]) -> None:
    """Asks the server for another `ack_wait`."""
    with suppress(*AWAY):
        for reply in replies:
            await client.publish(reply, _PROGRESS)


async def terminate(client: Client, delivery: Delivery) -> None:
    """Tells the server never to send this one again; it lies in the dead letters by now."""
    with suppress(*AWAY):
        await client.publish(delivery.reply, _TERM)
