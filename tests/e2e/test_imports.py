"""Delivery lists through the public API of the running product: dry run, confirmation, follow-ups, and bad files."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.imports import ENDED, VISIT_HEADERS, Json, counts, form, problem, reasons, text
from tests.support.loop import Group
from tests.support.workbooks import workbook
from tools.demo import vehicle

pytestmark = pytest.mark.xdist_group("stack")

HEADERS = ("车架号", "品牌", "车系", "客户姓名", "手机号码", "交车时间", "销售顾问")
LONG_AGO = "2019-05-20 10:30"


def rows(group: Group, count: int, when: str = LONG_AGO) -> list[tuple[str, ...]]:
    """Deliveries of vehicles and people that nobody has heard of."""
    consultant = group.consultant().rpartition("/")[2]
    return [
        (vehicle.vin(group.seed), "Nissan", "Paladin", "王小明", vehicle.phone(group.seed), when, consultant)
        for _ in range(count)
    ]


def send(
    group: Group,
    content: bytes,
    name: str = "list.csv",
    *,
    key: str = "",
    person: str = "information_clerk",
    **parts: Any,
) -> httpx.Response:
    """Brings a file in."""
    headers = {"Idempotency-Key": key} if key else {}
    path = f"/v1/{group.store}/deliveries:import"
    return group.people[person].post(path, files=form(content, name, **parts), headers=headers, timeout=60)


def ended(group: Group, name: str) -> Json:
    """The import when its work has ended."""
    clerk = group.people["information_clerk"]
    group.stack.wait_for("the import", lambda: group.must(clerk.get(f"/v1/{name}"))["state"] in ENDED)
    return group.must(clerk.get(f"/v1/{name}"))


def delivered(group: Group) -> set[str]:
    """The VINs of the store's deliveries."""
    store = group.store.removeprefix("stores/")
    return {vin for (vin,) in group.stack.rows("sales", f"select vin from delivery where store_id = '{store}'")}


def test_a_dry_run_then_a_confirmation_then_deliveries_with_their_follow_ups(group: Group) -> None:
    """Old deliveries bring follow-ups that had expired before they were planned, and nothing to do (CARE-03)."""
    good, wrong = rows(group, 3), (*rows(group, 1)[0][:5], "2019-13-45", "")
    clerk = group.people["information_clerk"]

    checked = group.must(send(group, text([HEADERS, *good, wrong]), validateOnly="true"))
    before = delivered(group)
    group.must(clerk.post(f"/v1/{checked['name']}:confirm", json={}))
    done = ended(group, checked["name"])

    vins = {row[0] for row in good}
    assert (checked["state"], counts(checked)) == ("STATE_CHECKED", (3, 0, 1))
    assert [(row, reason) for row, _, reason in reasons(checked)] == [(5, "DATE_INVALID")]
    assert not vins & before
    assert (done["state"], counts(done)) == ("STATE_DONE", (3, 0, 1))
    assert vins <= delivered(group)
    query = (
        "select state, count(*) from follow_up f join care_plan p using (delivery_id) "
        f"where p.vin in ({','.join(repr(vin) for vin in sorted(vins))}) group by state"
    )
    group.stack.wait_for("the plans", lambda: sum(count for _, count in group.stack.rows("customer_care", query)) >= 30)
    states = dict(group.stack.rows("customer_care", query))
    assert states["EXPIRED_ON_ARRIVAL"] >= 3 * 6
    assert "MISSED" not in states


def test_the_same_file_twice_changes_nothing(group: Group) -> None:
    content = text([HEADERS, *rows(group, 3)])

    first, again = group.must(send(group, content)), group.must(send(group, content))

    assert (counts(first), counts(again)) == ((3, 0, 0), (0, 3, 0))


def test_all_or_nothing_takes_nothing_and_says_which_rows(group: Group) -> None:
    good = rows(group, 2)

    answer = send(group, text([HEADERS, *good, good[0]]), allOrNothing="true")
    later = send(group, text([HEADERS, *good]), allOrNothing="true")

    # The second row of a vehicle is the first one again: there is nothing to reject in it.
    assert counts(group.must(answer)) == (2, 1, 0)
    assert counts(group.must(later)) == (0, 2, 0)
    broken = (*rows(group, 1)[0][:5], "not a day", "")
    refused = send(group, text([HEADERS, *rows(group, 1), broken]), allOrNothing="true")
    assert problem(refused) == {"rows[3].deliveryTime": "DATE_INVALID"}
    assert refused.json()["reason"] == "ROWS_REJECTED"
    report = group.people["information_clerk"].get(f"/v1/{refused.json()['metadata']['import']}/rows")
    assert len(group.must(report)["rows"]) == 1


