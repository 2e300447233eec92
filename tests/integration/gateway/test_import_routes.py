"""Lists of workshop visits through the multipart route: gateway, after-sales, real databases (GRP-05)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.deliveries import vin_of
from tests.support.imports import VISIT_HEADERS, counts, form, problem, reasons, text
from tests.support.postgres import Cloner
from tests.support.system import System, system

STORE, OTHER = "bj-01", "sh-01"
PATH = f"/v1/stores/{STORE}/workshopVisits:import"
MANAGER = "ROLE_AFTERSALES_MANAGER"
GOOD = [VISIT_HEADERS, *((vin_of(number), "2026-03-01", 1_000 + number, "首保") for number in range(1, 6))]
BAD = [*GOOD, (vin_of(6), "2026-13-01", 9, "维修"), (vin_of(7), "2026-03-02", 9, "洗车")]


async def add_store(it: System, store: str) -> None:
    body = {"displayName": store, "timeZone": "Asia/Shanghai"}
    answer = await it.client("ROLE_ADMINISTRATOR").post("/v1/stores", params={"storeId": store}, json=body)
    assert answer.status_code == 200, answer.text


@asynccontextmanager
async def running(clone: Cloner, nats_url: str, folder: Path) -> AsyncIterator[System]:
    """Two stores with after-sales."""
    async with system(clone, nats_url, folder, ("gateway", "aftersales")) as made:
        for store in (STORE, OTHER):
            await add_store(made, store)
        await made.drain()
        yield made


@pytest.fixture
async def it(database_urls: Cloner, nats_url: str, tmp_path: Path) -> AsyncIterator[System]:
    async with running(database_urls, nats_url, tmp_path) as made:
        yield made


@pytest.fixture
async def alone(database_urls: Cloner, nats_url: str, tmp_path: Path) -> AsyncIterator[System]:
    """The gateway without anybody behind it: what it refuses, it refuses by itself."""
    async with system(database_urls, nats_url, tmp_path, ("gateway",)) as made:
        await add_store(made, STORE)
        yield made


async def upload(
    it: System,
    content: bytes,
    name: str = "visits.csv",
    *,
    client: httpx.AsyncClient | None = None,
    path: str = PATH,
    key: str = "",
    **parts: Any,
) -> httpx.Response:
    """Sends a file while the worker works."""
    client = client or it.client(MANAGER, STORE)
    headers = {"Idempotency-Key": key} if key else {}
    sending = asyncio.create_task(client.post(path, files=form(content, name, **parts), headers=headers))
    while not sending.done():
        await it.drain()
        await asyncio.sleep(0.01)
    return sending.result()


async def visits(it: System) -> int:
    (row,) = await it.rows("aftersales", "select count(*) from workshop_visit")
    return int(row["count"])


async def test_a_list_is_taken_over_and_bad_rows_are_told(it: System) -> None:
    answer = await upload(it, text(BAD))

    assert answer.status_code == 200
    found = answer.json()
    assert (found["state"], found["fileName"], found["rowCount"]) == ("STATE_DONE", "visits.csv", "7")
    assert counts(found) == (5, 0, 2)
    assert reasons(found) == [(7, "visitDate", "DATE_INVALID"), (8, "kind", "KIND_UNKNOWN")]
    assert (found["creator"], found["mapping"]["columns"]["vin"]) == ("staff/tester", "车架号")
    assert answer.headers["ETag"]
    assert await visits(it) == 5
    told = await it.rows("aftersales", "select 1 from outbox where type like '%VisitFinished'")
    assert len(told) == 5


async def test_a_dry_run_changes_nothing_until_it_is_confirmed(it: System) -> None:
    client = it.client(MANAGER, STORE)
    checked = (await upload(it, text(BAD), validateOnly="true")).json()
    before = await visits(it)

    confirmed = await client.post(f"/v1/{checked['name']}:confirm", json={})
    await it.drain()

    assert (checked["state"], counts(checked), before) == ("STATE_CHECKED", (5, 0, 2), 0)
    assert confirmed.status_code == 200
    done = (await client.get(f"/v1/{checked['name']}")).json()
    assert (done["state"], counts(done)) == ("STATE_DONE", (5, 0, 2))
    assert await visits(it) == 5


async def test_the_same_file_again_changes_nothing(it: System) -> None:
    await upload(it, text(GOOD))

    again = (await upload(it, text(GOOD))).json()

    assert (again["state"], counts(again)) == ("STATE_DONE", (0, 5, 0))
    assert await visits(it) == 5


async def test_all_or_nothing_takes_nothing_because_of_one_row(it: System) -> None:
    answer = await upload(it, text(BAD), allOrNothing="true")

    errors = problem(answer)
    assert answer.json()["reason"] == "ROWS_REJECTED"
    assert errors == {"rows[7].visitDate": "DATE_INVALID", "rows[8].kind": "KIND_UNKNOWN"}
    name = answer.json()["metadata"]["import"]
    rows = await it.client(MANAGER, STORE).get(f"/v1/{name}/rows")
    assert len(rows.json()["rows"]) == 2
    assert await visits(it) == 0


async def test_all_or_nothing_takes_all_when_all_are_good(it: System) -> None:
    found = (await upload(it, text(GOOD), allOrNothing="true")).json()

    assert (found["state"], counts(found)) == ("STATE_DONE", (5, 0, 0))


async def test_work_that_takes_longer_is_looked_for_at_its_address(
    database_urls: Cloner, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEALERLOOP_IMPORT_WAIT_SECONDS", "0")
    async with running(database_urls, nats_url, tmp_path) as it:
        client = it.client(MANAGER, STORE)

        accepted = await client.post(PATH, files=form(text(GOOD)))

        assert (accepted.status_code, accepted.json()["state"]) == (202, "STATE_CHECKING")
        await it.drain()
        found = await client.get(accepted.headers["Location"])
        assert counts(found.json()) == (5, 0, 0)


async def test_a_kept_mapping_is_used_by_its_short_name(it: System) -> None:
    client = it.client(MANAGER, STORE)
    mapping = {"columns": {"vin": "A", "visitDate": "B", "odometerKm": "C"}, "constants": {"kind": "维修"}}
    kept = await client.put(f"/v1/stores/{STORE}/visitMappings/dms", json={"mapping": mapping})
    table = [("A", "B", "C"), (vin_of(1), "2026-03-01", "1,200 km")]

    found = (await upload(it, text(table), mapping="dms")).json()
    unknown = await upload(it, text(table), mapping="no-such")

    assert kept.status_code == 200, kept.text
    assert counts(found) == (1, 0, 0)
    assert found["mappingProfile"] == f"stores/{STORE}/visitMappings/dms"
    assert 400 <= unknown.status_code < 500


async def test_a_file_larger_than_one_piece_arrives_whole(it: System) -> None:
    rows = [
        (vin_of(1), f"2025-{month:02d}-{day:02d}", month * 1000 + day, "维修")
        for month in range(1, 13)
        for day in range(1, 29)
    ]
    padding = [(*row, "x" * 9_000) for row in rows]

    found = (await upload(it, text([(*VISIT_HEADERS, "备注"), *padding]))).json()

    assert int(found["fileBytes"]) > 2 * 2**20
    assert counts(found) == (12 * 28, 0, 0)


async def test_a_repetition_with_its_key_is_the_same_import(it: System) -> None:
    first = (await upload(it, text(GOOD), key="k1")).json()
    again = (await upload(it, text(GOOD), key="k1")).json()

    assert again == first
    assert len((await it.client(MANAGER, STORE).get(f"/v1/stores/{STORE}/visitImports")).json()["imports"]) == 1


async def test_a_key_that_comes_back_with_another_file_is_refused(it: System) -> None:
    await upload(it, text(GOOD), key="k1")
    others: list[tuple[bytes, dict[str, Any]]] = [
        (text(GOOD[:-1]), {}),
        (text(GOOD) + b"\r\n", {}),
        (text(GOOD), {"validateOnly": "true"}),
        (text(GOOD), {"mapping": {"columns": {"vin": "车架号"}}}),
    ]

    answers = [await upload(it, content, key="k1", **parts) for content, parts in others]

    for answer in answers:
        problem(answer, 409)
        assert answer.json()["reason"] == "IDEMPOTENCY_KEY_REUSED"
    assert await visits(it) == 5


async def test_two_uploads_of_one_file_at_once_take_each_row_once(it: System) -> None:
    answers = await asyncio.gather(*(upload(it, text(GOOD)) for _ in range(3)))

    assert [answer.status_code for answer in answers] == [200] * 3
    assert sum(counts(answer.json())[0] for answer in answers) == 5
    assert await visits(it) == 5


async def test_a_mapping_that_cannot_be_is_named(it: System) -> None:
    mappings: list[tuple[dict[str, Any], str, str | None]] = [
        ({"columns": {"colour": "X"}}, "mapping.columns.colour", "FIELD_UNKNOWN"),
        ({"columns": {"vin": "No such"}}, "mapping.columns", "COLUMN_UNKNOWN"),
        (
            {"constants": {"kind": "维修"}, "replacements": [{"field": "x", "from": "a", "to": "b"}]},
            "",
            "FIELD_UNKNOWN",
        ),
        ({"dateOrder": "DATE_ORDER_XYZ"}, "mapping.dateOrder", None),
        ({"headerRow": 1000}, "mapping.headerRow", None),
        ({"colums": {}}, "mapping.colums", "UNKNOWN_FIELD"),
    ]

    for mapping, field, rule in mappings:
        errors = problem(await upload(it, text(GOOD), mapping=mapping))
        ((named, broken),) = errors.items()
        assert named.startswith(field or "mapping.")
        assert rule in {None, broken}
    assert await visits(it) == 0


async def test_what_is_no_table_is_refused_with_a_word_about_what_it_is(it: System) -> None:
    answer = await upload(it, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\n", "visits.xlsx")

    assert problem(answer) == {"file": "FILE_NOT_A_TABLE"}
    assert "PDF" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("role", "stores", "status"),
    [
        (MANAGER, (OTHER,), 403),
        ("ROLE_SERVICE_ADVISOR", (STORE,), 403),
        ("ROLE_GROUP_QUALITY_MANAGER", (), 403),
    ],
)
async def test_who_may_not_bring_a_list_is_refused_before_it_is_read(
    alone: System, role: str, stores: tuple[str, ...], status: int
) -> None:
    client = alone.client(role, *stores)

    async def endless() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    answer = await client.post(PATH, content=endless(), headers={"Content-Type": "multipart/form-data; boundary=b"})

    assert problem(answer, status) == {}
    assert answer.json()["reason"] == "ACCESS_DENIED"


@pytest.mark.parametrize("token", [None, "Bearer", "Bearer a.b.c", "Basic YTpi"])
async def test_without_a_good_token_nothing_is_read(alone: System, token: str | None) -> None:
    client = alone.client(MANAGER, STORE)
    del client.headers["Authorization"]
    headers = {"Authorization": token} if token else {}

    answer = await client.post(PATH, files=form(text(GOOD)), headers=headers)

    problem(answer, 401)
    assert "Bearer" in answer.headers["WWW-Authenticate"]


async def test_an_expired_token_is_refused(alone: System) -> None:
    client = alone.client(MANAGER, STORE)
    alone.clock.advance(timedelta(days=4000))

    problem(await client.post(PATH, files=form(text(GOOD))), 401)


async def test_a_store_that_does_not_exist_takes_no_list_before_it_is_read(alone: System) -> None:
    """A role of the whole group holds everywhere, also where nothing is."""
    client = alone.client("ROLE_GROUP_QUALITY_MANAGER")

    async def endless() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    answer = await client.post(
        "/v1/stores/no-such/deliveries:import",
        content=endless(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )

    assert problem(answer, 404) == {}
    assert answer.json()["reason"] == "STORE_UNKNOWN"


async def test_other_methods_and_parameters_are_refused(alone: System) -> None:
    client = alone.client(MANAGER, STORE)

    wrong_method = await client.get(PATH)
    parameter = await client.post(PATH, params={"dryRun": "1"}, files=form(text(GOOD)))
    key = await client.post(PATH, files=form(text(GOOD)), headers={"Idempotency-Key": "a b"})
    json_body = await client.post(PATH, json={})

    problem(wrong_method, 405)
    assert wrong_method.headers["Allow"] == "POST"
    assert problem(parameter) == {"dryRun": "UNKNOWN_PARAMETER"}
    assert problem(key) == {"Idempotency-Key": "HEADER_FORMAT"}
    problem(json_body, 415)


async def test_a_file_that_is_too_large_is_refused_by_its_header(alone: System) -> None:
    client = alone.client(MANAGER, STORE)
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(200 * 2**20)}

    answer = await client.post(PATH, content=b"--b", headers=headers)

    problem(answer, 413)
    assert answer.json()["reason"] == "BODY_TOO_LARGE"


async def test_a_stream_without_an_end_is_cut_at_the_limit(alone: System) -> None:
    client = alone.client(MANAGER, STORE)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
        while True:
            sent += 2**20
            yield b"x" * 2**20

    answer = await client.post(PATH, content=endless(), headers={"Content-Type": "multipart/form-data; boundary=b"})

    problem(answer, 413)
    assert sent < 70 * 2**20


async def test_more_files_at_once_than_there_is_room_for_are_asked_to_come_back(
    database_urls: Cloner, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEALERLOOP_IMPORT_UPLOADS", "1")
    arriving, go_on = asyncio.Event(), asyncio.Event()
    whole = httpx.Request("POST", "http://test", files=form(text(GOOD)))

    async def slowly() -> AsyncIterator[bytes]:
        body = whole.read()
        yield body[:50]
        arriving.set()
        await go_on.wait()
        yield body[50:]

    async with running(database_urls, nats_url, tmp_path) as it:
        client = it.client(MANAGER, STORE)
        headers = {"Content-Type": whole.headers["Content-Type"]}
        first = asyncio.create_task(client.post(PATH, content=slowly(), headers=headers))
        await arriving.wait()

        second = await client.post(PATH, files=form(text(GOOD)))

        go_on.set()
        while not first.done():
            await it.drain()
            await asyncio.sleep(0.01)
        problem(second, 429)
        assert (second.json()["reason"], second.headers["Retry-After"]) == ("TOO_MANY_UPLOADS", "2")
        assert counts(first.result().json()) == (5, 0, 0)


async def test_a_file_that_does_not_arrive_in_time_leaves_nothing(
    database_urls: Cloner, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEALERLOOP_IMPORT_UPLOAD_SECONDS", "0.1")

    async def never() -> AsyncIterator[bytes]:
        yield b"--b\r\n"
        await asyncio.Event().wait()

    async with system(database_urls, nats_url, tmp_path, ("gateway",)) as it:
        await add_store(it, STORE)
        headers = {"Content-Type": "multipart/form-data; boundary=b"}

        problem(await it.client(MANAGER, STORE).post(PATH, content=never(), headers=headers), 408)
