"""Processes end by SIGKILL at the worst places and the broker loses its disk: nothing is lost, nothing is doubled."""

from __future__ import annotations

import signal
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


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    stack.start()
    yield stack
    stack.stop()


def test_the_loop_survives_every_death_and_the_loss_of_the_broker(stack: Stack) -> None:
    group = Group(stack)
    deliveries = [group.deliver()]
    stack.wait_for("the first plan", lambda: len(group.follow_ups(deliveries[0])) > 10)
    each = len(group.follow_ups(deliveries[0]))

    for service, failpoint in _DEATHS:
        deliveries += _die_and_return(stack, group, service, failpoint)
    deliveries += _lose_the_broker(stack, group)

    stack.wait_for("everything to arrive", lambda: _arrived(stack, len(deliveries)))
    assert _counts(stack) == _expected(len(deliveries), each)
    _answer_all(stack, group, deliveries)


def _die_and_return(stack: Stack, group: Group, service: str, failpoint: str) -> list[Json]:
    """The service ends at its failpoint while deliveries come in, and is started again."""
    stack.kill(service)
    doomed = stack.start_service(service, failpoint=failpoint)
    deliveries = []
    for _ in range(_DELIVERIES_EACH):
        if doomed.exit_code() is not None and stack.children.get(service) is doomed:
            stack.start_service(service)
        deliveries.append(_deliver_through(stack, group, service))
    stack.wait_for(f"{service} to end at {failpoint}", lambda: doomed.exit_code() is not None)
    assert doomed.exit_code() == -signal.SIGKILL
    if stack.children.get(service) is doomed:
        stack.start_service(service)
    stack.wait_ready()
    return deliveries


def _deliver_through(stack: Stack, group: Group, service: str) -> Json:
    """One delivery; when the service that takes it is the one that dies, it comes back and the client repeats."""
    body = group.new_delivery()
    try:
        return group.deliver(body, seconds=3 if service == "sales" else 60)
    except AssertionError:
        stack.start_service(service)
        # A new request for the same car: either the first one took effect or this one does, never both.
        answer = group.people["information_clerk"].post(f"/v1/{group.store}/deliveries", json=body)
        if answer.status_code == 409:
            query = {"vin": body["vin"]}
            found = group.people["information_clerk"].get(f"/v1/{group.store}/deliveries", params=query)
            (delivery,) = group.must(found)["deliveries"]
            return dict(delivery)
        return group.deliver(body) if answer.status_code >= 500 else group.must(answer)


def _lose_the_broker(stack: Stack, group: Group) -> list[Json]:
    """The JetStream store is wiped while deliveries come in."""
    before = [group.deliver() for _ in range(_DELIVERIES_EACH)]
    stack.wipe_jetstream()
    return before + [group.deliver() for _ in range(_DELIVERIES_EACH)]


def _arrived(stack: Stack, deliveries: int) -> bool:
    unpublished = sum(
        stack.count(service, "select count(*) from outbox where publish_time is null")
        for service in ("sales", "customer_care", "aftersales", "scoring", "gateway")
    )
    counts = _counts(stack)
    return unpublished == 0 and min(counts["plans"], counts["vehicles"], counts["frame"]) >= deliveries


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