def test_a_workbook_is_read_like_a_text(group: Group) -> None:
    table = rows(group, 2)

    found = group.must(send(group, workbook([HEADERS, *table]), "交车清单.xlsx"))

    assert (counts(found), found["fileName"]) == ((2, 0, 0), "交车清单.xlsx")


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_a_text_may_be_in_any_usual_encoding(group: Group, encoding: str) -> None:
    found = group.must(send(group, text([HEADERS, *rows(group, 2)], encoding=encoding, delimiter="\t"), "清单.txt"))

    assert counts(found) == (2, 0, 0)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "FILE_EMPTY"),
        (b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n", "FILE_NOT_A_TABLE"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "FILE_NOT_A_TABLE"),
        (b"PK\x03\x04" + bytes(100), "FILE_DAMAGED"),
        (",".join(HEADERS).encode() + b'\r\n"LDL,Nissan,Paladin\r\nx,y\r\n', "QUOTE_BROKEN"),
        (text([("a", "b"), (1, 2)]), None),
        (text([(*HEADERS, HEADERS[0]), ("x",) * 8]), "HEADER_TWICE"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_taken_is_refused_with_its_reason(group: Group, content: bytes, rule: str | None) -> None:
    answer = send(group, content, "list.xlsx")

    errors = problem(answer)
    assert list(errors.values()) == [rule or answer.json()["reason"]]
    assert answer.json()["detail"]


def test_a_second_row_of_headers_and_merged_cells_are_reasons_of_rows(group: Group) -> None:
    table = rows(group, 3)
    repeated = group.must(send(group, text([HEADERS, table[0], HEADERS, table[1]])))
    (lost,) = rows(group, 1)
    across = (lost[0], "Nissan Paladin", None, *lost[3:])
    merged = group.must(send(group, workbook([HEADERS, table[2], across], merged=["B3:C3"]), "merged.xlsx"))

    assert counts(repeated) == (2, 0, 1)
    assert [(row, reason) for row, _, reason in reasons(repeated)] == [(3, "HEADER_REPEATED")]
    assert counts(merged) == (1, 0, 1)
    assert {reason for _, _, reason in reasons(merged)} == {"CELL_MERGED"}


@pytest.mark.parametrize(
    ("mapping", "field", "rule"),
    [
        ({"columns": {"colour": "颜色"}}, "mapping.columns.colour", "FIELD_UNKNOWN"),
        ({"columns": {"vin": "No such header"}}, "mapping.columns", "COLUMN_UNKNOWN"),
        ({"sheet": "Sheet9"}, "mapping.sheet", "SHEET_UNKNOWN"),
        ({"colums": {}}, "mapping.colums", "UNKNOWN_FIELD"),
        ("{", "mapping", "JSON_SYNTAX"),
        ("no-such-mapping", "mapping", None),
    ],
)
def test_a_mapping_that_does_not_fit_is_named(group: Group, mapping: Any, field: str, rule: str | None) -> None:
    answer = send(group, workbook([HEADERS, *rows(group, 1)]), "list.xlsx", mapping=mapping)

    errors = problem(answer, answer.status_code)
    assert answer.status_code in {400, 404}
    assert rule is None or errors == {field: rule}


def test_a_group_list_names_its_stores_and_what_is_no_store_is_a_reason_of_its_row(group: Group) -> None:
    good, lost = rows(group, 2)
    headers = (*HEADERS[:6], "门店")
    table = [headers, (*good[:6], group.store.removeprefix("stores/")), (*lost[:6], "nowhere-99")]

    answer = group.admin.post("/v1/deliveries:import", files=form(text(table)), timeout=60)
    without = group.admin.post("/v1/deliveries:import", files=form(text([HEADERS, good])), timeout=60)

    found = group.must(answer)
    assert counts(found) == (1, 0, 1)
    assert (3, "store", "STORE_UNKNOWN") in reasons(found)
    assert found["rejectedByReason"] == {"STORE_UNKNOWN": "1"}
    assert good[0] in delivered(group)
    assert list(problem(without).values()) == ["FIELD_UNMAPPED"]


def test_who_may_not_bring_a_list_is_refused(group: Group, elsewhere: Group) -> None:
    content = text([HEADERS, *rows(group, 1)])
    path = f"/v1/{group.store}/deliveries:import"

    foreign = elsewhere.people["information_clerk"].post(path, files=form(content))
    consultant = group.people["sales_consultant"].post(path, files=form(content))
    of_group = group.people["information_clerk"].post("/v1/deliveries:import", files=form(content))
    nobody = httpx.post(f"{group.stack.url}{path}", files=form(content))
    forged = httpx.post(f"{group.stack.url}{path}", files=form(content), headers={"Authorization": "Bearer a.b.c"})

    for answer in (foreign, consultant, of_group):
        problem(answer, 403)
    for answer in (nobody, forged):
        problem(answer, 401)


def test_an_import_of_another_store_is_out_of_reach(group: Group, elsewhere: Group) -> None:
    theirs = group.must(send(elsewhere, text([HEADERS, *rows(elsewhere, 1)]), validateOnly="true"))["name"]
    clerk = group.people["information_clerk"]
    disguised = theirs.replace(elsewhere.store, group.store)

    problem(clerk.get(f"/v1/{theirs}"), 403)
    problem(clerk.post(f"/v1/{theirs}:confirm", json={}), 403)
    problem(clerk.get(f"/v1/{disguised}"), 404)
    problem(clerk.post(f"/v1/{disguised}:confirm", json={}), 404)


def test_a_repeated_key_is_one_import_and_with_another_file_none(group: Group) -> None:
    key, content = group.new_key(), text([HEADERS, *rows(group, 2)])

    first, again = group.must(send(group, content, key=key)), group.must(send(group, content, key=key))
    other = send(group, text([HEADERS, *rows(group, 2)]), key=key)

    assert first == again
    problem(other, 409)
    assert other.json()["reason"] == "IDEMPOTENCY_KEY_REUSED"


def test_two_uploads_of_one_file_at_once_take_each_row_once(group: Group) -> None:
    table = rows(group, 20)
    content = text([HEADERS, *table])
    answers: list[httpx.Response] = []
    people = ("information_clerk", "sales_manager", "care_manager", "general_manager")
    threads = [
        threading.Thread(target=lambda who=who: answers.append(send(group, content, person=who))) for who in people
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = [ended(group, group.must(answer)["name"]) for answer in answers]
    assert sum(counts(one)[0] for one in found) == 20
    assert all(sum(counts(one)) == 20 for one in found)
    assert {row[0] for row in table} <= delivered(group)


def test_a_file_of_200_megabytes_is_refused_at_once(group: Group) -> None:
    status, head = _raw(group, f"Content-Length: {200 * 2**20}", iter(()))

    assert status == 413
    assert b"application/problem+json" in head


def test_an_endless_stream_is_refused_at_the_limit(group: Group) -> None:
    piece = b"x" * 2**20

    def endless() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
        for _ in range(200):
            yield piece

    status, head = _raw(group, "Transfer-Encoding: chunked", (b"%x\r\n%b\r\n" % (len(it), it) for it in endless()))

    assert status == 413
    assert b"application/problem+json" in head


def _raw(group: Group, length: str, body: Iterator[bytes]) -> tuple[int, bytes]:
    """A request that is answered before its body has ended; which clients of better manners do not send."""
    address = urlsplit(group.stack.url)
    token = group.people["information_clerk"].headers["Authorization"]
    head = (
        f"POST /v1/{group.store}/deliveries:import HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: {token}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\n{length}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head.encode())
        answer = b""
        connection.setblocking(False)
        deadline = time.monotonic() + 30
        pending = b""
        while b"\r\n\r\n" not in answer and time.monotonic() < deadline:
            try:
                answer += connection.recv(65536)
            except BlockingIOError:
                pending = pending or next(body, b"")
                try:
                    sent = connection.send(pending) if pending else 0
                except BlockingIOError:
                    sent = 0
                pending = pending[sent:]
                if not sent:
                    time.sleep(0.01)
    assert answer.startswith(b"HTTP/1.1 "), "no answer came"
    return int(answer.split(b" ", 2)[1]), answer


def test_a_list_of_visits_tells_when_a_first_service_was_made(group: Group) -> None:
    delivery = group.deliver()
    manager = group.people["general_manager"]
    today = datetime.now(UTC).astimezone().date().isoformat()
    table = [VISIT_HEADERS, (delivery["vin"], today, "1,450 公里", "首保"), (delivery["vin"], today, 3, "维修")]
    path = f"/v1/{group.store}/workshopVisits:import"
    vehicle = f"/v1/{group.store}/vehicles/{delivery['vin']}/warranty"
    group.stack.wait_for("the vehicle", lambda: manager.get(vehicle).status_code == 200)

    found = group.must(manager.post(path, files=form(text(table))))

    assert counts(found) == (1, 0, 1)
    assert reasons(found) == [(3, "odometerKm", "ODOMETER_DECREASED")]
    warranty = group.must(manager.get(vehicle))
    assert (warranty["firstServiceDate"], warranty["odometerKm"]) == (today, 1450)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_fresh_delivery_by_list_is_like_one_by_hand(group: Group, by_name: bool) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).astimezone().strftime("%Y-%m-%d %H:%M")
    (row,) = rows(group, 1, yesterday)
    consultant = "SALES_CONSULTANT" if by_name else row[6]

    group.must(send(group, text([HEADERS, (*row[:6], consultant)])))

    clerk = group.people["information_clerk"]
    listed = group.must(clerk.get(f"/v1/{group.store}/deliveries", params={"vin": row[0]}))["deliveries"]
    (delivery,) = listed
    group.stack.wait_for("the plan", lambda: len(group.follow_ups(delivery)) > 10)
    assert delivery["consultant"] == group.consultant()
    assert any(one["state"] == "STATE_PLANNED" for one in group.follow_ups(delivery))
