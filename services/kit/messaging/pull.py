"""A long poll on a durable consumer: messages are asked for ahead, so that the next batch arrives during this one."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from kit.messaging.connection import AWAY, BrokerAway

EXPIRES_SECONDS: Final = 30.0
HEARTBEAT_SECONDS: Final = 10.0
_SILENCE_SECONDS: Final = 2.5 * HEARTBEAT_SECONDS
_LOOK_SECONDS: Final = 1.0
_NANO: Final = 1_000_000_000
_HEARTBEAT: Final = "100"
_GONE: Final = ("consumer deleted", "consumer not found", "consumer is push based", "stream not found")


class ConsumerGone(Exception):
    """The durable consumer, or its stream, is not there any more."""


class Puller:
    """The messages of one durable consumer; at most one batch is ahead of the one being handled."""

    def __init__(self, client: Client, stream: str, durable: str, batch_size: int) -> None:
        self._client = client
        self._request_subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._batch_size = batch_size
        self._inbox = client.new_inbox()
        self._subscription: NatsSubscription | None = None
        self._buffer: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._asked = 0
        self._heard = monotonic()
        self._reconnects = client.stats["reconnects"]
        self._gone: str | None = None
        self._drained = False
        self.pending = 0
        """How many messages the stream still has for this consumer, as the server last said."""

    async def open(self) -> None:
        """Begins to listen for answers."""
        self._subscription = await self._client.subscribe(self._inbox, cb=self._on_message)

    async def close(self) -> list[Msg]:
        """Stops; returns the messages that nobody took, to be given back."""
        if self._subscription is not None:
            with suppress(*AWAY):
                await self._subscription.unsubscribe()
        left = list(self._buffer)
        self._buffer.clear()
        return left

    async def take(self, gather_seconds: float = 0.0) -> list[Msg]:
        """Waits until there are messages; returns up to a batch of them, in stream order. [] after `wake`.

        Less than a batch is given `gather_seconds` to become more.

        Raises:
            ConsumerGone: the consumer must be made again.
            BrokerAway: there is no connection.
        """
        await self._ask()
        if not self._buffer:
            self._arrived.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), _LOOK_SECONDS)
        if gather_seconds and 0 < len(self._buffer) < self._batch_size:
            await asyncio.sleep(gather_seconds)
        self._look_after()
        return await self._taken()

    async def take_now(self) -> list[Msg]:
        """What is there at this moment, up to a batch, without waiting for more."""
        if not self._buffer:
            self._drained = False
            await self._request({"batch": self._batch_size, "no_wait": True})
            while not self._drained and len(self._buffer) < self._batch_size:
                self._arrived.clear()
                await asyncio.wait_for(self._arrived.wait(), HEARTBEAT_SECONDS)
                self._look_after()
        return [self._buffer.popleft() for _ in range(min(self._batch_size, len(self._buffer)))]

    def wake(self) -> None:
        """Ends the wait of `take`."""
        self._arrived.set()

    def waiting(self) -> list[Msg]:
        """The messages that have arrived and were not taken."""
        return list(self._buffer)

    async def _taken(self) -> list[Msg]:
        messages = [self._buffer.popleft() for _ in range(min(self._batch_size, len(self._buffer)))]
        if messages:
            # The next ones travel while these are in the database.
            await self._ask()
        return messages

    async def _ask(self) -> None:
        if not self._client.is_connected:
            raise BrokerAway("not connected")
        missing = self._batch_size - self._asked - len(self._buffer)
        if missing * 2 < self._batch_size:
            return
        await self._request(
            {
                "batch": missing,
                "expires": int(EXPIRES_SECONDS * _NANO),
                "idle_heartbeat": int(HEARTBEAT_SECONDS * _NANO),
            }
        )
        self._asked += missing

    async def _request(self, body: dict[str, object]) -> None:
        try:
            await self._client.publish(self._request_subject, json.dumps(body).encode(), reply=self._inbox)
        except AWAY as error:
            raise BrokerAway(type(error).__name__) from error
        self._heard = monotonic()

    def _look_after(self) -> None:
        if self._gone is not None:
            gone, self._gone = self._gone, None
            raise ConsumerGone(gone)
        reconnects = self._client.stats["reconnects"]
        if reconnects != self._reconnects:
            # The new connection's server knows nothing of what was asked before.
            self._reconnects, self._asked = reconnects, 0
        elif self._asked and monotonic() - self._heard > _SILENCE_SECONDS:
            self._asked = 0
            raise ConsumerGone("no heartbeat")

    async def _on_message(self, message: Msg) -> None:
        self._heard = monotonic()
        status = (message.headers or {}).get("Status") if not message.reply else None
        if status is None:
            self._asked = max(0, self._asked - 1)
            self._buffer.append(message)
            self._arrived.set()
            return
        if status == _HEARTBEAT:
            return
        headers = message.headers or {}
        self._asked = max(0, self._asked - int(headers.get("Nats-Pending-Messages") or self._asked))
        self._drained = True
        text = headers.get("Description", "").lower()
        if status == "503" or text in _GONE:
            self._gone = text or "no responders"
        self._arrived.set()
