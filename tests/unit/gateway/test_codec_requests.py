"""Path, query, headers and body become one request message; what does not fit is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf import json_format

from gateway.api.requests import MAX_PARAMETERS, BadRequest, build, parse_json, parse_query
from tests.support import echo

_ITEM = {"item.name": "stores/a/items/1"}
_PARENT = {"parent": "stores/a"}


def request(
    method: str,
    variables: Mapping[str, str],
    query: str = "",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    message = build(echo.binding(method), variables, parse_query(query.encode()), body, headers or {})
    found: dict[str, Any] = json_format.MessageToDict(message)
    return found


def faults(*arguments: Any, **more: Any) -> dict[str, str]:
    with pytest.raises(BadRequest) as refused:
        request(*arguments, **more)
    return {fault.field: fault.rule for fault in refused.value.faults}


def test_path_query_and_body_are_put_together() -> None:
    found = request("CreateItem", _PARENT, "requestId=r1", {"title": "Lamp", "place": {"levelNumber": 2}})

    assert found == {
        "parent": "stores/a",
        "requestId": "r1",
        "item": {"title": "Lamp", "place": {"levelNumber": 2}},
    }


def test_query_parameters_are_typed_repeated_and_nested() -> None:
    query = (
        "pageSize=5&colours=COLOUR_RED&colours=COLOUR_BLUE&place.shelf=top&place.level_number=3"
        "&since=2026-03-01T09%3A30%3A00%2B08%3A00&showDeleted=true&more_than=9007199254740993"
    )

    assert request("ListItems", _PARENT, query) == {
        "parent": "stores/a",
        "pageSize": 5,
        "colours": ["COLOUR_RED", "COLOUR_BLUE"],
        "place": {"shelf": "top", "levelNumber": 3},
        "since": "2026-03-01T01:30:00Z",
        "showDeleted": True,
        "moreThan": "9007199254740993",
    }


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ("colour=red", "colour", "UNKNOWN_PARAMETER"),
        ("parent=stores/b", "parent", "UNKNOWN_PARAMETER"),
        ("place=x", "place", "UNKNOWN_PARAMETER"),
        ("place.depth=1", "place.depth", "UNKNOWN_PARAMETER"),
        ("page_size.x=1", "page_size.x", "UNKNOWN_PARAMETER"),
        ("since=2026-03-01T01:30:00Z&since.seconds=1", "since.seconds", "UNKNOWN_PARAMETER"),
        ("pageSize=1&pageSize=2", "pageSize", "REPEATED_PARAMETER"),
        ("pageSize=1&page_size=2", "page_size", "REPEATED_PARAMETER"),
        ("pageSize=many", "pageSize", "JSON_INTEGER"),
        ("pageSize=99999999999999999999999", "pageSize", "JSON_INTEGER"),
        ("pageSize=9999999999", "pageSize", "INTEGER_RANGE"),
        ("pageSize=", "pageSize", "JSON_INTEGER"),
        ("showDeleted=yes", "showDeleted", "JSON_BOOLEAN"),
        ("colours=COLOUR_GREEN", "colours[0]", "JSON_ENUM"),
        ("since=now", "since", "JSON_TIMESTAMP"),
        ("place.shelf=a%00b", "place.shelf", "NUL_CHARACTER"),
        ("place.shelf=%ff", "place.shelf", "QUERY_ENCODING"),
        ("&".join(["x=1"] * (MAX_PARAMETERS + 1)), "query", "TOO_MANY_PARAMETERS"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, field: str, rule: str) -> None:
    assert faults("ListItems", _PARENT, query) == {field: rule}


def test_fields_of_the_body_are_named_as_in_the_body() -> None:
    assert faults("CreateItem", _PARENT, body={"itemCount": "x", "place": {"depth": 1}}) == {
        "itemCount": "JSON_INTEGER",
        "place.depth": "UNKNOWN_FIELD",
    }


def test_a_body_is_needed_where_it_is_a_resource_and_refused_where_there_is_none() -> None:
    assert faults("CreateItem", _PARENT) == {"body": "BODY_REQUIRED"}
    assert faults("CreateItem", _PARENT, body=[]) == {"body": "JSON_OBJECT"}
    assert faults("BreakItem", {"name": "x"}, body="x") == {"body": "JSON_OBJECT"}
    assert request("BreakItem", {"name": "x"}) == {"name": "x"}


def test_a_body_that_is_the_whole_request_leaves_nothing_to_the_query() -> None:
    assert faults("BreakItem", {"name": "x"}, "how=softly", {}) == {"how": "UNKNOWN_PARAMETER"}


def test_the_path_wins_and_another_name_in_the_body_is_refused() -> None:
    same = request("UpdateItem", _ITEM, body={"name": "stores/a/items/1", "title": "Lamp"})

    assert same["item"]["name"] == "stores/a/items/1"
    assert faults("UpdateItem", _ITEM, body={"name": "stores/b/items/1"}) == {"name": "PATH_CONFLICT"}
    assert faults("BreakItem", {"name": "x"}, body={"name": "y"}) == {"name": "PATH_CONFLICT"}


@pytest.mark.parametrize(
    ("body", "mask"),
    [
        ({"title": "Lamp"}, "title"),
        ({"title": None, "itemCount": 0}, "title,itemCount"),
        ({"place": {"levelNumber": 2}}, "place.levelNumber"),
        ({"place": {}}, "place"),
        ({"place": None}, "place"),
        ({"tags": []}, "tags"),
        ({"title": "Lamp", "etag": "3", "name": "stores/a/items/1", "createTime": "x"}, "title"),
    ],
)
def test_what_the_body_of_a_patch_sets_is_what_changes(body: dict[str, Any], mask: str) -> None:
    assert request("UpdateItem", _ITEM, body=body)["updateMask"] == mask


@pytest.mark.parametrize("name", ["updateMask", "update_mask"])
def test_a_mask_that_is_given_counts(name: str) -> None:
    found = request("UpdateItem", _ITEM, f"{name}=place.levelNumber,title", {"title": "Lamp", "tags": ["a"]})

    assert found["updateMask"] == "place.levelNumber,title"


def test_the_idempotency_key_is_the_request_id() -> None:
    found = request("CreateItem", _PARENT, body={}, headers={"idempotency-key": "k1"})

    assert found["requestId"] == "k1"
    both = request("CreateItem", _PARENT, "requestId=k1", {}, {"idempotency-key": "k1"})
    assert both["requestId"] == "k1"
    assert faults("CreateItem", _PARENT, "requestId=k2", {}, {"idempotency-key": "k1"}) == {
        "requestId": "IDEMPOTENCY_KEY_CONFLICT"
    }
    assert faults("CreateItem", _PARENT, body={}, headers={"idempotency-key": "k" * 65}) == {
        "Idempotency-Key": "HEADER_FORMAT"
    }


@pytest.mark.parametrize(("header", "etag"), [('"7"', '"7"'), ('W/"7"', '"7"'), ("7", "7")])
def test_if_match_is_the_etag(header: str, etag: str) -> None:
    assert request("UpdateItem", _ITEM, body={}, headers={"if-match": header})["item"]["etag"] == etag
    assert request("BreakItem", {"name": "x"}, body={}, headers={"if-match": header})["etag"] == etag
    assert request("BreakItem", {"name": "x"}, body={"etag": '"7"'}, headers={"if-match": header})["etag"] == etag


def test_if_match_must_make_sense() -> None:
    assert "etag" not in request("UpdateItem", _ITEM, body={}, headers={"if-match": "*"})["item"]
    assert faults("UpdateItem", _ITEM, body={}, headers={"if-match": '"1", "2"'}) == {"If-Match": "HEADER_FORMAT"}
    assert faults("UpdateItem", _ITEM, body={"etag": "8"}, headers={"if-match": '"7"'}) == {"If-Match": "ETAG_CONFLICT"}
    assert faults("CreateItem", _PARENT, body={}, headers={"if-match": '"7"'}) == {"If-Match": "IF_MATCH_NOT_SUPPORTED"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'"\\ud800"',
        b'{"a": "\xed\xa0\x80"}',
        b"[" * 100_000,
        b"{}x",
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_json(body)

    assert refused.value.faults[0].rule == "JSON_SYNTAX"


def test_what_is_json_is_read() -> None:
    document = {"a": [1, 2.5, "京", None, True]}

    assert parse_json(json.dumps(document).encode()) == document
