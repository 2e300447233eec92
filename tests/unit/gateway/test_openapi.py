"""What the OpenAPI document says of a contract."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.api import docs, openapi
from gateway.api.paths import split_pattern
from tests.support import echo

Json = dict[str, Any]


@cache
def document() -> Json:
    return openapi.document(echo.bound(), echo.contracts())


def operation(name: str) -> Json:
    found: Json = next(
        each
        for item in document()["paths"].values()
        for each in item.values()
        if each["operationId"] == f"EchoService_{name}"
    )
    return found


def parameter(operation_name: str, name: str) -> Json:
    found: Json = next(each for each in operation(operation_name)["parameters"] if each["name"] == name)
    return found


def schema(name: str) -> Json:
    found: Json = document()["components"]["schemas"][name]
    return found


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_paths_show_the_names_of_their_parts() -> None:
    paths = {path: set(item) for path, item in document()["paths"].items() if path.startswith("/v1/stores")}

    assert paths == {
        "/v1/stores/{store}/items": {"get", "post"},
        "/v1/stores/{store}/goods": {"get"},
        "/v1/stores/{store}/items/{item}": {"get", "patch"},
        "/v1/stores/{store}/items/{item}:break": {"post"},
        "/v1/stores/{store}/items:watch": {"get"},
    }
    assert parameter("BreakItem", "store")["schema"]["pattern"] == "^[a-z][a-z0-9-]{0,38}$"
    assert parameter("BreakItem", "item")["schema"]["pattern"] == "^[a-z0-9 :]{1,36}$"


def test_no_two_operations_have_one_id() -> None:
    ids = [each["operationId"] for item in document()["paths"].values() for each in item.values()]

    assert len(ids) == len(set(ids))


def test_comments_and_access_become_the_description() -> None:
    create = operation("CreateItem")

    assert create["summary"] == "Makes a thing"
    assert "Needs the permission `echo.write` in the store." in create["description"]
    assert schema("ItemInput")["properties"]["title"]["description"] == "Its title, such as `Lamp`."
    assert schema("ItemInput")["properties"]["title"]["examples"] == ["Lamp"]


def test_the_input_has_the_rules_and_the_reply_has_not() -> None:
    given, shown = schema("ItemInput"), schema("Item")

    assert given["required"] == ["title", "colour"]
    assert given["additionalProperties"] is False
    assert given["properties"]["title"]["maxLength"] == 20
    assert given["properties"]["itemCount"] | {"minimum": 0, "maximum": 100} == given["properties"]["itemCount"]
    assert given["properties"]["tags"]["maxItems"] == 3
    assert given["properties"]["tags"]["items"]["maxLength"] == 5
    assert given["properties"]["colour"]["enum"] == ["COLOUR_RED", "COLOUR_BLUE"]
    assert given["properties"]["day"]["pattern"] == r"^$|^\d{4}-\d{2}-\d{2}$"
    assert given["properties"]["name"]["readOnly"] is True
    assert "secret" in given["properties"]

    assert "secret" not in shown["properties"]
    assert "maxLength" not in shown["properties"]["title"]
    assert shown["properties"]["colour"]["$ref"] == "#/components/schemas/Colour"
    assert set(shown["required"]) == {"name", "title", "itemCount", "tags", "colour", "day", "etag"}


def test_null_stands_for_what_is_not_set_where_something_may_be_left_out() -> None:
    given, shown = schema("ItemInput")["properties"], schema("Item")["properties"]

    assert given["itemCount"]["type"] == ["integer", "null"]
    assert given["place"]["anyOf"] == [{"$ref": "#/components/schemas/PlaceInput"}, {"type": "null"}]
    assert given["title"]["type"] == shown["itemCount"]["type"].replace("integer", "string") == "string"
    assert schema("ItemPatch")["properties"]["colour"]["enum"] == ["COLOUR_RED", "COLOUR_BLUE", None]


def test_a_patch_requires_nothing() -> None:
    patch = schema("ItemPatch")

    assert "required" not in patch
    assert patch["additionalProperties"] is False


def test_every_value_of_an_enum_is_explained() -> None:
    colour = schema("Colour")

    assert colour["enum"] == ["COLOUR_UNSPECIFIED", "COLOUR_RED", "COLOUR_BLUE"]
    assert "- `COLOUR_RED`: Red." in colour["description"]


def test_the_query_takes_what_the_path_and_the_body_do_not() -> None:
    names = {each["name"] for each in operation("ListItems")["parameters"]}

    assert names == {"store", "pageSize", "colours", "since", "showDeleted", "moreThan"}
    assert parameter("ListItems", "moreThan")["schema"]["type"] == "string"
    assert parameter("CreateItem", "requestId")["in"] == "query"
    assert parameter("UpdateItem", "updateMask")["schema"]["type"] == "string"
    assert [each["name"] for each in operation("BreakItem")["parameters"] if each["in"] == "query"] == []


def test_headers_are_shown_where_they_count() -> None:
    assert parameter("CreateItem", "Idempotency-Key")["in"] == "header"
    assert parameter("UpdateItem", "If-Match")["in"] == "header"
    assert "If-Match" not in {each["name"] for each in operation("CreateItem")["parameters"]}
    assert "ETag" in operation("GetItem")["responses"]["200"]["headers"]


def test_problems_are_shown() -> None:
    assert set(operation("UpdateItem")["responses"]) == {
        "200", "400", "401", "403", "404", "409", "412", "413", "415", "429", "503", "default",
    }  # fmt: skip
    assert operation("GetOpen")["security"] == []
    assert "401" not in operation("GetOpen")["responses"]


def test_a_stream_is_shown_as_lines_and_events() -> None:
    assert set(operation("WatchItems")["responses"]["200"]["content"]) == {"application/x-ndjson", "text/event-stream"}


def test_what_no_contract_describes_is_there_too() -> None:
    paths = document()["paths"]

    assert {"/v1/auth/token", "/s/{token}", "/healthz", "/readyz", "/openapi.json", "/docs"} <= set(paths)
    flows = document()["components"]["securitySchemes"]["password"]["flows"]
    assert flows["password"]["tokenUrl"] == "/v1/auth/token"


@pytest.mark.parametrize(
    ("pattern", "pieces"),
    [
        ("stores/[a-z]{1,3}", ["stores", "[a-z]{1,3}"]),
        ("a/[x/y]+/(b|c/d)", ["a", "[x/y]+", "(b|c/d)"]),
        ("a", ["a"]),
    ],
)
def test_a_pattern_is_cut_at_its_slashes_only(pattern: str, pieces: list[str]) -> None:
    assert split_pattern(pattern) == pieces


def test_the_page_needs_nothing_from_elsewhere() -> None:
    html = docs.render(document(), "")

    assert "<script" not in html
    assert "src=" not in html
    assert "//" not in html.replace("http://127.0.0.1", "")
    assert "curl -X POST &#34;$BASE/v1/stores/bj-01/items&#34;" in html
    assert '<a href="#schema-ItemInput">ItemInput</a>' in html


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("care.example.com:8443", "http://care.example.com:8443"),
        ("[::1]:8090", "http://[::1]:8090"),
        ("<script>", "http://127.0.0.1:8080"),
    ],
)
async def test_the_commands_of_the_page_call_the_address_where_it_was_read(host: str, base: str) -> None:
    app = FastAPI(docs_url=None)
    docs.add_routes(app, document())

    async with AsyncClient(transport=ASGITransport(app), base_url="http://gateway") as client:
        page = (await client.get("/docs", headers={"Host": host})).text

    assert f"<pre>BASE={base}\n" in page
