"""The clerk's daily confirmation over the public API (SAL-11)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.support.loop import Group, Json

pytestmark = pytest.mark.xdist_group("stack")


def day_of(group: Group, back: int) -> str:
    """A day of the store, so many days ago; each test has one of its own, where nothing is delivered but by it."""
    today: date = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    return (today - timedelta(days=back)).isoformat()


def report(group: Group, body: Any, person: str = "information_clerk", **headers: str) -> httpx.Response:
    return group.people[person].post(f"/v1/{group.store}/dailyHandovers", json=body, headers=headers)


def read(group: Group, day: str) -> Json:
    return group.must(group.people["care_manager"].get(f"/v1/{group.store}/dailyHandovers/{day}"))


def broken(answer: httpx.Response, status: int = 400) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    return {one["field"]: one["rule"] for one in answer.json()["errors"]}


def test_zero_is_confirmed_and_shown_as_zero(group: Group) -> None:
    day = day_of(group, 30)
    assert read(group, day)["state"] == "STATE_MISSING"

    made = group.must(report(group, {"date": day, "reportedDeliveries": 0, "note": "snow"}))

    assert (made["reportedDeliveries"], made["recordedDeliveries"]) == (0, 0)
    assert (made["state"], made["late"], made["note"]) == ("STATE_MATCHED", True, "snow")
    assert read(group, day) == made


def test_a_delivery_that_nobody_counted_is_a_mismatch_until_it_is_counted(group: Group) -> None:
    day = day_of(group, 31)
    first = group.must(report(group, {"date": day, "reportedDeliveries": 0}))
    noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)

    group.deliver(group.new_delivery(deliveryTime=noon.isoformat(timespec="seconds")))

    seen = read(group, day)
    assert (seen["state"], seen["recordedDeliveries"]) == ("STATE_MISMATCHED", 1)
    again = group.must(report(group, {"date": day, "reportedDeliveries": 1, "etag": first["etag"]}))
    assert (again["state"], again["recordedDeliveries"]) == ("STATE_MATCHED", 1)
    stale = report(group, {"date": day, "reportedDeliveries": 2, "etag": first["etag"]})
    assert stale.status_code in {409, 412}, stale.text
    listed = group.must(group.people["sales_manager"].get(f"/v1/{group.store}/dailyHandovers"))["dailyHandovers"]
    assert [one["date"] for one in listed] == sorted((one["date"] for one in listed), reverse=True)
    assert again in listed


def test_the_same_report_again_with_the_same_key_is_made_once(group: Group) -> None:
    body = {"date": day_of(group, 32), "reportedDeliveries": 0}
    key = group.new_key()

    first, second = (group.must(report(group, body, **{"Idempotency-Key": key})) for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        (lambda body: {"date": body["date"]}, "reportedDeliveries", "COUNT_MISSING"),
        (lambda body: body | {"reportedDeliveries": None}, "reportedDeliveries", "COUNT_MISSING"),
        (lambda body: body | {"reportedDeliveries": -1}, "reportedDeliveries", None),
        (lambda body: body | {"reportedDeliveries": 10001}, "reportedDeliveries", None),
        (lambda body: body | {"reportedDeliveries": 1.5}, "reportedDeliveries", None),
        (lambda body: body | {"reportedDeliveries": "many"}, "reportedDeliveries", None),
        (lambda body: {"reportedDeliveries": body["reportedDeliveries"]}, "date", None),
        (lambda body: body | {"date": "2100-01-01"}, "date", "DATE_IN_FUTURE"),
        (lambda body: body | {"date": "2014-01-01"}, "date", "DATE_TOO_EARLY"),
        (lambda body: body | {"date": "2026-02-30"}, "date", "DATE_INVALID"),
        (lambda body: body | {"date": "yesterday"}, "date", None),
        (lambda body: body | {"note": "x" * 501}, "note", None),
        (lambda body: body | {"note": "a\u0000b"}, "note", "NUL_CHARACTER"),
        (lambda body: body | {"note": "a\u0007b"}, "note", "TEXT_CHARACTERS"),
        (lambda body: body | {"weather": "rain"}, "weather", None),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_rule(
    group: Group, change: Callable[[Json], Json], field: str, rule: str | None
) -> None:
    errors = broken(report(group, change({"date": day_of(group, 33), "reportedDeliveries": 0})))

    (named,) = [name for name in errors if name == field or name.endswith(f".{field}")]
    assert rule in {None, errors[named]}


@pytest.mark.parametrize("content", [b"{", b"[1]", b'"text"', b"", b"\xff\xfe", b'{"reportedDeliveries": 1e999}'])
def test_what_is_no_report_is_refused(group: Group, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    answer = group.people["information_clerk"].post(
        f"/v1/{group.store}/dailyHandovers", content=content, headers=headers
    )

    assert answer.status_code == 400, answer.text


def test_only_sales_confirms_and_days_that_are_not_are_not_found(group: Group) -> None:
    body = {"date": day_of(group, 34), "reportedDeliveries": 0}

    assert report(group, body, "care_manager").status_code == 403
    assert report(group, body, "sales_consultant").status_code == 403
    for day in ("2100-01-01", "2014-01-01", "2026-02-30"):
        answer = group.people["care_manager"].get(f"/v1/{group.store}/dailyHandovers/{day}")
        assert answer.status_code == 404, answer.text
    malformed = group.people["care_manager"].get(f"/v1/{group.store}/dailyHandovers/today")
    assert malformed.status_code in {400, 404}, malformed.text


def test_the_inbox_of_corrections_is_read_by_sales_and_care_and_refuses_nonsense(group: Group) -> None:
    path = f"/v1/{group.store}/dataCorrections"
    for person in ("information_clerk", "sales_manager", "care_specialist"):
        assert group.must(group.people[person].get(path, params={"state": "STATE_OPEN"})) is not None

    clerk = group.people["information_clerk"]
    assert broken(clerk.get(path, params={"delivery": "nonsense"})) == {"delivery": "DELIVERY_NAME"}
    assert clerk.get(path, params={"state": "STATE_LOST"}).status_code == 400
    unknown = clerk.post(f"{path}/00000000-0000-0000-0000-000000000000:resolve", json={"note": "looked"})
    assert unknown.status_code == 404, unknown.text
    blank = clerk.post(f"{path}/00000000-0000-0000-0000-000000000000:resolve", json={"note": "  "})
    assert broken(blank) == {"note": "TEXT_EMPTY"}
