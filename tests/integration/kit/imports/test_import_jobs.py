"""Files on their way in, over the edge and the database: dry run, confirmation, taking over (GRP-05)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from dealerloop.imports.v1 import imports_pb2 as pb
from dealerloop.sales.v1 import imports_pb2 as sales_pb
from kit.errors import Conflict, InvalidArgument, NotFound, StaleEtag
from kit.rpc.edge import RpcService, bind
from tests.support.import_desk import STORE, Desk
from tests.support.workbooks import workbook

State = pb.Import.State
GOOD = "code,day,weight\nA,2026-01-01,10\nB,2026-01-02,2000\nC,2026-01-03,\nD,2026-01-04,7\n"
MIXED = "code,day,owner\nA,2026-01-01,Li\nB,32.13.2026,Wang\n,2026-01-03,Zhao\nD,2026-01-04,Sun\n"


def test_the_edge_fits_the_contract_of_stores_and_of_the_group(desk: Desk) -> None:
    services = sales_pb.DESCRIPTOR.services_by_name.values()
    assert set(bind(RpcService(one, desk.edge) for one in services)) == {one.full_name for one in services}


async def test_a_dry_run_shows_what_would_be_taken_and_every_bad_row(desk: Desk) -> None:
    found = await desk.dry_run(MIXED)

    assert found.state == State.STATE_CHECKED
    assert (found.row_count, found.taken, found.rejected, found.unchanged) == (4, 2, 2, 0)
    assert dict(found.rejected_by_reason) == {"DATE_INVALID": 1, "CELL_MISSING": 1}
    assert [(row.row, row.column, row.field, row.reason, row.value) for row in found.rows] == [
        (3, "day", "day", "DATE_INVALID", "32.13.2026"),
        (4, "code", "code", "CELL_MISSING", ""),
    ]
    assert dict(found.mapping.columns) == {"code": "code", "day": "day", "owner": "owner"}
    assert found.recognised["encoding"] == "utf-8"
    assert await desk.codes() == []


async def test_what_was_confirmed_is_taken_and_nothing_stays_of_the_file(desk: Desk) -> None:
    found = await desk.dry_run(MIXED)

    confirmed = await desk.confirm(found.name, found.etag)
    await desk.work()

    assert confirmed.state == State.STATE_TAKING_OVER
    done = await desk.get(found.name)
    assert (done.state, done.taken, done.rejected, done.progress_percent) == (State.STATE_DONE, 2, 2, 100)
    assert done.confirmer == "staff/li.wei"
    assert await desk.codes() == ["A", "D"]
    assert await desk.left_behind() == 0


async def test_without_a_dry_run_the_call_itself_is_the_confirmation(desk: Desk) -> None:
    done = await desk.bring(GOOD)

    assert (done.state, done.taken, dict(done.warnings_by_reason)) == (State.STATE_DONE, 4, {"HEAVY": 1})
    assert await desk.rows("SELECT DISTINCT source FROM parcel") == [(done.name,)]


async def test_all_or_nothing_takes_nothing_of_a_file_with_a_bad_row(desk: Desk) -> None:
    refused = await desk.bring(MIXED, all_or_nothing=True)

    assert (refused.state, refused.refusal_reason, refused.taken) == (State.STATE_REFUSED, "ROWS_REJECTED", 0)
    assert refused.rejected == 2
    assert (await desk.codes(), await desk.left_behind()) == ([], 0)


async def test_all_or_nothing_takes_all_of_a_good_file(desk: Desk) -> None:
    done = await desk.bring(GOOD, all_or_nothing=True)

    assert (done.state, done.taken) == (State.STATE_DONE, 4)


async def test_all_or_nothing_cannot_be_confirmed_with_a_bad_row(desk: Desk) -> None:
    found = await desk.dry_run(MIXED, all_or_nothing=True)

    with pytest.raises(Conflict) as refusal:
        await desk.confirm(found.name)
    assert refusal.value.reason == "ROWS_REJECTED"


async def test_all_or_nothing_takes_nothing_when_a_row_was_taken_meanwhile(desk: Desk) -> None:
    found = await desk.dry_run(GOOD, all_or_nothing=True)
    await desk.bring("code,day\nD,2025-12-31\n")

    await desk.confirm(found.name)
    await desk.work()

    refused = await desk.get(found.name)
    assert (refused.state, refused.refusal_reason) == (State.STATE_REFUSED, "ROWS_REJECTED")
    assert [row.row for row in refused.rows if row.reason == "CODE_TAKEN"] == [5]
    assert (await desk.codes(), await desk.left_behind()) == (["D"], 0)


async def test_the_same_file_twice_changes_nothing(desk: Desk) -> None:
    await desk.bring(GOOD)
    again = await desk.bring(GOOD)

    assert (again.state, again.taken, again.unchanged, again.rejected) == (State.STATE_DONE, 0, 4, 0)
    assert not again.warnings_by_reason
    assert len(await desk.codes()) == 4


async def test_the_same_rows_written_differently_change_nothing_either(desk: Desk) -> None:
    await desk.bring(GOOD)
    rows = [["日期", "重量", "单号"], ["2026/1/1", "10 kg", "A"], ["2026年1月2日", "2,000", " B "]]
    again = await desk.bring(workbook(rows))

    assert (again.taken, again.unchanged, again.rejected) == (0, 2, 0)


async def test_a_row_that_stands_twice_in_a_file_is_taken_once(desk: Desk) -> None:
    row = "A,2026-01-01,2000\n"
    done = await desk.bring("code,day,weight\n" + row * 5)

    assert (done.taken, done.unchanged, done.rejected) == (1, 4, 0)
    assert dict(done.warnings_by_reason) == {"HEAVY": 1}


async def test_of_several_rows_with_one_key_the_best_rank_is_taken(desk: Desk) -> None:
    lines = ["A,2026-01-05,2000", "B,2026-01-01,1", "A,2026-01-02,1", "X,2026-01-01,1", "A,2026-01-09,1"]
    done = await desk.bring("code,day,weight\n" + "\n".join(lines) + "\n")

    assert (done.taken, done.rejected, dict(done.rejected_by_reason)) == (3, 2, {"CODE_TWICE": 2})
    assert await desk.rows("SELECT day::text FROM parcel WHERE code = 'A'") == [("2026-01-02",)]
    assert [(row.row, row.reason) for row in done.rows] == [(2, "CODE_TWICE"), (6, "CODE_TWICE")]
    assert not done.warnings_by_reason


async def test_what_is_here_already_is_seen_in_the_dry_run(desk: Desk) -> None:
    await desk.bring("code,day\nA,2025-01-01\n")
    found = await desk.dry_run(GOOD)

    assert (found.taken, found.rejected, dict(found.rejected_by_reason)) == (3, 1, {"CODE_TAKEN": 1})


async def test_two_files_with_the_same_rows_confirmed_together_take_each_row_once(desk: Desk) -> None:
    first, second = await desk.dry_run(GOOD), await desk.dry_run(GOOD)
    await desk.confirm(first.name)
    await desk.confirm(second.name)

    await asyncio.gather(desk.runner.work_once(), desk.another_runner().work_once())
    await desk.work()

    done = [await desk.get(one.name) for one in (first, second)]
    assert sum(one.taken for one in done) == 4
    assert sum(one.unchanged for one in done) == 4
    assert len(await desk.codes()) == 4


async def test_two_confirmations_at_once_are_one(desk: Desk) -> None:
    found = await desk.dry_run(GOOD)

    answers = await asyncio.gather(*(desk.confirm(found.name, found.etag) for _ in range(3)))
    await desk.work()

    assert {one.state for one in answers} == {State.STATE_TAKING_OVER}
    assert (await desk.get(found.name)).taken == 4


async def test_a_confirmation_of_what_has_changed_is_refused(desk: Desk) -> None:
    found = await desk.dry_run(GOOD)

    with pytest.raises(StaleEtag):
        await desk.confirm(found.name, '"0"')


async def test_only_a_checked_import_can_be_confirmed(desk: Desk) -> None:
    made = await desk.open()

    with pytest.raises(Conflict) as refusal:
        await desk.confirm(made.name)
    assert refusal.value.metadata == {"state": "UPLOADING"}


async def test_an_unconfirmed_dry_run_expires_with_its_file(desk: Desk) -> None:
    found = await desk.dry_run(GOOD)
    assert found.expire_time.ToDatetime() - found.create_time.ToDatetime() == timedelta(days=7)

    desk.clock.advance(timedelta(days=7))
    await desk.work()

    gone = await desk.get(found.name)
    assert (gone.state, gone.taken, await desk.left_behind()) == (State.STATE_EXPIRED, 0, 0)
    with pytest.raises(Conflict):
        await desk.confirm(found.name)


async def test_a_file_that_never_became_complete_expires(desk: Desk) -> None:
    made = await desk.open()
    await desk.append(made.name, b"code,", last=False)
    desk.clock.advance(timedelta(days=1))
    await desk.work()

    assert (await desk.get(made.name)).state == State.STATE_EXPIRED
    assert await desk.left_behind() == 0


@pytest.mark.parametrize("last", [False, True])
async def test_a_file_that_is_arriving_or_waits_for_its_check_can_be_cancelled(desk: Desk, last: bool) -> None:
    made = await desk.open()
    await desk.append(made.name, GOOD.encode(), last=last)

    cancelled = await desk.cancel(made.name)
    await desk.work()

    assert cancelled.state == State.STATE_CANCELLED
    assert (await desk.codes(), await desk.left_behind()) == ([], 0)
    assert (await desk.cancel(made.name)).state == State.STATE_CANCELLED


async def test_a_dry_run_can_be_cancelled_and_a_finished_import_cannot(desk: Desk) -> None:
    found = await desk.dry_run(GOOD)
    cancelled = await desk.cancel(found.name)
    assert (cancelled.state, cancelled.taken, await desk.left_behind()) == (State.STATE_CANCELLED, 0, 0)

    done = await desk.bring(GOOD)
    with pytest.raises(Conflict):
        await desk.cancel(done.name)


async def test_pieces_may_be_sent_again_and_must_fit(desk: Desk) -> None:
    content = GOOD.encode()
    made = await desk.open()
    await desk.append(made.name, content[:10], last=False)
    await desk.append(made.name, content[:10], last=False)

    with pytest.raises(InvalidArgument, match="begins at 10"):
        await desk.append(made.name, b"x", 11)
    with pytest.raises(InvalidArgument, match="another piece"):
        await desk.append(made.name, b"other", 0)

    for _ in range(2):
        sent = await desk.append(made.name, content[10:], 10)
    assert (sent.state, sent.file_bytes) == (State.STATE_CHECKING, len(content))
    await desk.work()
    assert (await desk.get(made.name)).taken == 4


async def test_the_remarks_are_paged_in_the_order_of_the_rows_and_bounded(desk: Desk) -> None:
    found = await desk.dry_run("code,day\n" + "A,nonsense\n" * 60)
    assert (found.rejected, len(found.rows)) == (60, 20)

    rows: list[int] = []
    request = pb.ListImportRowsRequest(parent=found.name, page_size=30, severity=pb.ImportRow.SEVERITY_REJECTED)
    while True:
        page = await desk.call(desk.edge.list_import_rows, request)
        rows += [row.row for row in page.rows]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    assert rows == list(range(2, 52))


async def test_imports_are_listed_the_newest_first(desk: Desk) -> None:
    names = []
    for _ in range(3):
        names.append((await desk.open()).name)
        desk.clock.advance(timedelta(minutes=1))
    request = pb.ListImportsRequest(parent=f"stores/{STORE}", page_size=2)
    first = await desk.call(desk.edge.list_imports, request)
    request.page_token = first.next_page_token
    second = await desk.call(desk.edge.list_imports, request)

    assert [one.name for one in (*first.imports, *second.imports)] == names[::-1]
    assert not second.next_page_token


async def test_a_groups_file_names_the_store_of_each_row_and_stays_with_the_group(group_desk: Desk, desk: Desk) -> None:
    content = "code,day,门店\nA,2026-01-01,bj-01\nB,2026-01-02,sh-01\nC,2026-01-02,xx\n"
    done = await group_desk.bring(content)

    assert (done.taken, dict(done.rejected_by_reason)) == (2, {"STORE_UNKNOWN": 1})
    assert await desk.rows("SELECT code, store_id FROM parcel ORDER BY code") == [("A", "bj-01"), ("B", "sh-01")]
    with pytest.raises(InvalidArgument):
        await desk.get(done.name)
    with pytest.raises(NotFound):
        await desk.get(f"stores/{STORE}/{done.name}")


async def test_a_groups_file_without_stores_is_refused(group_desk: Desk) -> None:
    refused = await group_desk.bring(GOOD)

    assert (refused.state, refused.refusal_reason) == (State.STATE_REFUSED, "FIELD_UNMAPPED")
    assert "store" in refused.refusal_message


async def test_personal_data_stands_nowhere_in_the_clear(desk: Desk) -> None:
    await desk.dry_run("code,day,owner\nA,2026-01-01,Zebediah\nB,Zebediah,Zebediah\n")

    for table in ("import_job", "import_piece", "import_batch", "import_key", "import_remark"):
        for (row,) in await desk.rows(f"SELECT t::text FROM {table} AS t"):
            assert "Zebediah" not in row
            assert b"Zebediah".hex() not in row
