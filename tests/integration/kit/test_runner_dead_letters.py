"""What a person can do with dead letters at the terminal."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from nats.js.client import JetStreamContext
from sqlalchemy import text

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from kit.clock import ManualClock
from kit.db.scope import Scope
from kit.ids import new_id
from kit.keys import create_key_directory
from kit.messaging.event import headers_for
from kit.messaging.streams import ensure_dlq
from kit.service import KitContext
from kit.service.dead_letters import run
from kit.settings import KitSettings
from tests.integration.kit.sample.app import NAME, build
from tests.support.postgres import DatabaseUrls

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SUBJECT = "sample.v1.audit.letter.recorded"


@pytest.fixture
async def context(sample_urls: DatabaseUrls, nats_url: str, tmp_path: Path) -> KitContext:
    create_key_directory(tmp_path, [NAME])
    settings = KitSettings(database_url=sample_urls.database_url, nats_url=nats_url, keys_dir=tmp_path)
    return await KitContext.open(settings, NAME, clock=ManualClock(NOW))


async def set_aside(jetstream: JetStreamContext, subscription: str = "notes") -> None:
    await ensure_dlq(jetstream)
    headers = headers_for(
        event_id=new_id(NOW),
        type_name=ActionRecorded.DESCRIPTOR.full_name,
        source=NAME,
        subject=SUBJECT,
        time=NOW,
        epoch=1,
        key="k",
        trace=None,
    )
    facts = {"reason": "GAVE_UP", "subject": SUBJECT, "sequence": "1", "attempts": "9"}
    headers |= {f"dealerloop-dlq-{name}": value for name, value in facts.items()}
    event = ActionRecorded(action_id="letter", store_id="bj-01")
    await jetstream.publish(f"dlq.sample.{subscription}", event.SerializeToString(), headers=headers)


async def test_a_letter_is_listed_and_shown_and_dropped(
    context: KitContext, jetstream: JetStreamContext, capsys: pytest.CaptureFixture[str]
) -> None:
    await set_aside(jetstream)
    service = build(context)

    assert await run(service, context, "list", 0) == 0
    assert "GAVE_UP" in capsys.readouterr().out
    assert await run(service, context, "show", 1) == 0
    assert "subscription: notes" in capsys.readouterr().out
    assert await run(service, context, "drop", 77) == 1
    assert await run(service, context, "drop", 1) == 0
    assert await run(service, context, "list", 0) == 0
    assert "There are no dead letters." in capsys.readouterr().out
    await context.close()


async def test_a_letter_is_handled_again_once(
    context: KitContext, jetstream: JetStreamContext, capsys: pytest.CaptureFixture[str]
) -> None:
    await set_aside(jetstream)
    service = build(context)

    assert await run(service, context, "retry", 1) == 0
    assert "is handled" in capsys.readouterr().out
    async with context.database.transaction(Scope.group()) as session:
        assert (await session.execute(text("SELECT body FROM note"))).scalars().all() == ["letter"]
    assert await run(service, context, "retry", 1) == 1
    await context.close()


async def test_a_letter_of_a_subscription_that_is_gone_stays(
    context: KitContext, jetstream: JetStreamContext, capsys: pytest.CaptureFixture[str]
) -> None:
    await set_aside(jetstream, "former")
    service = build(context)

    assert await run(service, context, "retry", 1) == 1
    assert "no subscription former" in capsys.readouterr().err
    assert await run(service, context, "show", 1) == 0
    await context.close()
