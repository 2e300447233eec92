"""Delivery events to care plans, against a floor that writes the same rows from arrays that were made before.

Floor: one statement of unnest CTEs for each 500 events, on one connection: inbox, plans, follow-ups, surveys, timers,
outbox. Product: the same events from JetStream through the consumer and the handler of customer care, acknowledged.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
from nats.js.client import JetStreamContext

from bench.reporting import say
from customer_care.care_plans import rules
from customer_care.care_plans.facts import delivery_of
from customer_care.care_plans.values import Days, Planned
from dealerloop.customer_care.events.v1.events_pb2 import CarePlanned
from dealerloop.gateway.v1 import organisation_pb2
from dealerloop.sales.events.v1.events_pb2 import DeliveryRecorded
from dealerloop.sales.v1.deliveries_pb2 import DeliveryFacts
from dealership import stores
from dealership.calendar import from_message
from kit.db.engine import after_commit
from kit.db.migrate import upgrade_async
from kit.db.scope import Scope
from kit.ids import new_id
from kit.local.nats import LocalNats
from kit.local.postgres import LocalPostgres
from kit.local.provision import Naming, provision_async
from kit.messaging.connection import connect
from kit.messaging.consumer import Consumer
from kit.messaging.event import headers_for, subject_for
from kit.messaging.streams import StreamSpec, ensure_stream
from kit.messaging.subscription import Batch
from kit.messaging.wire import Outgoing, send
from tests.support import care
from tests.support.deliveries import vin_of
from tests.support.one_service import OneService
from tests.support.postgres import DatabaseUrls

EVENTS: Final = 20_000
BATCH: Final = 500
ROUND: Final = 4_000
GOAL: Final = 0.5
NOW: Final = datetime(2026, 5, 20, 4, 0, tzinfo=UTC)
STORES: Final = [f"s-{number:02d}" for number in range(20)]
SERVICE: Final = "customer_care"
CONSUMER: Final = "customer_care-deliveries"

FLOOR: Final = """
WITH fresh AS (
    INSERT INTO inbox (consumer, event_id, receive_time)
    SELECT $1, id, $2::timestamptz FROM unnest($3::uuid[]) AS e (id) ON CONFLICT DO NOTHING RETURNING event_id
), plan AS (
    INSERT INTO care_plan (delivery_id, store_id, version, vin, series, customer_id, consultant_id, delivery_date,
                           record_time, finance_end_date, cancelled, template, template_number, create_time)
    SELECT p.delivery_id, p.store_id, 1, p.vin, p.series, p.customer_id, p.consultant_id, p.delivery_date,
           p.record_time, p.finance_end_date, false, 'post-delivery', 1, $2::timestamptz
    FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::text[], $10::date[],
                $11::timestamptz[], $12::date[])
         AS p (event_id, delivery_id, store_id, vin, series, customer_id, consultant_id, delivery_date, record_time,
               finance_end_date)
    JOIN fresh USING (event_id)
), planned AS (
    INSERT INTO follow_up (store_id, delivery_id, step, occurrence, owner_id, window_start_date, window_end_date,
                           state, version, create_time)
    SELECT f.store_id, f.delivery_id, f.step, f.occurrence, f.owner_id, f.window_start, f.window_end, f.state, 1,
           $2::timestamptz
    FROM unnest($13::uuid[], $14::text[], $15::uuid[], $16::text[], $17::integer[], $18::text[], $19::date[],
                $20::date[], $21::text[])
         AS f (event_id, store_id, delivery_id, step, occurrence, owner_id, window_start, window_end, state)
    JOIN fresh USING (event_id)
), surveyed AS (
    INSERT INTO survey (id, store_id, delivery_id, step, occurrence, questionnaire, questionnaire_number, state,
                        expire_time, version, create_time)
    SELECT s.id, s.store_id, s.delivery_id, 'CAD-02', 1, 'ssi-five-factor', 1, 'OPEN', s.expire_time, 1,
           $2::timestamptz
    FROM unnest($3::uuid[], $22::uuid[], $5::text[], $4::uuid[], $23::timestamptz[])
         AS s (event_id, id, store_id, delivery_id, expire_time)
    JOIN fresh USING (event_id)
), timed AS (
    INSERT INTO timer (kind, key, due_at, wake_time)
    SELECT 'care.window', t.key, t.due_at, t.due_at
    FROM unnest($3::uuid[], $24::text[], $25::timestamptz[]) AS t (event_id, key, due_at)
    JOIN fresh USING (event_id)
)
INSERT INTO outbox (id, key, subject, type, payload, create_time)
SELECT o.id, o.key, o.subject, $26, o.payload, $2::timestamptz
FROM unnest($3::uuid[], $27::uuid[], $24::text[], $28::text[], $29::bytea[])
     AS o (event_id, id, key, subject, payload)
