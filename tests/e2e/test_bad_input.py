"""Bad input gets a 4xx problem that names the field and the rule, and changes nothing."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.loop import Group, Json

pytestmark = pytest.mark.xdist_group("stack")


def problem(answer: httpx.Response, status: int) -> Json:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    body: Json = answer.json()
    assert body["status"] == status
    assert body["title"]
    return body


def broken(answer: httpx.Response, status: int = 400) -> dict[str, str]:
    """The broken rules by field."""
    return {one["field"]: one["rule"] for one in problem(answer, status)["errors"]}


def post(group: Group, body: Any, **headers: str) -> httpx.Response:
    return group.people["information_clerk"].post(f"/v1/{group.store}/deliveries", json=body, headers=headers)


def other_check_digit(vin: str) -> str:
    return vin[:8] + ("1" if vin[8] != "1" else "2") + vin[9:]


def with_customer(body: Json, **changes: Any) -> Json:
    return body | {"customer": body["customer"] | changes}


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        (lambda body: body | {"vin": "LDL123"}, "vin", "VIN_LENGTH"),
        (lambda body: body | {"vin": "LDLIO000000000000"}, "vin", "VIN_CHARACTERS"),
        (lambda body: body | {"vin": other_check_digit(body["vin"])}, "vin", "VIN_CHECK_DIGIT"),
        (lambda body: with_customer(body, phone="12345"), "customer.phone", "PHONE_INVALID"),
        (lambda body: body | {"invoiceDate": "2026-02-29"}, "invoiceDate", None),
        (lambda body: body | {"invoiceDate": "yesterday"}, "invoiceDate", None),
        (lambda body: body | {"deliveryTime": "2100-01-01T00:00:00Z"}, "deliveryTime", None),
        (lambda body: body | {"deliveryTime": "soon"}, "deliveryTime", None),
        (lambda body: body | {"odometerKm": -1}, "odometerKm", None),
        (lambda body: body | {"odometerKm": "many"}, "odometerKm", None),
        (lambda body: body | {"odometerKm": 2**40}, "odometerKm", None),
        (lambda body: body | {"colour": "red"}, "colour", None),
        (lambda body: {key: value for key, value in body.items() if key != "customer"}, "customer", None),
        (lambda body: body | {"consultant": "stores/sh-01/staff/sales-consultant.sh-01"}, "consultant", None),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_rule(
    group: Group, change: Callable[[Json], Json], field: str, rule: str | None
) -> None:
    errors = broken(post(group, change(group.new_delivery())))

    (named,) = [name for name in errors if name == field or name.endswith(f".{field}")]
    assert rule in {None, errors[named]}
    assert errors[named]


@pytest.mark.parametrize(
    "content", [b"{", b"[1]", b'"text"', b"", b"\xff\xfe", b'{"vin": "\\ud800"}', b'{"vin": 1e999}', b"[" * 5000]
)
def test_what_is_no_delivery_is_refused(group: Group, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    answer = group.people["information_clerk"].post(f"/v1/{group.store}/deliveries", content=content, headers=headers)

    problem(answer, 400)


def test_a_body_that_is_too_large_is_refused(group: Group) -> None:
    body = json.dumps(group.new_delivery(model="x" * 2_000_000)).encode()

    answer = group.people["information_clerk"].post(
        f"/v1/{group.store}/deliveries", content=body, headers={"Content-Type": "application/json"}
    )

    problem(answer, 413)


def test_another_kind_of_content_is_refused(group: Group) -> None:
    answer = group.people["information_clerk"].post(f"/v1/{group.store}/deliveries", data={"vin": "x"})

    problem(answer, 415)


def test_a_store_that_there_is_not_looks_like_one_of_others(group: Group, elsewhere: Group) -> None:
    """Nobody learns which stores there are: what is not yours is refused in the same words."""
    clerk = group.people["information_clerk"]

    unknown = clerk.get("/v1/stores/nowhere/deliveries")
    foreign = clerk.get(f"/v1/{elsewhere.store}/deliveries")

    assert problem(unknown, 403)["title"] == problem(foreign, 403)["title"]


def test_an_administrator_learns_that_a_store_does_not_exist(group: Group) -> None:
    problem(group.admin.get("/v1/stores/nowhere"), 404)


def test_another_stores_delivery_cannot_be_reached_through_ones_own(group: Group, elsewhere: Group) -> None:
    theirs = elsewhere.deliver()
    disguised = theirs["name"].replace(elsewhere.store, group.store)

    problem(group.people["information_clerk"].get(f"/v1/{theirs['name']}"), 403)
    problem(group.people["information_clerk"].get(f"/v1/{disguised}"), 404)
    problem(group.people["information_clerk"].patch(f"/v1/{disguised}", json={"odometerKm": 1}), 404)


def test_a_car_is_delivered_once_and_the_other_store_is_not_named(group: Group, elsewhere: Group) -> None:
    theirs = elsewhere.deliver()

    answer = post(group, group.new_delivery(vin=theirs["vin"]))

    assert "VIN_ALREADY_DELIVERED" in json.dumps(problem(answer, 409))
    assert "sh-01" not in answer.text


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer x.y.z", "Basic YWRtaW46YWRtaW4=", "Bearer " + "a" * 5000])
def test_a_forged_token_is_refused(group: Group, token: str) -> None:
    answer = httpx.get(f"{group.stack.url}/v1/{group.store}/deliveries", headers={"Authorization": token})

    problem(answer, 401)
    assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_a_token_whose_roles_were_altered_is_refused(group: Group) -> None:
    header, payload, signature = group.people["information_clerk"].headers["Authorization"].split(".")
    altered = payload[:-2] + ("A" if payload[-2] != "A" else "B") + payload[-1]

    answer = httpx.get(
        f"{group.stack.url}/v1/{group.store}/deliveries", headers={"Authorization": f"{header}.{altered}.{signature}"}
    )

    problem(answer, 401)


def test_the_same_request_again_is_answered_again_and_does_nothing(group: Group) -> None:
    body, key = group.new_delivery(), str(uuid.uuid4())

    first = group.must(post(group, body, **{"Idempotency-Key": key}))
    again = group.must(post(group, body, **{"Idempotency-Key": key}))

    assert again == first


def test_a_replayed_request_with_another_body_is_refused(group: Group) -> None:
    key = str(uuid.uuid4())
    group.must(post(group, group.new_delivery(), **{"Idempotency-Key": key}))

    answer = post(group, group.new_delivery(), **{"Idempotency-Key": key})

    assert "IDEMPOTENCY_KEY_REUSED" in json.dumps(problem(answer, 409))


def test_an_update_on_a_stale_view_is_refused(group: Group) -> None:
    delivery = group.deliver()
    clerk = group.people["information_clerk"]
    group.must(clerk.patch(f"/v1/{delivery['name']}", json={"odometerKm": 20}, headers={"If-Match": delivery["etag"]}))

    stale = clerk.patch(f"/v1/{delivery['name']}", json={"odometerKm": 30}, headers={"If-Match": delivery["etag"]})

    problem(stale, 412)
    assert group.must(clerk.get(f"/v1/{delivery['name']}"))["odometerKm"] == 20


def test_a_vin_cannot_be_changed(group: Group) -> None:
    delivery = group.deliver()

    answer = group.people["information_clerk"].patch(
        f"/v1/{delivery['name']}", json={"vin": group.new_delivery()["vin"]}
    )

    assert any(field.endswith("vin") for field in broken(answer))


def test_unknown_paths_methods_and_parameters_are_problems(group: Group) -> None:
    problem(group.admin.get("/v1/unicorns"), 404)
    wrong_method = group.admin.delete(f"/v1/{group.store}")
    problem(wrong_method, 405)
    assert "GET" in wrong_method.headers["Allow"]
    assert "colour" in broken(group.admin.get("/v1/stores", params={"colour": "red"}))
    assert "pageSize" in broken(group.admin.get("/v1/stores", params={"pageSize": "-1"}))
    assert "pageToken" in broken(group.admin.get("/v1/stores", params={"pageToken": "made-up"}))


def test_a_survey_is_answered_once_and_an_altered_link_is_none(group: Group) -> None:
    delivery = group.deliver()
    group.stack.wait_for("the survey", lambda: len(group.surveys(delivery)) == 1)
    (survey,) = group.surveys(delivery)
    specialist = group.people["care_specialist"]
    body = {"answers": [{"question": "SSI.OVERALL", "mark": 7}], "mode": "INTERVIEW_MODE_PHONE"}
    path = survey["publicPath"]
    altered = path[:-3] + ("a" if path[-3] != "a" else "b") + path[-2:]

    group.must(specialist.post(f"/v1/{survey['name']}:submit", json=body))
    again = specialist.post(f"/v1/{survey['name']}:submit", json=body)
    used = httpx.get(f"{group.stack.url}{path}", headers={"Accept": "application/json"})
    forged = httpx.get(f"{group.stack.url}{altered}", headers={"Accept": "application/json"})
    page = httpx.post(f"{group.stack.url}{path}", data={})

    assert "SURVEY_ALREADY_SUBMITTED" in json.dumps(problem(again, 409))
    assert 400 <= used.status_code < 500
    assert problem(forged, forged.status_code)["status"] in {400, 404}
    assert 400 <= page.status_code < 500
    assert page.headers["content-type"].startswith("text/html")


def test_a_page_with_two_answers_to_one_question_stores_nothing(group: Group) -> None:
    delivery = group.deliver()
    group.stack.wait_for("the survey", lambda: len(group.surveys(delivery)) == 1)
    (survey,) = group.surveys(delivery)
    path = f"{group.stack.url}{survey['publicPath']}"
    names = re.findall(r'name="(q\.[^"]+)"', httpx.get(path).text)
    answers = {name: ["1", "7"] if name == "q.SSI.OVERALL" else "1" for name in names}

    page = httpx.post(path, params={"lang": "en"}, data=answers)

    assert page.status_code == 400
    assert page.text.count("answered twice") == 1
    assert [one["state"] for one in group.surveys(delivery)] == ["STATE_OPEN"]


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ([{"question": "SSI.OVERALL", "mark": 8}], "answers[0].mark"),
        ([{"question": "SSI.OVERALL", "mark": 0}], "answers[0].mark"),
        ([{"question": "SSI.OVERALL", "mark": 7}, {"question": "SSI.OVERALL", "mark": 7}], "answers[1].question"),
        ([{"question": "NO.SUCH", "mark": 7}], "answers[0].question"),
        ([{"question": "SSI.OVERALL", "text": "good"}], "answers[0]"),
        ([{"question": "SSI.INIT.GREETED", "mark": 7}], "answers"),
    ],
)
def test_answers_that_do_not_fit_the_questionnaire_are_refused(group: Group, answers: list[Json], field: str) -> None:
    delivery = group.deliver()
    group.stack.wait_for("the survey", lambda: len(group.surveys(delivery)) == 1)
    (survey,) = group.surveys(delivery)
    body = {"answers": answers, "mode": "INTERVIEW_MODE_PHONE"}

    answer = group.people["care_specialist"].post(f"/v1/{survey['name']}:submit", json=body)

    assert any(name.startswith(field) for name in broken(answer)), answer.text
    assert group.surveys(delivery)[0]["state"] == "STATE_OPEN"
