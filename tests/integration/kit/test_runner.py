"""The runner: a tiny service with all its parts, started and stopped as in production."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from dealerloop.gateway.v1.audit_pb2 import ListAuditRecordsRequest, ListAuditRecordsResponse
from kit.clock import ManualClock
from kit.db.migrate import upgrade_async
from kit.db.schema import SchemaBehindError
from kit.db.scope import Scope
from kit.errors import PermissionDenied, Unavailable
from kit.keys import create_key_directory, load_signing_key
from kit.messaging.subscription import Batch, Subscription
from kit.rpc.client import Peer
from kit.rpc.principal import Assignment
from kit.rpc.server import PortTaken
from kit.rpc.tokens import TokenSigner
from kit.service import KitContext, Running
from kit.service.running import Parts
from kit.settings import KitSettings
from kit.timers import schedule
from tests.integration.kit.sample import migrations
from tests.integration.kit.sample.app import NAME, STREAM, build, write_down
from tests.support.postgres import DatabaseUrls

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LIST = "dealerloop.gateway.v1.AuditService/ListAuditRecords"


@pytest.fixture
def settings(sample_urls: DatabaseUrls, nats_url: str, tmp_path: Path) -> KitSettings:
    create_key_directory(tmp_path / "keys", ["gateway", NAME])
    return KitSettings(
        database_url=sample_urls.database_url,
        nats_url=nats_url,
        keys_dir=tmp_path / "keys",
        http_listen="127.0.0.1:0",
        metrics_listen="127.0.0.1:0",
        pool_size=4,
        stop_grace_seconds=5,
    )


@pytest.fixture
async def context(settings: KitSettings) -> AsyncIterator[KitContext]:
    context = await KitContext.open(settings, NAME, clock=ManualClock(NOW))
    yield context
    await context.close()


@pytest.fixture
async def reader(settings: KitSettings, context: KitContext) -> AsyncIterator[Callable[[int], Awaitable[list[str]]]]:
    signer = TokenSigner("gateway", load_signing_key(settings.keys_dir, "gateway"), context.clock)
    token = signer.user_token("li.wei", [Assignment("ROLE_READER", frozenset({"bj-01"}))], timedelta(minutes=15))
    peers: list[Peer] = []

    async def notes(port: int) -> list[str]:
        peers.append(peer := Peer(f"127.0.0.1:{port}", signer, service=NAME))
        found = await peer.call(LIST, ListAuditRecordsRequest(), ListAuditRecordsResponse, timeout=5, token=token)
        return [record.name for record in found.audit_records]

    yield notes
    for peer in peers:
        await peer.close()


Reader = Callable[[int], Awaitable[list[str]]]


async def set_timer(context: KitContext, key: str, store_id: str = "bj-01") -> None:
    async with context.database.transaction(Scope.system("test")) as session:
        await schedule(session, "ring", key, NOW, {"store_id": store_id})


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in the database
            await asyncio.sleep(0.02)


async def test_everything_runs_from_a_timer_to_an_answer_and_stops_in_order(
    context: KitContext, reader: Reader
) -> None:
    running = Running(build(context), context)
    await running.start()
    try:
        await set_timer(context, "first")
        await set_timer(context, "foreign", "sh-01")

        async def arrived() -> bool:
            return await reader(running.rpc_port) == ["first"]

        await eventually(arrived)
        async with httpx.AsyncClient() as client:
            page = await client.get(f"http://127.0.0.1:{running.http_port}/")
            ready = await client.get(f"http://127.0.0.1:{running.probe_port}/readyz")
            metrics = await client.get(f"http://127.0.0.1:{running.probe_port}/metrics")
            missing = await client.get(f"http://127.0.0.1:{running.probe_port}/secret")
        assert page.text == "hello from sample"
        assert (ready.status_code, missing.status_code) == (200, 404)
        assert "dealerloop_outbox_published_total" in metrics.text
    finally:
        await running.stop()

    with pytest.raises(Unavailable):
        await reader(running.rpc_port)
    assert len([task for task in asyncio.all_tasks() if task.get_name().startswith("sample.")]) == 0
    await running.stop()


async def test_a_test_can_drain_the_parts_itself(context: KitContext, reader: Reader) -> None:
    running = Running(build(context), context)
    await running.start(pump=False)
    try:
        await set_timer(context, "drained")
        assert running.timer_worker is not None
        assert running.relay is not None

        assert await running.timer_worker.fire_due() == 1
        assert await running.relay.publish_once() == 1
        assert await running.consumers[0].drain_once() == 1

        assert await reader(running.rpc_port) == ["drained"]
    finally:
        await running.stop()


async def test_a_stop_in_mid_work_finishes_it_and_hands_the_rest_to_the_next_process(
    context: KitContext, settings: KitSettings, reader: Reader
) -> None:
    handling = asyncio.Event()

    async def slowly(batch: Batch) -> None:
        handling.set()
        await asyncio.sleep(0.3)
        await write_down(batch)

    slow = Subscription("notes", STREAM, (ActionRecorded,), slowly, batch_size=5, source_service=NAME)
    running = Running(replace(build(context), subscriptions=[slow]), context)
    await running.start()
    try:
        for number in range(20):
            await set_timer(context, f"{number:02}")
        await handling.wait()
        listing = asyncio.ensure_future(reader(running.rpc_port))
        await asyncio.sleep(0.05)
    finally:
        await running.stop()
    assert await listing == []
    async with context.database.transaction(Scope.group()) as session:
        done = (await session.execute(text("SELECT count(*) FROM note"))).scalar_one()
    assert 0 < done < 20

    other = await KitContext.open(settings, NAME, clock=context.clock)
    following = Running(build(other), other)
    await following.start()
    try:

        async def everything_arrived() -> bool:
            return await reader(following.rpc_port) == [f"{number:02}" for number in range(20)]

        # Well before the acknowledgement time of 30 s: the rest was given back, not left to expire.
        await eventually(everything_arrived, seconds=15)
    finally:
        await following.stop()
        await other.close()


async def test_rpc_and_worker_are_two_processes_that_wake_each_other(
    context: KitContext, settings: KitSettings, reader: Reader
) -> None:
    other = await KitContext.open(settings, NAME, clock=context.clock)
    rpc = Running(build(context), context, Parts.RPC)
    worker = Running(build(other), other, Parts.WORKER)
    await rpc.start()
    await worker.start()
    try:
        assert rpc.consumers == []
        assert worker.rpc_port == 0
        await set_timer(context, "across")

        async def arrived() -> bool:
            return await reader(rpc.rpc_port) == ["across"]

        await eventually(arrived)
    finally:
        await worker.stop()
        await rpc.stop()
        await other.close()


async def test_calls_are_answered_while_nats_is_away(
    context: KitContext, settings: KitSettings, reader: Reader
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = f"nats://127.0.0.1:{nobody.getsockname()[1]}"
    lonely = await KitContext.open(settings.model_copy(update={"nats_url": away}), NAME, clock=context.clock)
    running = Running(build(lonely), lonely)
    starting = asyncio.create_task(running.start())
    try:

        async def serving() -> bool:
            return running.rpc_port != 0

        await eventually(serving)
        assert await reader(running.rpc_port) == []
        async with httpx.AsyncClient() as client:
            ready = await client.get(f"http://127.0.0.1:{running.probe_port}/readyz")
        assert ready.status_code == 503
    finally:
        starting.cancel()
        await asyncio.wait([starting])
        await lonely.close()


async def test_a_database_that_is_too_old_is_said_before_anything_is_served(
    sample_urls: DatabaseUrls, settings: KitSettings
) -> None:
    connection = await asyncpg.connect(sample_urls.migration_url)
    await connection.execute("UPDATE alembic_version SET version_num = '0001'")
    await connection.close()
    context = await KitContext.open(settings, NAME)
    running = Running(build(context), context)
    try:
        with pytest.raises(SchemaBehindError, match="python -m sample migrate"):
            await running.start()
        assert running.rpc_port == 0
    finally:
        await context.close()


async def test_a_newer_database_is_no_hindrance_for_an_older_program(
    sample_urls: DatabaseUrls, context: KitContext
) -> None:
    connection = await asyncpg.connect(sample_urls.migration_url)
    await connection.execute("UPDATE alembic_version SET version_num = '0099'")
    await connection.close()
    running = Running(build(context), context)

    await running.start()

    await running.stop()


EXPAND = """
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade():
    op.execute("ALTER TABLE note ADD COLUMN mood text")
    op.execute("UPDATE note SET mood = 'calm'")
    op.execute("ALTER TABLE note ALTER mood SET DEFAULT 'calm', ALTER mood SET NOT NULL")
    op.execute("CREATE INDEX note_mood_idx ON note (store_id, mood)")
    op.execute("ALTER TABLE outbox ADD COLUMN origin text NOT NULL DEFAULT ''")
    op.execute("ALTER TABLE timer ADD COLUMN origin text NOT NULL DEFAULT ''")
