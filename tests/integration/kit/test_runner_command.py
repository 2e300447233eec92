"""The command line of a service, in a process of its own."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from kit.keys import create_key_directory
from tests.integration.kit.sample.app import NAME
from tests.support.postgres import DatabaseUrls

ROOT = Path(__file__).parents[3]


def environment_for(database: DatabaseUrls, nats_url: str, tmp_path: Path) -> dict[str, str]:
    create_key_directory(tmp_path / "keys", ["gateway", NAME])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEALERLOOP_")}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("services", "gen", "")),
        "DEALERLOOP_DATABASE_URL": database.database_url,
        "DEALERLOOP_MIGRATION_DATABASE_URL": database.migration_url,
        "DEALERLOOP_NATS_URL": nats_url,
        "DEALERLOOP_KEYS_DIR": str(tmp_path / "keys"),
        "DEALERLOOP_METRICS_LISTEN": "127.0.0.1:0",
        "DEALERLOOP_HTTP_LISTEN": "127.0.0.1:0",
    }


@pytest.fixture
def environment(sample_urls: DatabaseUrls, nats_url: str, tmp_path: Path) -> dict[str, str]:
    return environment_for(sample_urls, nats_url, tmp_path)


@pytest.fixture
def unmigrated(empty_database: DatabaseUrls, nats_url: str, tmp_path: Path) -> dict[str, str]:
    return environment_for(empty_database, nats_url, tmp_path)


async def test_an_operator_begins_a_new_epoch_after_a_restore(
    environment: dict[str, str], sample_urls: DatabaseUrls
) -> None:
    code, said, _ = await outcome(environment, "epoch", "restored from Friday's backup")

    connection = await asyncpg.connect(sample_urls.database_url)
    try:
        epoch, reason = await connection.fetchrow("SELECT epoch, reason FROM epoch")
    finally:
        await connection.close()
    assert code == 0
    assert f"Epoch {epoch} of {NAME} has begun" in said
    assert epoch > 1
    assert reason == "restored from Friday's backup"


async def spawn(environment: dict[str, str], *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.kit.sample",
        *arguments,
        cwd=ROOT,
        env=environment,
        stdout=PIPE,
        stderr=PIPE,
    )


async def outcome(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    process = await spawn(environment, *arguments)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def line_with(process: Process, event: str) -> dict[str, object]:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while line := await process.stdout.readline():
            entry: dict[str, object] = json.loads(line)
            if entry["event"] == event:
                return entry
    raise AssertionError(f"the process ended without {event}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly(environment: dict[str, str], number: signal.Signals) -> None:
    process = await spawn(environment, "all")
    started = await line_with(process, "service.started")
    async with httpx.AsyncClient() as client:
        page = await client.get(f"http://127.0.0.1:{started['http_port']}/")
    process.send_signal(number)
    stopped = await line_with(process, "service.stopped")
    _, err = await process.communicate()

    assert page.text == "hello from sample"
    assert stopped["service"] == "sample"
    assert (process.returncode, err) == (0, b"")


async def test_it_can_be_stopped_while_it_waits_for_nats(environment: dict[str, str]) -> None:
    process = await spawn({**environment, "DEALERLOOP_NATS_URL": "nats://127.0.0.1:9"}, "all")
    await line_with(process, "nats.waiting")

    process.terminate()
    await process.communicate()

    assert process.returncode == 0


async def test_an_idle_service_is_small_and_quiet(environment: dict[str, str]) -> None:
    process = await spawn(environment, "all")
    await line_with(process, "service.started")
    measured = psutil.Process(process.pid)
    await asyncio.sleep(1)
    before = measured.cpu_times()
    await asyncio.sleep(3)
    after = measured.cpu_times()

    process.terminate()
    memory = measured.memory_info().rss
    await process.communicate()

    # All five together stay under 700 MB and 3 % of a core; the sample also carries the web server.
    assert memory < 150e6
    assert (after.user + after.system - before.user - before.system) / 3 < 0.05


async def test_every_configuration_error_is_said_at_once_and_no_secret_with_it(environment: dict[str, str]) -> None:
    wrong = {
        **environment,
        "DEALERLOOP_DATABASE_URL": "mysql://root:geheim@db/x",
        "DEALERLOOP_RPC_LISTEN": "everywhere",
        "DEALERLOOP_TRACE_SAMPLE": "2",
    }
    del wrong["DEALERLOOP_KEYS_DIR"]

    code, _, err = await outcome(wrong, "all")

    assert code == 2
    for name in ("DATABASE_URL", "RPC_LISTEN", "TRACE_SAMPLE", "KEYS_DIR"):
        assert f"DEALERLOOP_{name}" in err
    assert "geheim" not in err
    assert "Traceback" not in err


async def test_an_unmigrated_database_is_said_plainly_and_migrate_helps(unmigrated: dict[str, str]) -> None:
    code, _, err = await outcome(unmigrated, "rpc")
    assert (code, "run `python -m sample migrate` first" in err) == (2, True)

    assert (await outcome(unmigrated, "migrate"))[0] == 0

    process = await spawn(unmigrated, "rpc")
    await line_with(process, "service.started")
    process.terminate()
    await process.communicate()


async def test_missing_keys_are_said_plainly(environment: dict[str, str], tmp_path: Path) -> None:
    code, _, err = await outcome({**environment, "DEALERLOOP_KEYS_DIR": str(tmp_path / "nowhere")}, "rpc")

    assert (code, "nowhere" in err, "Traceback" in err) == (2, True, False)


async def test_dead_letters_are_listed_on_the_command_line_without_anything_else(environment: dict[str, str]) -> None:
    assert await outcome(environment, "dlq", "list") == (0, "There are no dead letters.\n", "")


async def test_events_are_told_again_on_the_command_line(
    environment: dict[str, str], sample_urls: DatabaseUrls
) -> None:
    connection = await asyncpg.connect(sample_urls.database_url)
    try:
        await connection.execute(
            "INSERT INTO outbox (id, key, subject, type, payload, create_time, publish_time)"
            " VALUES (uuidv7(), 'k', '.v1.audit.a.recorded', $1, '', now(), now())",
            ActionRecorded.DESCRIPTOR.full_name,
        )
        said = await outcome(environment, "republish", "ActionRecorded", "--since", "2026-03-02")

        waiting = await connection.fetchval("SELECT count(*) FROM outbox WHERE publish_time IS NULL")
    finally:
        await connection.close()
    assert said == (0, "1 events since 2026-03-02T00:00:00+00:00 are told again, by the running service.\n", "")
    assert waiting == 1


@pytest.mark.parametrize("since", ["yesterday", "2026-02-30", ""])
async def test_a_time_that_is_none_is_refused(environment: dict[str, str], since: str) -> None:
    code, _, err = await outcome(environment, "republish", "ActionRecorded", "--since", since)

    assert code == 2
    assert "is neither a day" in err
