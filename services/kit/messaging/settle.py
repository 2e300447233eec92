"""What becomes of a message whose handling failed: tried again later, or set aside."""

from __future__ import annotations

from typing import Final

from nats.js.client import JetStreamContext
from nats.js.errors import APIError

from kit import telemetry
from kit.errors import DomainError
from kit.log import log
from kit.messaging import delivery as answers
from kit.messaging import dlq
from kit.messaging.connection import AWAY, client_of
from kit.messaging.delivery import Delivery
from kit.messaging.event import UnreadableEvent
from kit.messaging.subscription import Subscription
from kit.messaging.verdict import Verdict, judge, without_values

MAX_ATTEMPTS: Final = 8
"""Failures that are answered with another try; the next one sets the message aside."""
_LABELS: Final = ("subscription",)


class Settlement:
    """Settles the failures of one subscription."""

    def __init__(
        self, jetstream: JetStreamContext, service: str, subscription: Subscription, pauses: tuple[float, ...]
    ) -> None:
        self._jetstream = jetstream
        self._client = client_of(jetstream)
        self._service = service
        self._subscription = subscription
        self._pauses = pauses
        self._name = f"{service}-{subscription.name}"
        self._failed = telemetry.counter(
            "dealerloop_events_failed_total", "Attempts to handle an event that failed.", _LABELS
        ).labels(self._name)
        self._dead = telemetry.counter(
            "dealerloop_events_dead_total", "Events set aside in the dead letters.", _LABELS
        ).labels(self._name)

    async def fail(self, delivery: Delivery, error: Exception) -> None:
        """Asks for the message again later, or sets it aside: at once for a permanent error, else after eight tries."""
        self._failed.inc()
        permanent = judge(error) is Verdict.PERMANENT
        if not permanent and delivery.attempts <= MAX_ATTEMPTS:
            log.warning("consumer.event_failed", **self._facts(delivery), **_why(error))
            await self.postpone([delivery])
            return
        reason = "permanent" if permanent else "attempts"
        if not await self._set_aside(delivery, reason, error):
            await self.postpone([delivery])
            return
        self._dead.inc()
        log.error("consumer.event_dead", **self._facts(delivery), reason=reason, **_why(error))

    async def postpone(self, deliveries: list[Delivery]) -> None:
        """Asks for them again later."""
        await answers.postpone(self._client, deliveries, self._pauses)

    async def _set_aside(self, delivery: Delivery, reason: str, error: Exception) -> bool:
        """Only what lies safely in the dead letters is never sent again."""
        where = dlq.Place(self._service, self._subscription.name, self._subscription.stream)
        try:
            await dlq.put(self._jetstream, where, delivery, reason=reason, error=without_values(error))
        except (*AWAY, APIError) as away:
            log.warning("consumer.dead_letters_away", consumer=self._name, error=type(away).__name__)
            return False
        await answers.terminate(self._client, delivery)
        return True

    def _facts(self, delivery: Delivery) -> dict[str, object]:
        return {
            "consumer": self._name,
            "event_id": delivery.headers.get("ce-id"),
            "event_type": delivery.headers.get("ce-type"),
            "attempts": delivery.attempts,
        }


def _why(error: Exception) -> dict[str, object]:
    """Errors of the contract explain themselves; whatever else there is needs its traceback."""
    if isinstance(error, (DomainError, UnreadableEvent)):
        return {"error": without_values(error)}
    return {"exc_info": error}
