"""Every figure is recomputed from the responses; whatever was changed behind the product's back is found."""

from __future__ import annotations

import asyncio
import os
import sys
from argparse import ArgumentTypeError, Namespace
from asyncio.subprocess import PIPE
from pathlib import Path

import asyncpg
import pytest

from scoring.verifying.command import VERIFY, a_month
from tests.support.grade_desk import BEIJING, DELHI, MID_OCTOBER, OCTOBER, GradeDesk
from tests.support.scoring import NOON, a_response

ROOT = Path(__file__).parents[3]
GREETED, CONTRACT = "SSI.INIT.GREETED", "SSI.DEAL.CONTRACT"


async def some_history(desk: GradeDesk) -> None:
    """A closed and re-opened month of two stores, and a live one."""
    for number, store_id in ((1, BEIJING), (2, BEIJING), (3, DELHI)):
        await desk.hears(a_response(number, {GREETED: number, CONTRACT: 7}, store_id=store_id, submit_time=MID_OCTOBER))
    await desk.close()
    await desk.hears(
        a_response(4, {GREETED: 5}, submit_time=MID_OCTOBER), a_response(5, {GREETED: 2}, submit_time=NOON)
    )
    await desk.reopen()
    await desk.hears(a_response(6, {GREETED: 5}, submit_time=MID_OCTOBER))


async def tamper(desk: GradeDesk, table: str, change: str) -> None:
    """Changes rows as only the owner of the database can, with its guards switched off."""
    owner = await asyncpg.connect(desk.urls.migration_url)
    try:
        await owner.execute("select set_config('dealerloop.scope', 'group', false)")
        await owner.execute(f"alter table {table} disable trigger user")
        done = await owner.execute(change)
        assert not done.endswith(" 0"), change
    finally:
        await owner.close()


async def test_a_history_of_closings_recomputes_to_the_same_digits(
    desk: GradeDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    await some_history(desk)

    code = await VERIFY.run(desk.context, Namespace(month=None))

    said = capsys.readouterr().out
    assert code == 0
    assert said.splitlines() == [
        "12 responses and 28 cells recomputed in 2 months, 3 live grades and 3 closed grades: no differences."
    ]


@pytest.mark.parametrize(
    ("table", "change", "found"),
    [
        (
            "grade_cell",
            "update grade_cell set total = total + 1"
            " where month = '2026-10' and store_id = 'bj-01' and code = 'SSI.DEAL'",
            "2026-10 bj-01 live ssi-five-factor version 1 li.wei INTERVIEW_MODE_LINK SSI.DEAL total:"
            " stored 200000001, recomputed 200000000",
        ),
        (
            "grade_cell",
            "delete from grade_cell where code = 'SSI.DEAL' and store_id = 'del-01'",
            "n: stored 0, recomputed 1",
        ),
        ("response", "delete from response where month = '2026-11'", "n: stored 1, recomputed 0"),
        ("response", "update response set month = '2026-11' where store_id = 'del-01'", "2026-11 del-01 live"),
        (
            "closed_cells",
            "update closed_cells set top[1] = top[1] + 1 where revision = 2",
            "2026-10 bj-01 revision 2 ssi-five-factor version 1 li.wei INTERVIEW_MODE_LINK SSI top:"
            " stored 1, recomputed 0",
        ),
        (
            "counted_response",
            "delete from counted_response where store_id = 'del-01'",
            "2026-10 del-01 revision 1 responses: stored 1, recomputed 0",
        ),
        (
            "counted_response",
            "update counted_response set marks = replace(marks::text, '7', '6')::jsonb where revision = 1",
            "2026-10 bj-01 revision 1 index ssi-five-factor version 1 total",
        ),
        (
            "counted_response",
            """update counted_response set marks = '[["SSI.INIT.GREETED", "SCALE_7", 9]]' where store_id = 'del-01'""",
            "cannot be computed: MarkOutOfScale",
        ),
        (
            "closed_index",
            "update closed_index set n = n + 1 where revision = 2",
            "revision 2 index ssi-five-factor version 1 n",
        ),
        ("touched_response", "delete from touched_response", "2026-10 bj-01 live late changes: stored 0, recomputed 1"),
    ],
)
async def test_whatever_was_changed_is_told(
    desk: GradeDesk, capsys: pytest.CaptureFixture[str], table: str, change: str, found: str
) -> None:
    await some_history(desk)
    await tamper(desk, table, change)

    code = await VERIFY.run(desk.context, Namespace(month=None))

    said = capsys.readouterr().out
    assert code == 1
    assert found in said
    assert "no differences" not in said.splitlines()[-1]


async def test_one_month_can_be_verified_alone(desk: GradeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    await some_history(desk)
    await tamper(desk, "grade_cell", "update grade_cell set n = n + 1 where month = '2026-11'")

    assert await VERIFY.run(desk.context, Namespace(month=OCTOBER)) == 0
    assert await VERIFY.run(desk.context, Namespace(month="2026-11")) == 1


@pytest.mark.parametrize("text", ["2026-13", "october", "2026-1", ""])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        a_month(text)


async def test_it_is_a_command_of_the_service(desk: GradeDesk) -> None:
    await some_history(desk)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DEALERLOOP_")},
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("services", "gen", "")),
        "DEALERLOOP_DATABASE_URL": desk.urls.database_url,
        "DEALERLOOP_KEYS_DIR": str(desk.keys),
    }

    async def run(*arguments: str) -> tuple[int | None, str]:
        command = (sys.executable, "-m", "scoring", "verify", *arguments)
        process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=ROOT, stdout=PIPE, stderr=PIPE)
        said, complained = await process.communicate()
        return process.returncode, (said + complained).decode()

    assert await run() == (
        0,
        "12 responses and 28 cells recomputed in 2 months, 3 live grades and 3 closed grades: no differences.\n",
    )
    code, complaint = await run("--month", "2026-13")
    assert code == 2
    assert "is not a month such as 2026-03" in complaint