"""


async def test_a_running_program_goes_on_while_its_database_is_upgraded(
    sample_urls: DatabaseUrls, context: KitContext, reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = tmp_path / "next_release" / "migrations" / "versions"
    shutil.copytree(
        Path(next(iter(migrations.__path__))), versions.parent, ignore=shutil.ignore_patterns("__pycache__")
    )
    (versions / "0003_moody_notes.py").write_text(EXPAND)
    monkeypatch.syspath_prepend(tmp_path)
    running = Running(build(context), context)
    await running.start()
    done = asyncio.Event()
    keys: list[str] = []

    async def work() -> None:
        while not done.is_set() or len(keys) < 10:
            keys.append(f"{len(keys):04}")
            await set_timer(context, keys[-1])
            await reader(running.rpc_port)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            await eventually(lambda: _is(len(keys) > 3))
            await upgrade_async(sample_urls.migration_url, "next_release")
            before = len(keys)
            await eventually(lambda: _is(len(keys) > before + 3))
            done.set()

        async def arrived() -> bool:
            return await reader(running.rpc_port) == keys

        await eventually(arrived)
    finally:
        await running.stop()
    async with context.database.transaction(Scope.group()) as session:
        assert (await session.execute(text("SELECT count(*) FROM note WHERE mood = 'calm'"))).scalar() == len(keys)


async def _is(fact: bool) -> bool:
    return fact


async def test_a_taken_port_stops_the_start_and_leaves_nothing_running(
    context: KitContext, settings: KitSettings
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        blocked = settings.model_copy(update={"http_listen": f"127.0.0.1:{taken.getsockname()[1]}"})
        other = await KitContext.open(blocked, NAME, clock=context.clock)
        running = Running(build(other), other)
        with pytest.raises(PortTaken):
            await running.start()
        await other.close()

    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("sample.")]


async def test_a_part_that_fails_ends_the_wait_of_the_runner(context: KitContext) -> None:
    running = Running(build(context), context)
    await running.start()
    try:
        assert running.timer_worker is not None

        async def broken() -> None:
            raise ZeroDivisionError

        running._spawn(broken(), "broken")
        with pytest.raises(ExceptionGroup) as caught:
            await running.wait()
        assert caught.group_contains(ZeroDivisionError)
    finally:
        await running.stop()


async def test_a_caller_without_the_role_is_refused(context: KitContext, settings: KitSettings) -> None:
    running = Running(build(context), context)
    await running.start(pump=False)
    signer = TokenSigner("gateway", load_signing_key(settings.keys_dir, "gateway"), context.clock)
    peer = Peer(f"127.0.0.1:{running.rpc_port}", signer, service=NAME)
    try:
        token = signer.user_token("li.wei", [], timedelta(minutes=15))
        with pytest.raises(PermissionDenied):
            await peer.call(LIST, ListAuditRecordsRequest(), ListAuditRecordsResponse, timeout=5, token=token)
    finally:
        await peer.close()
        await running.stop()
