"""The consumer: takes events from a stream in batches and has each handled exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final, TypeVar

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from kit import failpoints, telemetry
from kit.backoff import pause_after
from kit.clock import Clock
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.log import log
from kit.messaging import delivery as answers
from kit.messaging import inbox
from kit.messaging.connection import AWAY, BrokerAway, client_of
from kit.messaging.delivery import RETRY_SECONDS, Delivery, receive
from kit.messaging.event import Event, read
from kit.messaging.pull import ConsumerGone, Puller
from kit.messaging.rewind import Epochs
from kit.messaging.settle import Settlement
from kit.messaging.streams import ensure_dlq
from kit.messaging.subscription import Batch, Handler, Subscription
from kit.messaging.tracing import consuming
from kit.messaging.verdict import Verdict, is_unavailable, judge, without_values

__all__ = ["Batch", "Consumer", "Event", "Handler", "Subscription"]

ACK_WAIT_SECONDS: Final = 30.0
MAX_DELIVER: Final = 20
_PROGRESS_SECONDS: Final = ACK_WAIT_SECONDS / 3
_UNAVAILABLE_IN_A_ROW: Final = 3
_LABELS: Final = ("subscription",)
_EXPECTED: Final = (*AWAY, BrokerAway, ConsumerGone, APIError)
T = TypeVar("T")


class Consumer:
    """Reads one subscription under the durable name `<service>-<subscription>`; several processes share the work."""

    def __init__(
        self,
        subscription: Subscription,
        database: Database,
        jetstream: JetStreamContext,
        clock: Clock,
        *,
        service: str,
        replicas: int = 1,
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
    ) -> None:
        self.subscription = subscription
        self.durable = f"{service}-{subscription.name}"
        self._database = database
        self._jetstream = jetstream
        self._client = client_of(jetstream)
        self._clock = clock
        self._replicas = replicas
        self._epochs = Epochs(self.durable, database, clock, subscription.on_rewind)
        self._settlement = Settlement(jetstream, service, subscription, retry_seconds)
        self._puller: Puller | None = None
        self._in_hand: set[str] = set()
        self._since = monotonic()
        self._stopping = asyncio.Event()
        self._patient = False
        self._handled = telemetry.counter("dealerloop_events_handled_total", "Events handled.", _LABELS).labels(
            self.durable
        )
        self._waiting = telemetry.gauge(
            "dealerloop_consumer_waiting", "Events in the stream that were not taken yet.", _LABELS
        ).labels(self.durable)

    async def run(self) -> None:
        """Handles events until it is stopped, whatever the broker and the database go through."""
        self._patient = True
        async with asyncio.TaskGroup() as group:
            progress = group.create_task(self._keep_in_progress())
            failures = 0
            while not self._stopping.is_set():
                try:
                    puller = await self._opened()
                    while not self._stopping.is_set():
                        messages = await puller.take(self.subscription.gather_seconds)
                        if messages:
                            await self._process(messages)
                        failures = 0
                except Exception as error:  # the consumer outlives everything; what it meets is told
                    failures += 1
                    self._tell_failure(error, failures)
                    await self._close(gone=isinstance(error, _EXPECTED))
                    await self._pause(failures)
            await self.close()
            progress.cancel()

    def stop(self) -> None:
        """Ends `run` after the batch that is being handled; what was fetched and not begun goes back."""
        self._stopping.set()
        if self._puller is not None:
            self._puller.wake()

    async def drain_once(self) -> int:
        """Handles what is there now, one batch at the most; returns how many messages that were. For tests and jobs.

        Raises:
            Exception: the database or the broker is away.
        """
        try:
            messages = await (await self._opened()).take_now()
        except (NotFoundError, ConsumerGone):
            await self._close(gone=True)
            return 0
        if messages:
            await self._process(messages)
        return len(messages)

    async def close(self) -> None:
        """Gives back what was fetched and not handled, and stops listening; after `run` it is done already."""
        await self._close(gone=False)

    async def handle_again(self, subject: str, headers: Mapping[str, str], data: bytes) -> bool:
        """Handles one dead letter in one transaction; False when it had been handled already.

        Raises:
            UnreadableEvent: it still is no event of this subscription.
            Exception: whatever the handler raises.
        """
        return await self._transaction([read(subject, headers, data, self.subscription.classes)]) == 1

    async def _opened(self) -> Puller:
        if self._puller is None:
            if not self._client.is_connected:
                raise BrokerAway("not connected")
            await ensure_dlq(self._jetstream, self._replicas)
            await self._ensure_durable()
            puller = Puller(self._client, self.subscription.stream, self.durable, self.subscription.batch_size)
            await puller.open()
            self._puller = puller
        return self._puller

    async def _ensure_durable(self) -> None:
        """Makes the durable or brings its settings up to date; after a wiped store it begins at the start again."""
        await self._jetstream.add_consumer(
            self.subscription.stream,
            ConsumerConfig(
                durable_name=self.durable,
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_SECONDS,
                max_deliver=MAX_DELIVER,
                filter_subjects=self.subscription.filters,
                # Room for several processes, each with one batch in the database and one on its way.
                max_ack_pending=max(1000, 8 * self.subscription.batch_size),
            ),
        )

    async def _close(self, *, gone: bool) -> None:
        puller, self._puller = self._puller, None
        if puller is None:
            return
        left = await puller.close()
        if gone:
            # They come again after ack_wait, or with the new consumer.
            return
        await answers.hand_back(self._client, (message.reply for message in left))
        with suppress(*AWAY):
            await self._client.flush(timeout=2)

    async def _process(self, messages: Sequence[Msg]) -> None:
        deliveries = [receive(message, self.subscription) for message in messages]
        self._waiting.set(deliveries[-1].pending)
        self._in_hand = {delivery.reply for delivery in deliveries}
        self._since = monotonic()
        try:
            for delivery in deliveries:
                if delivery.error is not None:
                    await self._fail(delivery, delivery.error)
            for group in self._by_epoch([delivery for delivery in deliveries if delivery.event is not None]):
                await self._meet_epochs(group[0].content)
                await self._handle(group)
        finally:
            self._in_hand = set()

    def _by_epoch(self, deliveries: Sequence[Delivery]) -> Iterator[list[Delivery]]:
        """Cuts before an event of an epoch that was not met yet; nearly always there is no cut."""
        group: list[Delivery] = []
        for delivery in deliveries:
            event = delivery.content
            if group and event.epoch != group[-1].content.epoch and self._epochs.is_news(event.source, event.epoch):
                yield group
                group = []
            group.append(delivery)
        if group:
            yield group

    async def _meet_epochs(self, event: Event) -> None:
        if self._epochs.is_news(event.source, event.epoch):
            await self._patiently(lambda: self._epochs.meet(event.source, event.epoch), whatever=True)

    async def _handle(self, group: Sequence[Delivery]) -> None:
        try:
            handled = await self._patiently(lambda: self._transaction([delivery.content for delivery in group]))
        except Exception as error:  # every error of a handler is settled here
            await self._give_up_in_an_outage(group, error)
            if len(group) == 1:
                await self._fail(group[0], error)
                return
            log.warning("consumer.batch_failed", consumer=self.durable, size=len(group), error=without_values(error))
            await self._handle_singly(group)
            return
        self._handled.inc(handled)
        await self._acknowledge(group)

    async def _handle_singly(self, group: Sequence[Delivery]) -> None:
        in_a_row = 0
        for place, delivery in enumerate(group):
            event = delivery.content
            try:
                handled = await self._patiently(lambda event=event: self._transaction([event]))  # type: ignore[misc]
            except Exception as error:  # every error of a handler is settled here
                await self._give_up_in_an_outage(group[place:], error)
                await self._fail(delivery, error)
                in_a_row = in_a_row + 1 if is_unavailable(error) else 0
                if in_a_row >= _UNAVAILABLE_IN_A_ROW:
                    # A neighbour is down: the rest would only wait for its deadline, one after another.
                    await self._settlement.postpone(list(group[place + 1 :]))
                    return
                continue
            in_a_row = 0
            self._handled.inc(handled)
            await self._acknowledge([delivery])

    async def _transaction(self, events: Sequence[Event]) -> int:
        """Handles the events in one transaction; returns how many of them were fresh."""
        with consuming(self.durable, events):
            now = self._clock.now()
            async with self._database.transaction(Scope.system(f"subscription {self.durable}")) as session:
                fresh = await inbox.admit(session, self.durable, events, now)
                if fresh:
                    await self.subscription.handle(Batch(session, fresh, now))
            return len(fresh)

    async def _patiently(self, work: Callable[[], Awaitable[T]], *, whatever: bool = False) -> T:
        """Tries until the database is back or, with `whatever`, until it works; the messages stay in hand."""
        failures = 0
        while True:
            try:
                return await work()
            except Exception as error:
                if not self._patient or self._stopping.is_set():
                    raise
                if not whatever and judge(error) is not Verdict.OUTAGE:
                    raise
                failures += 1
                log.warning("consumer.waiting", consumer=self.durable, failures=failures, error=without_values(error))
                await self._pause(failures)

    async def _give_up_in_an_outage(self, left: Sequence[Delivery], error: Exception) -> None:
        """Without patience, or when stopping, the messages go back untouched: the outage is not their failure."""
        if judge(error) is Verdict.OUTAGE:
            await answers.hand_back(self._client, (delivery.reply for delivery in left))
            raise error

    async def _acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        failpoints.hit("before_ack")
        await answers.acknowledge(self._client, deliveries)
        self._in_hand.difference_update(delivery.reply for delivery in deliveries)
        if failpoints.armed("after_ack"):
            with suppress(*AWAY):
                await self._client.flush()
            failpoints.hit("after_ack")

    async def _fail(self, delivery: Delivery, error: Exception) -> None:
        await self._settlement.fail(delivery, error)
        self._in_hand.discard(delivery.reply)

    async def _keep_in_progress(self) -> None:
        """A batch that takes long, or waits for the database, is not given to another process meanwhile."""
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            if not self._in_hand or monotonic() - self._since < _PROGRESS_SECONDS:
                continue
            waiting = self._puller.waiting() if self._puller is not None else []
            await answers.still_working(self._client, [*self._in_hand, *(message.reply for message in waiting)])

    def _tell_failure(self, error: Exception, failures: int) -> None:
        if isinstance(error, _EXPECTED) or judge(error) is Verdict.OUTAGE:
            log.warning("consumer.waiting", consumer=self.durable, failures=failures, error=without_values(error))
        else:
            log.error("consumer.failed", consumer=self.durable, failures=failures, exc_info=error)

    async def _pause(self, failures: int) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), pause_after(failures))