JOIN fresh USING (event_id)
"""
COUNTS: Final = "SELECT " + ", ".join(
    f"(SELECT count(*) FROM {table}) AS {table}"
    for table in ("inbox", "care_plan", "follow_up", "survey", "timer", "outbox")
)


def make_events() -> list[DeliveryRecorded]:
    """Deliveries of two months in twenty stores; a third with a finance contract of its own length."""
    source = random.Random(11)
    events = []
    for number in range(EVENTS):
        day = date(2026, 5, 20) + timedelta(days=source.randrange(60))
        recorded = datetime(day.year, day.month, day.day, source.randrange(1, 15), source.randrange(60), tzinfo=UTC)
        end = day + timedelta(days=source.randrange(365, 1500))
        facts = DeliveryFacts(
            delivery_id=str(new_id(NOW)),
            store_id=source.choice(STORES),
            version=1,
            vin=vin_of(number),
            brand="Nissan",
            series="Paladin",
            model="Paladin 2.5 4WD",
            customer_id=str(new_id(NOW)),
            consultant_id=f"consultant-{source.randrange(100)}",
            delivery_time=recorded,
            delivery_date=day.isoformat(),
            invoice_date=day.isoformat(),
            odometer_km=12,
            finance_end_date=end.isoformat() if source.random() < 1 / 3 else "",
            record_time=recorded,
        )
        events.append(DeliveryRecorded(delivery_id=facts.delivery_id, delivery=facts))
    return events


def calendar() -> organisation_pb2.Calendar:
    """Open every day until eight in the evening."""
    hours = [organisation_pb2.OpeningInterval(start="08:30", end="20:00")]
    return organisation_pb2.Calendar(
        confirmed_years=range(2026, 2031),
        days=[organisation_pb2.OpeningDay(weekday=day, intervals=hours) for day in range(1, 8)],
    )


def floor_arguments(events: Sequence[DeliveryRecorded]) -> list[Any]:
    """The arguments of one batch: exactly what the product writes for these events."""
    version, zone, opening = care.shipped(), care.ZONE, from_message(calendar())
    follow_ups: list[tuple[UUID, str, UUID, Planned, str]] = []
    ids = [new_id(NOW) for _ in events]
    states = [delivery_of(event.delivery) for event in events]
    surveys, expiries, keys, dues, outbox_ids, subjects, payloads = [], [], [], [], [], [], []
    for event_id, one in zip(ids, states, strict=True):
        first_call = rules.first_call_day(one.delivery_date, one.record_time, opening, zone)
        days = Days(one.delivery_date, first_call, None, None, one.finance_end_date)
        planned = rules.plan(version, days, date(2026, 5, 20))
        owners = [rules.owner_of(it.owner_role, one.consultant_id) for it in planned]
        follow_ups += [
            (event_id, one.store_id, one.delivery_id, it, owner) for it, owner in zip(planned, owners, strict=True)
        ]
        survey_id = new_id(NOW)
        surveys.append(survey_id)
        expiries.append(rules.closes_at(one.delivery_date + timedelta(days=3 + 14), zone))
        keys.append(str(one.delivery_id))
        dues.append(rules.next_close([(it.state, it.window_end) for it in planned], zone))
        message = CarePlanned(
            delivery_id=str(one.delivery_id),
            store_id=one.store_id,
            follow_ups=len(planned),
            cadence_template_version=version.name,
            survey_id=str(survey_id),
            version=one.version,
        )
        outbox_ids.append(new_id(NOW))
        subjects.append(subject_for(message))
        payloads.append(message.SerializeToString())
    plan_columns = zip(
        *(
            (
                *(it.delivery_id, it.store_id, it.vin, it.series, it.customer_id, it.consultant_id),
                *(it.delivery_date, it.record_time, it.finance_end_date),
            )
            for it in states
        ),
        strict=True,
    )
    follow_up_columns = zip(
        *(
            (
                *(event_id, store_id, delivery_id, it.step, it.occurrence, owner),
                *(it.window_start, it.window_end, it.state.value),
            )
            for event_id, store_id, delivery_id, it, owner in follow_ups
        ),
        strict=True,
    )
    return [
        *(CONSUMER, NOW, ids),
        *plan_columns,
        *follow_up_columns,
        *(surveys, expiries, keys, dues),
        *(CarePlanned.DESCRIPTOR.full_name, outbox_ids, subjects, payloads),
    ]


class Floor:
    """The statement above on one connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> Floor:
        """Connects as the service does, seeing every store."""
        return cls(await asyncpg.connect(url, server_settings={"jit": "off", "dealerloop.scope": "group"}))

    async def run(self, events: Sequence[DeliveryRecorded]) -> float:
        """Writes these; returns the seconds."""
        batches = [floor_arguments(events[start : start + BATCH]) for start in range(0, len(events), BATCH)]
        statement = await self._connection.prepare(FLOOR)
        started = time.perf_counter()
        for arguments in batches:
            async with self._connection.transaction():
                await statement.fetch(*arguments)
        return time.perf_counter() - started

    async def close(self) -> dict[str, int]:
        """Returns how many rows there are."""
        counts = dict(await self._connection.fetchrow(COUNTS))
        await self._connection.close()
        return counts


