"""What a person can tell again at the terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from dealerloop.sales.events.v1.events_pb2 import DeliveryRecorded
from kit.clock import ManualClock
from kit.db.scope import Scope
from kit.keys import create_key_directory
from kit.messaging import outbox
from kit.service import KitContext
from kit.service.republishing import UNKNOWN_EVENT, events_of, instant, run
from kit.settings import KitSettings
from tests.integration.kit.sample.app import NAME
from tests.support.postgres import DatabaseUrls

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
async def context(sample_urls: DatabaseUrls, nats_url: str, tmp_path: Path) -> KitContext:
    create_key_directory(tmp_path, [NAME])
    settings = KitSettings(database_url=sample_urls.database_url, nats_url=nats_url, keys_dir=tmp_path)
    return await KitContext.open(settings, NAME, clock=ManualClock(NOW))


async def published(context: KitContext, *names: str, at: datetime = NOW) -> None:
    async with context.database.transaction(Scope.system("test")) as session:
        for name in names:
            await outbox.add(session, ActionRecorded(action_id=name, store_id="bj-01"), key=name, now=at)
    async with context.database.transaction(Scope.system("test")) as session:
        await session.execute(text("UPDATE outbox SET publish_time = create_time"))


async def waiting(context: KitContext) -> list[str]:
    async with context.database.transaction(Scope.system("test")) as session:
        rows = await session.scalars(text("SELECT key FROM outbox WHERE publish_time IS NULL ORDER BY position"))
        return list(rows)


async def test_published_events_are_told_again_in_their_order_and_counted(
    context: KitContext, capsys: pytest.CaptureFixture[str]
) -> None:
    await published(context, "old", at=NOW - timedelta(seconds=1))
    await published(context, "first", "second")

    code = await run(context, ["ActionRecorded", "dealerloop.audit.v1.ActionRecorded"], NOW)

    assert code == 0
    assert "2 events since 2026-03-02T08:00:00+00:00 are told again" in capsys.readouterr().out
    assert await waiting(context) == ["first", "second"]
    await context.close()


async def test_a_dry_run_counts_and_tells_nothing(context: KitContext, capsys: pytest.CaptureFixture[str]) -> None:
    await published(context, "first", "second")

    code = await run(context, ["ActionRecorded"], NOW, dry_run=True)

    assert code == 0
    assert "2 events since 2026-03-02T08:00:00+00:00 would be told again" in capsys.readouterr().out
    assert await waiting(context) == []
    await context.close()


async def test_an_unknown_event_is_answered_with_those_that_there_are_and_nothing_is_told(
    context: KitContext, capsys: pytest.CaptureFixture[str]
) -> None:
    await published(context, "first")

    code = await run(context, ["ActionRecorded", "DeliveryRecorded", "Nonsense"], NOW)

    said = capsys.readouterr()
    assert code == UNKNOWN_EVENT
    assert "sample tells no DeliveryRecorded, Nonsense" in said.err
    assert "dealerloop.audit.v1.ActionRecorded" in said.err
    assert said.out == ""
    assert await waiting(context) == []
    await context.close()


def test_a_service_tells_its_own_events_and_those_of_everybody() -> None:
    events = list(events_of("sales"))

    assert DeliveryRecorded in events
    assert events[-1] is ActionRecorded
    assert {event.DESCRIPTOR.full_name.split(".")[1] for event in events} == {"sales", "audit"}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
        ("2026-03-02T08:00", NOW),
        ("2026-03-02T08:00Z", NOW),
        ("2026-03-02T16:00+08:00", NOW),
    ],
)
def test_a_time_without_a_zone_is_utc(given: str, meant: datetime) -> None:
    assert instant(given) == meant
