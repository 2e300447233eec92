"""The event edge of grades."""

from __future__ import annotations

from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from kit.messaging.subscription import Batch, Subscription
from scoring.grades.service import Counting
from scoring.streams import CARE


def subscription(counting: Counting) -> Subscription:
    """What live grades are built from."""

    async def on_responses(batch: Batch) -> None:
        await counting.count(batch.session, [event.message for event in batch.events], batch.now)

    return Subscription(
        name="live-grades",
        stream=CARE,
        source_service="customer_care",
        events=(ResponseSubmitted,),
        handle=on_responses,
    )
