"""Ten thousand clocks of complaints in the same minute, two workers, and one of them is killed: how late is the last?

The floor is one plain SQL loop that claims as many timers and writes the same rows, on the same machine just before.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg

from bench.events_to_care_plans import database
from bench.reporting import say
from dealerloop.customer_care.events.v1.events_pb2 import ComplaintClockFired
from kit.local.nats import LocalNats
from kit.local.postgres import LocalPostgres
from kit.local.process import Child, wait_until
from tests.support.many_complaints import FIRED, KIND, Workers, connect, figures, open_many

COUNT: Final = 10_000
BATCH: Final = 200
DIES_AT: Final = COUNT // 4
PREPARE_SECONDS: Final = 15
START_SECONDS: Final = 60
LOOK_SECONDS: Final = 0.05
LATE_GOAL: Final = 5.0
RATIO_GOAL: Final = 0.2
TOLD: Final = f"SELECT count(publish_time) FROM outbox WHERE type = '{ComplaintClockFired.DESCRIPTOR.full_name}'"
# About as long as the event of the product.
PAYLOAD: Final = bytes(120)

FLOOR: Final = """
WITH due AS MATERIALIZED (
    SELECT kind, key FROM timer WHERE kind = $1 AND wake_time <= $2 ORDER BY wake_time LIMIT $3 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM timer USING due WHERE timer.kind = due.kind AND timer.key = due.key
    RETURNING timer.key, timer.due_at, split_part(timer.key, ':', 1)::uuid AS complaint_id,
              split_part(timer.key, ':', 2) AS clock, split_part(timer.key, ':', 3)::integer AS round
), moved AS (
    UPDATE complaint_clock c SET percent = 75, due_time = due_time
    FROM gone WHERE c.complaint_id = gone.complaint_id AND c.kind = gone.clock AND c.round = gone.round
), written AS (
    INSERT INTO complaint_escalation
        (complaint_id, store_id, clock, round, term, percent, target_role, vacant_roles, due_time, fire_time)
    SELECT complaint_id, 'bj-01', clock, round, 1, 75, 'ROLE_SALES_MANAGER', '{}', due_at, $2 FROM gone
), told AS (
    INSERT INTO outbox (id, key, subject, type, payload, create_time)
    SELECT uuidv7(), complaint_id::text, 'customer_care.v1.complaint.' || complaint_id || '.clock_fired', $4, $5, $2
    FROM gone
), later AS (
    INSERT INTO timer (kind, key, due_at, wake_time)
    SELECT $1, key, due_at + interval '3 hours', due_at + interval '3 hours' FROM gone
    ON CONFLICT (kind, key) DO NOTHING
)
SELECT count(*) FROM gone
"""


async def floor(connection: asyncpg.Connection) -> float:
    """Fires everything that is due by SQL alone; returns the seconds."""
    arguments = (KIND, datetime.now(UTC), BATCH, ComplaintClockFired.DESCRIPTOR.full_name, PAYLOAD)
    statement = await connection.prepare(FLOOR)
    started = time.perf_counter()
    while await statement.fetchval(*arguments):
        continue
    return time.perf_counter() - started


async def until(connection: asyncpg.Connection, query: str, least: int) -> None:
    """Looks again until there are so many."""
    while True:
        if await connection.fetchval(query) >= least:
            return
        await asyncio.sleep(LOOK_SECONDS)


def started(workers: Workers) -> Child:
    """A worker that is ready."""
    child = workers.start()
    wait_until(lambda: "service.started" in child.tail(), child, timeout=START_SECONDS, what="the worker")
    return child


async def measure(postgres_url: str, nats_url: str, folder: Path) -> bool:
    """The floor, then the product; whether the goals were reached."""
    urls = await database(postgres_url, "floor_")
    await open_many(urls, folder / "floor" / "keys", COUNT, datetime.now(UTC))
    plain = await connect(urls)
    floor_seconds = await floor(plain)
    expected = await figures(plain)
    await plain.close()

    urls = await database(postgres_url, "product_")
    workers = Workers(urls, nats_url, folder / "product")
    connection = await connect(urls)
    due = datetime.now(UTC) + timedelta(seconds=PREPARE_SECONDS)
    await open_many(urls, folder / "product" / "keys", COUNT, due)
    try:
        doomed, _ = started(workers), started(workers)
        began = time.perf_counter() + max(0.0, (due - datetime.now(UTC)).total_seconds())
        await until(connection, FIRED, DIES_AT)
        doomed.kill()
        restarted = time.perf_counter()
        died_at = await connection.fetchval(FIRED)
        workers.start()
        await until(connection, FIRED, COUNT)
        ended = time.perf_counter()
        await until(connection, TOLD, COUNT)
        told = time.perf_counter()
        found = await figures(connection)
        late = await connection.fetchval("SELECT max(fire_time - due_time) FROM complaint_escalation")
    finally:
        workers.stop()
        await connection.close()
    same = {name: found[name] == expected[name] for name in ("escalations", "complaints", "events", "keys", "timers")}
    assert all(same.values()), f"not the same rows: {found} instead of {expected}"
    assert found["escalations"] == found["complaints"] == COUNT, found
    ratio = floor_seconds / (ended - began)
    after = ended - restarted
    say("clocks that are due in the same moment", COUNT, "clocks")
    say("fired when one of the two workers was killed", died_at, "clocks")
    say("from its restart to the last firing", after, "s", f"goal <= {LATE_GOAL:g} s", met=after <= LATE_GOAL)
    say("latest firing after its time", late.total_seconds(), "s")
    say("from the last firing to the last event on the stream", told - ended, "s")
    say("floor: one SQL loop, the same rows", COUNT / floor_seconds, "clocks/s")
    say("product: two workers and the relay, one killed", COUNT / (ended - began), "clocks/s")
    say("product / floor", ratio, "x", f"goal >= {RATIO_GOAL}", met=ratio >= RATIO_GOAL)
    return ratio >= RATIO_GOAL and after <= LATE_GOAL


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
