"""Processes end by SIGKILL at the worst places and the broker loses its disk: nothing is lost, nothing is doubled."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.loop import Group, Json
from tests.support.stack import Stack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(280)]

_DEATHS = (
    ("sales", "after_commit:3"),
    ("sales", "after_publish:2"),
    ("customer_care", "before_ack:2"),
    ("customer_care", "after_ack:2"),
    ("customer_care", "after_publish:2"),
    ("aftersales", "before_ack:2"),
    ("aftersales", "after_publish:2"),
    ("scoring", "before_ack:2"),
)
_DELIVERIES_EACH = 6
_MOST_DELIVERIES = 200


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    stack.start()
    yield stack
    stack.stop()


def test_the_loop_survives_every_death_and_the_loss_of_the_broker(stack: Stack) -> None:
    group = Group(stack)
    deliveries = [group.deliver()]
    # The overdue reminder is planned when after-sales has told when the first service is due: the last to come.
    stack.wait_for("the first plan", lambda: any(one["step"] == "CAD-08" for one in group.follow_ups(deliveries[0])))
    each = len(group.follow_ups(deliveries[0]))

    for service, failpoint in _DEATHS:
        deliveries += _die_and_return(stack, group, service, failpoint)
    deliveries += _lose_the_broker(stack, group)

    stack.wait_for("everything to arrive", lambda: _arrived(stack, _expected(len(deliveries), each)))
    assert _counts(stack) == _expected(len(deliveries), each)
    _answer_all(stack, group, deliveries)
    assert _counts(stack) == _expected(len(deliveries), each)


def _die_and_return(stack: Stack, group: Group, service: str, failpoint: str) -> list[Json]:
    """The service ends at its failpoint while deliveries come in, and is started again."""
    stack.kill(service)
    doomed = stack.start_service(service, failpoint=failpoint)
    deliveries: list[Json] = []
    while doomed.exit_code() is None:
        assert len(deliveries) < _MOST_DELIVERIES, f"{service} did not end at {failpoint}"
        deliveries.append(_deliver_through(stack, group, service))
        time.sleep(0.2)
    assert doomed.exit_code() == -signal.SIGKILL
    if stack.children.get(service) is doomed:
        stack.start_service(service)
    return deliveries


def _deliver_through(stack: Stack, group: Group, service: str) -> Json:
    """One delivery; when the service that takes it is the one that dies, it comes back and the client repeats."""
    body, key = group.new_delivery(), group.new_key()
    try:
        return group.deliver(body, key=key, seconds=3 if service == "sales" else 60)
    except AssertionError:
        stack.start_service(service)
        # The first request may have taken effect before its answer was lost: the same key finds that out.
        return group.deliver(body, key=key)


def _lose_the_broker(stack: Stack, group: Group) -> list[Json]:
    """The JetStream store is wiped while deliveries come in."""
    before = [group.deliver() for _ in range(_DELIVERIES_EACH)]
    stack.wipe_jetstream()
    return before + [group.deliver() for _ in range(_DELIVERIES_EACH)]


def _arrived(stack: Stack, expected: dict[str, int]) -> bool:
    unpublished = sum(
        stack.count(service, "select count(*) from outbox where publish_time is null")
        for service in ("sales", "customer_care", "aftersales", "scoring", "gateway")
    )
    counts = _counts(stack)
    return unpublished == 0 and all(counts[what] >= number for what, number in expected.items())


def _counts(stack: Stack) -> dict[str, int]:
    return {
        "deliveries": stack.count("sales", "select count(*) from delivery"),
        "plans": stack.count("customer_care", "select count(*) from care_plan"),
        "follow_ups": stack.count("customer_care", "select count(*) from follow_up"),
        "surveys": stack.count("customer_care", "select count(*) from survey"),
        "vehicles": stack.count("aftersales", "select count(*) from vehicle"),
        "frame": stack.count("scoring", "select count(*) from sample_frame"),
    }


def _expected(deliveries: int, each: int) -> dict[str, int]:
    return dict.fromkeys(("deliveries", "plans", "surveys", "vehicles", "frame"), deliveries) | {
        "follow_ups": deliveries * each
    }


def _answer_all(stack: Stack, group: Group, deliveries: list[Json]) -> None:
    """Every survey is answered while scoring dies and the broker is wiped once more; each answer counts once."""
    stack.kill("scoring")
    stack.start_service("scoring", failpoint="before_ack:1")
    for number, delivery in enumerate(deliveries):
        (survey,) = group.surveys(delivery)
        body = {"answers": [{"question": "SSI.OVERALL", "mark": 6}, {"question": "SSI.INIT.GREETED", "mark": 7}]}
        specialist = group.people["care_specialist"]
        group.must(specialist.post(f"/v1/{survey['name']}:submit", json=body | {"mode": "INTERVIEW_MODE_PHONE"}))
        if number == len(deliveries) // 2:
            stack.wipe_jetstream()
    stack.wait_for("scoring to end", lambda: stack.children["scoring"].exit_code() is not None)
    stack.start_service("scoring")
    stack.wait_ready()

    stack.wait_for("the answers", lambda: stack.count("scoring", "select count(*) from response") >= len(deliveries))
    (model,) = group.grade()["models"]
    assert int(model["index"]["n"]) == len(deliveries)
    assert model["index"]["mean"] == 100
