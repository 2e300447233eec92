"""Path templates and the bindings that the contracts give."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.api import bindings, descriptors, templates
from gateway.api.templates import BadPath, BadTemplate
from tests.support import echo

_HEAD = """
syntax = "proto3";
package dealerloop.wrong.v1;
import "dealerloop/options.proto";
import "google/api/annotations.proto";
message Empty { int32 number = 1; string text = 2; }
"""


@pytest.mark.parametrize(
    ("template", "path", "variables"),
    [
        ("/v1/stores", "/v1/stores", {}),
        ("/v1/{name=stores/*}", "/v1/stores/bj-01", {"name": "stores/bj-01"}),
        ("/v1/{name=stores/*/calendar}", "/v1/stores/a/calendar", {"name": "stores/a/calendar"}),
        ("/v1/{a.b=x/*}/things/{c}", "/v1/x/1/things/2", {"a.b": "x/1", "c": "2"}),
        ("/v1/{name=stores/*}", "/v1/stores/%E4%BA%AC%20x", {"name": "stores/京 x"}),
        ("/v1/{name=stores/*}", "/v1/stores/", None),
        ("/v1/{name=stores/*}", "/v1/stores/a/b", None),
        ("/v1/{name=stores/*/calendar}", "/v1/stores/a/diary", None),
    ],
)
def test_a_path_matches_its_template_only(template: str, path: str, variables: dict[str, str] | None) -> None:
    assert templates.parse(template).match(path) == variables


@pytest.mark.parametrize("segment", ["%ff", "%C3%28", "a%2Fb", "a%00b"])
def test_a_segment_that_is_not_one_text_is_refused(segment: str) -> None:
    with pytest.raises(BadPath):
        templates.parse("/v1/{name=stores/*}").match(f"/v1/stores/{segment}")


@pytest.mark.parametrize("text", ["v1/stores", "/v1/*", "/v1/{name=**}", "/v1/{name", "/v1/{Name=*}", "/v1//stores"])
def test_a_template_that_cannot_be_served_is_an_error(text: str) -> None:
    with pytest.raises(BadTemplate):
        templates.parse(text)


def test_a_path_is_found_by_its_shape_and_method() -> None:
    found = echo.bound().match("/v1/stores/bj-01/items/7")

    assert {verb: binding.method.name for verb, (binding, _) in found.items()} == {
        "GET": "GetItem",
        "PATCH": "UpdateItem",
    }
    assert found["GET"][1] == {"name": "stores/bj-01/items/7"}
    assert found["PATCH"][1] == {"item.name": "stores/bj-01/items/7"}


def test_a_verb_after_the_colon_is_not_part_of_the_id() -> None:
    bound = echo.bound()

    assert [each.method.name for each, _ in bound.match("/v1/stores/a/items/7:break").values()] == ["BreakItem"]
    assert bound.match("/v1/stores/a/items/7:polish") == {}
    assert bound.match("/v1/stores/a/items/7%3Abreak")["GET"][1] == {"name": "stores/a/items/7:break"}


def test_additional_bindings_are_served_too_and_unannotated_methods_are_not() -> None:
    names = [(each.method.name, each.template.text) for each in echo.bound().all]

    assert ("ListItems", "/v1/{parent=stores/*}/goods") in names
    assert "GetInside" not in {name for name, _ in names}


def test_a_binding_knows_where_the_etag_goes() -> None:
    assert echo.binding("UpdateItem").etag == "item.etag"
    assert echo.binding("BreakItem").etag == "etag"
    assert echo.binding("CreateItem").etag == ""


def test_a_field_path_is_told_as_the_client_sent_it() -> None:
    create = echo.binding("CreateItem")

    assert create.client_path("item.place.shelf") == "place.shelf"
    assert create.client_path("item") == "body"
    assert create.client_path("parent") == "parent"
    assert echo.binding("BreakItem").client_path("how") == "how"


@pytest.mark.parametrize(
    ("rpc", "told"),
    [
        ("rpc Do(Empty) returns (Empty);", "has no \\(dealerloop.access\\) option"),
        (
            'rpc Do(Empty) returns (Empty) { option (google.api.http) = {get: "/v1/x"}; }',
            "has no \\(dealerloop.access\\) option",
        ),
        (
            'rpc Do(Empty) returns (Empty) { option (google.api.http) = {get: "/v1/x"};'
            " option (dealerloop.access) = {scope: SCOPE_SERVICE}; }",
            "for services only",
        ),
        (
            'rpc Do(Empty) returns (Empty) { option (google.api.http) = {get: "/v1/{number}"};'
            " option (dealerloop.access) = {scope: SCOPE_SELF}; }",
            "number is not a string",
        ),
        (
            'rpc Do(Empty) returns (Empty) { option (google.api.http) = {get: "/v1/{missing}"};'
            " option (dealerloop.access) = {scope: SCOPE_SELF}; }",
            "has no field missing",
        ),
        (
            'rpc Do(Empty) returns (Empty) { option (google.api.http) = {post: "/v1/x" body: "text"};'
            " option (dealerloop.access) = {scope: SCOPE_SELF}; }",
            "text is not a message",
        ),
        (
            'rpc Do(stream Empty) returns (Empty) { option (google.api.http) = {post: "/v1/x" body: "*"};'
            " option (dealerloop.access) = {scope: SCOPE_SELF}; }",
            "streams from the client",
        ),
        (
            'rpc Do(Empty) returns (Empty) { option (google.api.http) = {get: "/v1/x"'
            ' additional_bindings {get: "/v1/x"}}; option (dealerloop.access) = {scope: SCOPE_SELF}; }',
            "have the same path",
        ),
    ],
)
def test_a_contract_that_cannot_be_served_stops_the_start(tmp_path: Path, rpc: str, told: str) -> None:
    package = f"dealerloop.wrong{abs(hash(rpc))}.v1"
    name = f"{package}.proto"
    (tmp_path / name).write_text(_HEAD.replace("dealerloop.wrong.v1", package) + f"service Wrong {{ {rpc} }}")
    contracts = descriptors.load(echo.compile_set(tmp_path, name), prefix="dealerloop.wrong")

    with pytest.raises(bindings.ContractError, match=told):
        bindings.read(contracts)


def test_comments_come_with_the_contracts() -> None:
    contracts = echo.contracts()

    assert contracts.comment(f"{echo.SERVICE}.CreateItem") == "Makes a thing."
    assert contracts.comment("dealerloop.echo.v1.Item.title") == "Its title, such as `Lamp`."
    assert contracts.comment("dealerloop.echo.v1.Colour.COLOUR_RED") == "Red."
    assert contracts.comment("dealerloop.echo.v1.Nothing") == ""