class Product:
    """The consumer of customer care on a stream that this bench fills."""

    def __init__(self, service: OneService, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream
        self.subscription = next(it for it in service.service.subscriptions if it.name == "deliveries")
        counted = replace(self.subscription, handle=self._handle)
        self._consumer = Consumer(counted, service.database, jetstream, service.clock, service=SERVICE)
        self._left = 0
        self._done = asyncio.Event()

    async def run(self, events: Sequence[DeliveryRecorded]) -> float:
        """Publishes these, then handles them; returns the seconds from the first fetch to the last commit."""
        await publish(self._jetstream, events)
        self._left = len(events)
        self._done.clear()
        started = time.perf_counter()
        while not self._done.is_set():
            await self._consumer.drain_once()
        return time.perf_counter() - started

    async def close(self) -> None:
        """Gives back what is left."""
        await self._consumer.close()

    async def _handle(self, batch: Batch) -> None:
        await self.subscription.handle(batch)
        after_commit(batch.session, lambda: self._count(len(batch.events)))

    def _count(self, handled: int) -> None:
        self._left -= handled
        if not self._left:
            self._done.set()


async def publish(jetstream: JetStreamContext, events: Sequence[DeliveryRecorded]) -> None:
    """Puts the events on the stream as the relay of sales does."""
    for start in range(0, len(events), BATCH):
        outgoing = []
        for event in events[start : start + BATCH]:
            event_id, subject = new_id(NOW), subject_for(event)
            headers = headers_for(
                event_id=event_id,
                type_name=event.DESCRIPTOR.full_name,
                source="sales",
                subject=subject,
                time=NOW,
                epoch=1,
                key=event.delivery_id,
                trace=None,
            )
            outgoing.append(Outgoing(event_id, event.delivery_id, subject, headers, event.SerializeToString()))
        outcome = await send(jetstream, outgoing)
        assert not outcome.refused, outcome
        assert not outcome.away, outcome


async def database(superuser_url: str, prefix: str) -> DatabaseUrls:
    """A migrated database of customer care."""
    naming = Naming(prefix)
    urls = (await provision_async(superuser_url, [SERVICE], "bench", naming=naming))[SERVICE]
    await upgrade_async(urls[1], SERVICE)
    return DatabaseUrls(*urls, naming.database(SERVICE))


async def measure(postgres_url: str, nats_url: str, folder: Path) -> bool:
    """Both in turns on databases of their own, and their row counts compared; whether the goal was reached."""
    events = make_events()
    floor_urls, product_urls = await database(postgres_url, "floor_"), await database(postgres_url, "product_")
    service = await OneService(SERVICE, product_urls, folder / "keys", NOW).start()
    facts = [
        organisation_pb2.StoreFacts(
            store_id=it, version=1, display_name=it, time_zone="Asia/Shanghai", calendar=calendar()
        )
        for it in STORES
    ]
    async with service.database.transaction(Scope.system("bench")) as session:
        await stores.save(session, facts)
    client = await connect(nats_url, "bench")
    product, floor = Product(service, client.jetstream()), await Floor.open(floor_urls.database_url)
    await ensure_stream(client.jetstream(), StreamSpec(product.subscription.stream, "sales"), 1)
    floor_seconds = product_seconds = 0.0
    # In turns, so that whatever else the machine does falls on both.
    for start in range(0, EVENTS, ROUND):
        floor_seconds += await floor.run(events[start : start + ROUND])
        product_seconds += await product.run(events[start : start + ROUND])
    expected = await floor.close()
    [written] = await service.rows(COUNTS)
    await product.close()
    await client.close()
    await service.stop()
    assert written == expected, f"not the same rows: {written} instead of {expected}"
    ratio = floor_seconds / product_seconds
    say("rows written by each", sum(expected.values()), "rows")
    say("floor: one statement per 500 events, arrays made before", EVENTS / floor_seconds, "events/s")
    say("product: JetStream, consumer, rules, handler, acks", EVENTS / product_seconds, "events/s")
    say("product / floor", ratio, "x", f"goal >= {GOAL}", met=ratio >= GOAL)
    return ratio >= GOAL


def main() -> None:
    """Starts the servers; ends them."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        postgres, nats = LocalPostgres(folder / "postgres"), LocalNats(folder / "nats")
        try:
            met = asyncio.run(measure(postgres.start(), nats.start(), folder))
        finally:
            nats.stop()
            postgres.stop()
    if not met:
        sys.exit(1)


if __name__ == "__main__":
    main()
