"""Personal data passes through every service and lies open nowhere: no log, no event, no row of any database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from tests.support.loop import Group
from tests.support.stack import ADMIN_PASSWORD, Stack
from tools.machine import SERVICES

pytestmark = pytest.mark.xdist_group("stack")

NAME, OTHER_NAME = "诸葛慕容雪", "司徒欧阳霜"
PHONE = "13912345678"
PLATE = "京N8Q7Z6"
NOTE = "她的孩子在第三小学读书"
OPINION = "请不要告诉我的邻居老周"
PASSWORD = "an-unforgettable-Zebra-9"
SECRETS = (NAME, OTHER_NAME, PHONE, PLATE, NOTE, OPINION, PASSWORD, ADMIN_PASSWORD)


@pytest.fixture(scope="module")
def told(group: Group, stack: Stack) -> None:
    """Everything that the product is told about a customer: rightly, wrongly, where it does not belong."""
    must, clerk, specialist = group.must, group.people["information_clerk"], group.people["care_specialist"]
    consultant = group.people["sales_consultant"]
    deliveries = f"/v1/{group.store}/deliveries"
    body = group.new_delivery(customer={"displayName": NAME, "phone": PHONE}, plate=PLATE)
    delivery = group.deliver(body)
    stack.wait_for("the care plan", lambda: bool(group.follow_ups(delivery)))

    customer = must(consultant.post(f"/v1/{delivery['customer']['name']}:reveal", json={"reason": "call back"}))
    assert customer["displayName"] == NAME
    for wrong in (
        {"customer": {"displayName": NAME, "phone": f"{PHONE}0000"}},
        {"customer": {"displayName": NAME, "phone": PHONE, PHONE: NAME}},
        {"plate": NAME * 20, "vin": PHONE},
    ):
        assert clerk.post(deliveries, json=group.new_delivery() | wrong).status_code == 400
    assert clerk.post(deliveries, json=body).status_code == 409
    assert clerk.get(f"/v1/stores/{PHONE}/deliveries").status_code in {400, 403, 404}
    assert clerk.get(f"{deliveries}/{NAME}", params={"plate": PLATE}).status_code in {400, 404}
    wrong_name = httpx.post(f"{stack.url}/v1/auth/token", data={"username": PHONE, "password": PASSWORD})
    assert wrong_name.status_code == 401

    contact = next(one for one in group.follow_ups(delivery) if one["step"] == "CAD-02")
    shown = must(specialist.post(f"/v1/{contact['name']}:revealContact", json={}))
    assert PHONE in shown["phone"]
    attempt = {"attemptTime": datetime.now(UTC).isoformat(), "outcome": "ATTEMPT_OUTCOME_NO_ANSWER", "note": NOTE}
    answer = specialist.post(
        f"/v1/{contact['name']}:recordAttempt",
        json={"attempt": attempt},
        headers={"Idempotency-Key": group.new_key()},
    )
    assert answer.json()["attempts"][0]["note"] == NOTE
    (survey,) = group.surveys(delivery)
    must(
        specialist.post(
            f"/v1/{survey['name']}:submit",
            json={
                "answers": [{"question": "SSI.OVERALL", "mark": 6}, {"question": "SSI.COMMENT", "text": OPINION}],
                "mode": "INTERVIEW_MODE_PHONE",
            },
            headers={"Idempotency-Key": group.new_key()},
        )
    )
    change = {"customer": {"displayName": OTHER_NAME, "phone": PHONE}}
    must(clerk.patch(f"/v1/{delivery['name']}", json=change))
    member = {"displayName": "Clerk", "password": PASSWORD, "roles": [{"role": "ROLE_INFORMATION_CLERK"}]}
    must(
        group.admin.post(
            f"/v1/{group.store}/staff",
            params={"staffId": "zebra"},
            json=member,
            headers={"Idempotency-Key": group.new_key()},
        )
    )
    stack.sign_in("zebra", PASSWORD)
    # Whatever is on its way arrives, and the relays have published.
    waiting = "SELECT count(*) FROM outbox WHERE publish_time IS NULL"
    stack.wait_for("the outboxes", lambda: not any(stack.count(one, waiting) for one in SERVICES))
    time.sleep(0.5)


def forms(secret: str) -> Iterator[str]:
    """The ways in which a text may stand in a log or in a row shown as text."""
    yield secret
    yield secret.encode().hex()
    if not secret.isascii():
        yield secret.encode("unicode_escape").decode()


@pytest.mark.usefixtures("told")
def test_no_log_of_any_process_shows_it(stack: Stack) -> None:
    paths = {*stack.places.logs.glob("*.log"), stack.postgres.log_path, stack.nats.log_path}
    logs = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in paths}

    assert {f"{name}.log" for name in SERVICES} <= set(logs)
    assert "service.started" in logs["sales.log"]
    for name, text in logs.items():
        assert [secret for secret in SECRETS for form in forms(secret) if form in text] == [], name


@pytest.mark.usefixtures("told")
def test_no_row_of_any_database_and_no_event_shows_it(stack: Stack) -> None:
    for service in SERVICES:
        tables = stack.rows(service, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in tables:
            text = "\n".join(row[0] for row in stack.rows(service, f'SELECT row_to_json(t)::text FROM "{table}" t'))
            found = [secret for secret in SECRETS for form in forms(secret) if form in text]
            assert found == [], f"{service}.{table}"


@pytest.mark.usefixtures("told")
def test_it_was_there_to_be_found(stack: Stack) -> None:
    assert stack.count("sales", "SELECT count(*) FROM customer WHERE phone_sealed IS NOT NULL")
    assert stack.count("customer_care", "SELECT count(*) FROM attempt WHERE sealed_note IS NOT NULL")
    assert stack.count("customer_care", "SELECT count(*) FROM response WHERE sealed_texts IS NOT NULL")
    assert stack.count("customer_care", "SELECT count(*) FROM idempotency")
