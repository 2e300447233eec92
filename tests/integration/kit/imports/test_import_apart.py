"""A large file is read in a process of its own: nothing else is different (GRP-05)."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import psutil
import pytest
from structlog.testing import capture_logs

from dealerloop.imports.v1 import imports_pb2 as pb
from kit.imports.mapping import ColumnMapping
from kit.imports.messages import Order, Pipes
from kit.imports.rows import Task
from kit.imports.runner import ImportRunner
from kit.imports.values import FileRefusedError
from tests.integration.kit.imports.parcels.faulty import EXIT_CODE, FaultyImporter
from tests.integration.kit.imports.parcels.importer import ParcelChecker, ParcelImporter
from tests.support.import_desk import LIMITS, Desk

State = pb.Import.State
APART = replace(LIMITS, apart_bytes=0)
CODES = [f"P{number:03}" for number in range(20)]
GOOD = "code,day\n" + "".join(f"{code},2026-01-01\n" for code in CODES)
MIXED = """单号,日期,重量,姓名
P1,2026-01-01,5000 kg,王伟
P2,soon,1,李娜
P1,2026-01-02,2,王伟
,2026-01-03,3,
P5,2026-01-04,4,
"""
_DEAD = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


@pytest.fixture
def apart(desk: Desk) -> Desk:
    desk.runner = ImportRunner(desk.context, [desk.importer], APART)
    return desk


def readers() -> list[psutil.Process]:
    """The reading processes of this one."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if one.status() not in _DEAD and "kit.imports.apart" in one.cmdline()]


def said(found: pb.Import) -> pb.Import:
    """What an import says of its file."""
    for field in ("name", "etag", "create_time", "expire_time"):
        found.ClearField(field)
    return found


async def test_a_file_read_apart_is_taken_over_whole(apart: Desk) -> None:
    done = await apart.bring(GOOD)

    assert (done.state, done.taken) == (State.STATE_DONE, len(CODES))
    assert await apart.codes() == CODES
    assert readers() == []


@pytest.mark.parametrize("content", [MIXED, GOOD, "code,day\n", 'code,day\nP1,"2026-01-01\n', "nothing,known\n1,2\n"])
async def test_the_same_is_said_of_a_file_wherever_it_is_read(desk: Desk, content: str) -> None:
    here = await desk.dry_run(content)
    desk.runner = ImportRunner(desk.context, [desk.importer], APART)
    there = await desk.dry_run(content)

    assert said(there) == said(here)


async def test_a_file_of_many_pieces_is_read_apart_from_its_beginning_to_its_end(apart: Desk) -> None:
    content = GOOD.encode()
    made = await apart.open()
    for offset in range(0, len(content), 50):
        piece = content[offset : offset + 50]
        await apart.append(made.name, piece, offset, last=offset + 50 >= len(content))
    await apart.work()

    assert await apart.codes() == CODES


async def test_a_process_that_ends_over_a_row_leaves_the_service_alive_and_the_file_refused(apart: Desk) -> None:
    importer = FaultyImporter()
    importer.ends_at = "P010"
    apart.runner = ImportRunner(apart.context, [importer], APART)
    made = await apart.open()
    await apart.append(made.name, GOOD.encode())

    with capture_logs() as logs:
        for _ in range(5):
            await apart.work()
            apart.clock.advance(timedelta(minutes=1))

    refused = await apart.get(made.name)
    assert (refused.state, refused.refusal_reason) == (State.STATE_REFUSED, "CHECK_FAILED")
    failures = [entry["exc_info"] for entry in logs if entry["event"] == "imports.failed"]
    assert [str(failure) for failure in failures] == [f"exit code {EXIT_CODE}"] * 5
    assert (await apart.left_behind(), readers()) == (0, [])


async def test_a_check_that_breaks_apart_says_where_and_is_tried_again(apart: Desk) -> None:
    importer = FaultyImporter()
    importer.breaks_at = "P010"
    apart.runner = ImportRunner(apart.context, [importer], APART)
    made = await apart.open()
    await apart.append(made.name, GOOD.encode())
    with capture_logs() as logs:
        await apart.work()
    importer.breaks_at = ""
    apart.clock.advance(timedelta(minutes=1))
    await apart.work()

    [failure] = [entry["exc_info"] for entry in logs if entry["event"] == "imports.failed"]
    assert "faulty.py" in "".join(failure.__notes__)
    assert (await apart.get(made.name)).state == State.STATE_DONE
    assert await apart.codes() == CODES


@pytest.mark.parametrize("asked", [0, 1], ids=["before it is asked for anything", "while it waits for a piece"])
def test_the_reading_process_ends_with_its_parent(asked: int) -> None:
    command = [sys.executable, "-m", "kit.imports.apart"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pipes = Pipes(process.stdout, process.stdin)
        if asked:
            task = Task("parcelImports", "bj-01", ParcelImporter.fields, ColumnMapping(), ParcelChecker("bj-01"), APART)
            pipes.send(Order(task, len(GOOD), 1))
            assert pipes.receive() == 0
        process.stdin.close()

        assert process.wait(timeout=60) == 0


def test_the_reading_process_loads_neither_a_database_nor_the_calls() -> None:
    heavy = ["sqlalchemy", "asyncpg", "grpc", "google.protobuf", "kit.vault"]
    program = f"import sys, kit.imports.apart; sys.exit(any(name in sys.modules for name in {heavy}))"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_refusal_is_the_same_in_another_process() -> None:
    refusal = pickle.loads(pickle.dumps(FileRefusedError("FILE_EMPTY", "There is no row in the file.")))

    assert (refusal.reason, refusal.message) == ("FILE_EMPTY", "There is no row in the file.")
    assert str(refusal) == "FILE_EMPTY: There is no row in the file."
