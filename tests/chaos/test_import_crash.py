"""Sales ends by SIGKILL while a list is checked and taken over: exactly the confirmed set is there (GRP-05)."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.imports import ENDED, Json, counts, form, text
from tests.support.loop import Group
from tests.support.stack import Stack
from tools.demo import vehicle

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(280)]

HEADERS = ("车架号", "品牌", "车系", "客户姓名", "手机号码", "交车时间", "销售顾问")
# Four batches.
ROWS = 7_000
BAD = 7
# The confirmation is there and known to nobody; a batch is written and not committed; batches are committed and the
# next has not begun; events are published and the outbox does not know it.
DEATHS = ("after_commit:1", "import_taking:2", "import_taken:1", "import_taking:1", "after_publish:1")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    stack.start()
    yield stack
    stack.stop()


def make_list(group: Group) -> tuple[bytes, set[str]]:
    """A list with bad rows and repeated rows in it, and the vehicles that it delivers."""
    consultant = group.consultant().rpartition("/")[2]
    rows = [
        (
            vehicle.vin(group.seed),
            "Nissan",
            "Paladin",
            f"客户{number}",
            vehicle.phone(group.seed),
            "2019-05-20 10:30",
            consultant,
        )
        for number in range(ROWS)
    ]
    bad = [(*rows[number][:5], "2019-02-30", consultant) for number in range(BAD)]
    return text([HEADERS, *rows[: ROWS // 2], *bad, *rows[ROWS // 2 :]]), {row[0] for row in rows}


def test_exactly_the_confirmed_set_is_there_whatever_dies_when(stack: Stack) -> None:
    group = Group(stack)
    clerk = group.people["information_clerk"]
    content, vins = make_list(group)

    checked = _check_with_deaths(stack, group, content)
    _confirm_with_deaths(stack, clerk, checked["name"])

    done = _ended(stack, clerk, checked["name"])
    assert (done["state"], counts(done)) == ("STATE_DONE", (ROWS, 0, BAD))
    assert {vin for (vin,) in stack.rows("sales", "select vin from delivery")} == vins
    stack.wait_for("everything to arrive", lambda: _arrived(stack), seconds=120)
    assert _counts(stack) == dict.fromkeys(_counts(stack), ROWS)
    # Reminders of the first service are planned when after-sales has told when it is due: the last to come.
    stack.wait_for("every plan to be as long as the others", lambda: len(_lengths(stack)) == 1, seconds=120)
    assert stack.count("customer_care", "select count(*) from follow_up") == ROWS * _lengths(stack).pop()
    again = _ended(stack, clerk, group.must(_send(group, content))["name"])
    assert counts(again) == (0, ROWS, BAD)
    assert stack.count("sales", "select count(*) from delivery") == ROWS


def _check_with_deaths(stack: Stack, group: Group, content: bytes) -> Json:
    """Sales dies twice while it reads the rows; the file need not be sent again."""
    stack.kill("sales")
    doomed = stack.start_service("sales", failpoint="import_checked:2")
    answers: list[httpx.Response] = []
    sending = threading.Thread(target=lambda: answers.append(_send(group, content, validateOnly="true")))
    sending.start()
    stack.wait_for("sales to end in the check", lambda: doomed.exit_code() is not None)
    doomed = stack.start_service("sales", failpoint="import_checked:3")
    stack.wait_for("sales to end in the check again", lambda: doomed.exit_code() is not None)
    stack.start_service("sales")
    sending.join()
    assert answers[0].status_code in {200, 202}, answers[0].text
    name, clerk = answers[0].json()["name"], group.people["information_clerk"]
    stack.wait_for("the check", lambda: _get(clerk, name).get("state") == "STATE_CHECKED")
    checked = _get(clerk, name)
    assert counts(checked) == (ROWS, 0, BAD)
    assert stack.count("sales", "select count(*) from delivery") == 0
    return checked


def _confirm_with_deaths(stack: Stack, clerk: httpx.Client, name: str) -> None:
    """Sales dies at its failpoints while the confirmed rows are taken over."""
    stack.kill("sales")
    doomed = stack.start_service("sales", failpoint=DEATHS[0])
    stack.wait_for("the confirmation", lambda: _confirm(clerk, name) or doomed.exit_code() is not None)
    for failpoint in DEATHS[1:]:
        stack.wait_for(f"sales to end before {failpoint}", lambda: doomed.exit_code() is not None)  # noqa: B023 - called at once
        assert doomed.exit_code() == -signal.SIGKILL
        assert 0 <= stack.count("sales", "select count(*) from delivery") < ROWS
        doomed = stack.start_service("sales", failpoint=failpoint)
    stack.wait_for("sales to end at last", lambda: doomed.exit_code() is not None)
    stack.start_service("sales")


def _send(group: Group, content: bytes, **parts: str) -> httpx.Response:
    """Sends the file, and the same request again while sales is away, as a careful client does."""
    clerk, key = group.people["information_clerk"], group.new_key()
    while True:
        answer = clerk.post(
            f"/v1/{group.store}/deliveries:import",
            files=form(content, **parts),
            headers={"Idempotency-Key": key},
            timeout=60,
        )
        if answer.status_code < 500:
            return answer
        time.sleep(0.2)


def _confirm(clerk: httpx.Client, name: str) -> bool:
    return clerk.post(f"/v1/{name}:confirm", json={}).status_code == 200


def _get(clerk: httpx.Client, name: str) -> Json:
    """The import, or nothing while sales is away."""
    answer = clerk.get(f"/v1/{name}")
    found: Json = answer.json()
    return found if answer.status_code == 200 else {}


def _ended(stack: Stack, clerk: httpx.Client, name: str) -> Json:
    stack.wait_for("the import", lambda: _get(clerk, name).get("state") in ENDED, seconds=120)
    return _get(clerk, name)


def _counts(stack: Stack) -> dict[str, int]:
    return {
        "deliveries": stack.count("sales", "select count(*) from delivery"),
        "events": stack.count("sales", "select count(*) from outbox where type like '%.DeliveryRecorded'"),
        "told once": stack.count(
            "sales", "select count(distinct key) from outbox where type like '%.DeliveryRecorded'"
        ),
        "plans": stack.count("customer_care", "select count(*) from care_plan"),
        "vehicles": stack.count("aftersales", "select count(*) from vehicle"),
        "frame": stack.count("scoring", "select count(*) from sample_frame"),
    }


def _lengths(stack: Stack) -> set[int]:
    """How many follow-ups the plans have."""
    return {count for (count,) in stack.rows("customer_care", "select count(*) from follow_up group by delivery_id")}


def _arrived(stack: Stack) -> bool:
    return min(_counts(stack).values()) >= ROWS
