"""Whatever ends in the middle: exactly the confirmed set is taken (GRP-05)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from dealerloop.imports.v1 import imports_pb2 as pb
from kit.db.engine import raw_connection
from kit.imports.runner import ImportRunner
from kit.imports.values import Draft, Remark
from tests.integration.kit.imports.parcels.importer import ParcelImporter
from tests.support.import_desk import LIMITS, Desk

State = pb.Import.State
CODES = [f"P{number:03}" for number in range(20)]
CONTENT = "code,day\n" + "".join(f"{code},2026-01-01\n" for code in CODES)
_PROGRAM = """
import asyncio, sys
from kit.service import KitContext
from kit.settings import KitSettings
from pathlib import Path
from tests.support.import_desk import LIMITS
from tests.integration.kit.imports.parcels.importer import ParcelImporter
from kit.imports.runner import ImportRunner

async def main():
    settings = KitSettings(database_url=sys.argv[1], keys_dir=Path(sys.argv[2]), pool_size=4)
    context = await KitContext.open(settings, "parcels")
    while await ImportRunner(context, [ParcelImporter()], LIMITS).work_once():
        pass

asyncio.run(main())
"""


async def killed_at(desk: Desk, place: str) -> None:
    """Runs the work in a process of its own, which ends at the failpoint."""
    desk.clock.advance(timedelta(days=-3650))  # the other process has a real clock, which must be behind nothing
    settings = desk.context.settings
    environment = {**os.environ, "DEALERLOOP_FAILPOINT": place, "PYTHONPATH": "services:gen:."}
    root = Path(__file__).parents[4]
    command = [sys.executable, "-c", _PROGRAM, settings.database_url, str(settings.keys_dir)]
    run = await asyncio.to_thread(
        subprocess.run, command, env=environment, cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    desk.clock.advance(timedelta(days=3650))


@pytest.mark.parametrize("place", ["import_taking:3", "import_taken:3"])
async def test_a_crash_while_taking_over_goes_on_to_exactly_the_confirmed_set(desk: Desk, place: str) -> None:
    found = await desk.dry_run(CONTENT)
    # Good in the meantime, but not confirmed: it must not come in.
    await desk.confirm(found.name)
    await killed_at(desk, place)
    taken = len(await desk.codes())
    assert 0 < taken < len(CODES)

    await desk.another_runner().work_once()

    done = await desk.get(found.name)
    assert (done.state, done.taken) == (State.STATE_DONE, len(CODES))
    assert await desk.codes() == CODES
    assert await desk.left_behind() == 0


async def test_a_crash_while_checking_begins_the_check_again(desk: Desk) -> None:
    made = await desk.open(validate_only=True)
    await desk.append(made.name, CONTENT.encode())
    await killed_at(desk, "import_checked:3")
    half = await desk.get(made.name)
    assert half.state == State.STATE_CHECKING
    assert 0 < half.row_count < len(CODES)

    await desk.work()

    found = await desk.get(made.name)
    assert (found.state, found.row_count, found.taken) == (State.STATE_CHECKED, len(CODES), len(CODES))


async def test_a_file_that_ends_every_process_that_checks_it_is_given_up(desk: Desk) -> None:
    made = await desk.open(validate_only=True)
    await desk.append(made.name, CONTENT.encode())
    await desk.rows("UPDATE import_job SET run = 10 RETURNING run")

    await desk.work()

    found = await desk.get(made.name)
    assert (found.state, found.refusal_reason) == (State.STATE_REFUSED, "CHECK_FAILED")
    assert await desk.left_behind() == 0


class _Strict(ParcelImporter):
    async def take(
        self, session: AsyncSession, drafts: Sequence[Draft], source: str, now: datetime
    ) -> Mapping[int, Remark]:
        await (await raw_connection(session)).execute("SELECT 'Wang Wei'::int")
        return await super().take(session, drafts, source, now)


async def test_what_the_database_repeats_of_a_row_is_not_logged(desk: Desk) -> None:
    found = await desk.dry_run(CONTENT)
    await desk.confirm(found.name)

    with capture_logs() as logged:
        await ImportRunner(desk.context, [_Strict()], LIMITS).work_once()

    assert [one["event"] for one in logged] == ["imports.failed"]
    assert "Wang Wei" not in str(logged)


async def test_two_runners_at_once_take_each_row_once(desk: Desk) -> None:
    found = await desk.dry_run(CONTENT)
    await desk.confirm(found.name)

    runners = [desk.another_runner() for _ in range(3)]
    await asyncio.gather(*(runner.work_once() for runner in runners))
    await desk.work()

    done = await desk.get(found.name)
    assert (done.state, done.taken, done.unchanged, done.rejected) == (State.STATE_DONE, len(CODES), 0, 0)


async def test_two_runners_do_not_check_one_file_together(desk: Desk) -> None:
    made = await desk.open(validate_only=True)
    await desk.append(made.name, CONTENT.encode())

    worked = await asyncio.gather(*(desk.another_runner().work_once() for _ in range(3)))
    await desk.work()

    assert sum(worked) >= 1
    found = await desk.get(made.name)
    assert (found.state, found.row_count, found.taken) == (State.STATE_CHECKED, len(CODES), len(CODES))


async def test_a_batch_that_fails_is_tried_again_and_what_came_before_stays(desk: Desk) -> None:
    found = await desk.dry_run(CONTENT)
    await desk.confirm(found.name)
    desk.importer.fail_at_code = CODES[7]
    await desk.work()
    # Batches are taken side by side: some behind the broken one may be there, but nothing of that one itself.
    taken = await desk.codes()
    assert set(CODES[:6]) <= set(taken) <= set(CODES) - set(CODES[6:9])
    assert (await desk.get(found.name)).progress_percent == 100 * len(taken) // len(CODES)

    desk.importer.fail_at_code = ""
    await desk.work()
    assert await desk.codes() == taken  # not before its time

    desk.clock.advance(timedelta(seconds=2))
    await desk.work()
    assert sorted(await desk.codes()) == sorted(CODES)


async def test_an_import_can_be_cancelled_while_it_is_being_taken_over(desk: Desk) -> None:
    found = await desk.dry_run(CONTENT)
    await desk.confirm(found.name)
    desk.importer.fail_at_code = CODES[7]
    await desk.work()

    cancelled = await desk.cancel(found.name)
    taken = await desk.codes()
    desk.importer.fail_at_code = ""
    desk.clock.advance(timedelta(hours=1))
    await desk.work()

    assert set(CODES[:6]) <= set(taken) <= set(CODES) - set(CODES[6:9])
    assert (cancelled.state, cancelled.taken) == (State.STATE_CANCELLED, len(taken))
    assert (await desk.codes(), await desk.left_behind()) == (taken, 0)


async def test_an_import_that_is_cancelled_while_it_is_being_checked_stays_cancelled(desk: Desk) -> None:
    made = await desk.open()
    await desk.append(made.name, CONTENT.encode())
    desk.importer.while_preparing = lambda: desk.cancel(made.name)
    await desk.work()

    assert (await desk.get(made.name)).state == State.STATE_CANCELLED
    assert (await desk.codes(), await desk.left_behind()) == ([], 0)


async def test_a_check_that_always_breaks_ends_with_a_word(desk: Desk) -> None:
    made = await desk.open()
    await desk.append(made.name, CONTENT.encode())

    async def break_down() -> None:
        raise RuntimeError("the importer broke")

    desk.importer.while_preparing = break_down
    for _ in range(5):
        await desk.work()
        desk.clock.advance(timedelta(minutes=1))

    refused = await desk.get(made.name)
    assert (refused.state, refused.refusal_reason) == (State.STATE_REFUSED, "CHECK_FAILED")
    assert await desk.left_behind() == 0


async def test_a_runner_works_by_itself_when_it_is_rung_and_stops_in_between(desk: Desk) -> None:
    runner = desk.another_runner()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(runner.run())
        made = await desk.open()
        await desk.append(made.name, CONTENT.encode())
        while (await desk.get(made.name)).state != State.STATE_DONE:  # noqa: ASYNC110 - as a client would
            await asyncio.sleep(0.02)
        runner.stop()
        await running
    assert await desk.codes() == CODES
