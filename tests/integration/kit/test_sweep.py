"""The sweeper removes what is past its time, and nothing else."""

from datetime import UTC, datetime, timedelta

from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.ids import new_id
from kit.service.sweep import sweep

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
OUTBOX = (
    "INSERT INTO outbox (id, key, subject, type, payload, create_time, publish_time)"
    " VALUES ($1, 'k', 's', $2, '', $3, $4)"
)


async def put_event(database: Database, name: str, made: timedelta, published: timedelta | None) -> None:
    async with database.transaction(Scope.system("test")) as session:
        raw = await raw_connection(session)
        publish_time = None if published is None else NOW - published
        await raw.execute(OUTBOX, new_id(NOW - made), name, NOW - made, publish_time)


async def column(database: Database, query: str) -> list[str]:
    async with database.transaction(Scope.system("test")) as session:
        return [row[0] for row in await (await raw_connection(session)).fetch(query)]


async def test_published_events_go_after_thirty_days_and_unpublished_ones_never(database: Database) -> None:
    day = timedelta(days=1)
    await put_event(database, "old", 31 * day, 31 * day)
    await put_event(database, "young", 29 * day, 29 * day)
    await put_event(database, "published late", 40 * day, 29 * day)
    await put_event(database, "never published", 90 * day, None)

    gone = await sweep(database, NOW)

    assert gone["outbox"] == 1
    assert await column(database, "SELECT type FROM outbox ORDER BY type") == [
        "never published",
        "published late",
        "young",
    ]


async def test_inbox_and_idempotency_have_times_of_their_own_and_go_in_small_steps(database: Database) -> None:
    async with database.transaction(Scope.system("test")) as session:
        raw = await raw_connection(session)
        for age, count in ((timedelta(days=46), 25), (timedelta(days=44), 3)):
            await raw.execute(
                "INSERT INTO inbox SELECT 'c', gen_random_uuid(), $1 FROM generate_series(1, $2::int)", NOW - age, count
            )
        for age, count in ((timedelta(hours=49), 12), (timedelta(hours=47), 2)):
            await raw.execute(
                "INSERT INTO idempotency SELECT 'staff/a', 'm', gen_random_uuid()::text, '', NULL, $1"
                " FROM generate_series(1, $2::int)",
                NOW - age,
                count,
            )

    gone = await sweep(database, NOW, at_once=10)

    assert gone == {"outbox": 0, "inbox": 25, "idempotency": 12}
    assert len(await column(database, "SELECT consumer FROM inbox")) == 3
    assert len(await column(database, "SELECT caller FROM idempotency")) == 2
    assert (await sweep(database, NOW)) == {"outbox": 0, "inbox": 0, "idempotency": 0}
