"""The multipart form of an upload: every part that is wrong is named, whatever else is in the form."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from dealerloop.imports.v1.imports_pb2 import Mapping
from gateway.api.requests import BadRequest
from gateway.imports import form
from gateway.imports.form import Sent

Part = tuple[str, Any]
FILE: Part = ("file", ("list.csv", b"vin\r\nX\r\n", "text/csv"))


def text(name: str, value: str) -> Part:
    """A part without a file name."""
    return name, (None, value)


def request(parts: Iterable[Part]) -> Request:
    """The form as a client sends it, in pieces of any size."""
    sent = httpx.Request("POST", "http://test/", files=list(parts))
    return raw(sent.read(), sent.headers["content-type"])


def raw(body: bytes, content_type: str) -> Request:
    async def pieces() -> AsyncIterator[Message]:
        for at in range(0, len(body), 50):
            yield {"type": "http.request", "body": body[at : at + 50], "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    source = pieces()
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", content_type.encode())]}
    return Request(scope, lambda: anext(source))


async def read(*parts: Part) -> Sent:
    async with form.read(request(parts)) as sent:
        return sent


async def broken(*parts: Part) -> dict[str, str]:
    """The broken rules by part."""
    with pytest.raises(BadRequest) as refused:
        await read(*parts)
    return {fault.field: fault.rule for fault in refused.value.faults}


async def test_a_file_alone_is_taken_over_row_by_row() -> None:
    async with form.read(request([FILE])) as sent:
        assert await sent.file.read() == b"vin\r\nX\r\n"
        assert (sent.file_name, sent.size) == ("list.csv", 8)
        assert (sent.validate_only, sent.all_or_nothing) == (False, False)
        assert (sent.mapping, sent.kept_mapping) == (None, "")


async def test_parts_may_stand_in_any_order() -> None:
    mapping = json.dumps({"columns": {"vin": "车架号"}, "dateOrder": "DATE_ORDER_MDY"})

    sent = await read(text("allOrNothing", "true"), FILE, text("mapping", mapping), text("validateOnly", "true"))

    assert sent.mapping == Mapping(columns={"vin": "车架号"}, date_order=Mapping.DATE_ORDER_MDY)
    assert (sent.validate_only, sent.all_or_nothing) == (True, True)


async def test_a_mapping_may_come_as_a_file_of_its_own() -> None:
    document = b'\xef\xbb\xbf{"constants": {"brand": "Honda"}}'

    sent = await read(FILE, ("mapping", ("mapping.json", document)))

    assert sent.mapping == Mapping(constants={"brand": "Honda"})


@pytest.mark.parametrize("name", ["honda-dms", "stores/bj-01/deliveryMappings/honda-dms", "deliveryMappings/all"])
async def test_a_mapping_may_be_the_name_of_a_kept_one(name: str) -> None:
    assert (await read(FILE, text("mapping", f" {name}\n"))).kept_mapping == name


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("C:\\Lists\\March 交车.xlsx", "March 交车.xlsx"),
        ("../../etc/passwd", "passwd"),
        ("x" * 300 + ".csv", "x" * 196 + ".csv"),
    ],
)
async def test_of_a_file_name_the_last_part_is_kept(given: str, shown: str) -> None:
    assert (await read(("file", (given, b"x")))).file_name == shown


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        ([text("validateOnly", "true")], {"file": "FILE_REQUIRED"}),
        ([text("file", "vin")], {"file": "FILE_EXPECTED"}),
        ([FILE, FILE], {"file": "REPEATED_PART"}),
        ([FILE, text("colour", "red"), text("store", "bj-01")], {"colour": "UNKNOWN_PART", "store": "UNKNOWN_PART"}),
        ([FILE, text("validateOnly", "yes")], {"validateOnly": "BOOLEAN"}),
        ([FILE, text("validateOnly", "")], {"validateOnly": "BOOLEAN"}),
        ([FILE, text("allOrNothing", "True")], {"allOrNothing": "BOOLEAN"}),
        ([FILE, text("mapping", "{")], {"mapping": "JSON_SYNTAX"}),
        ([FILE, text("mapping", "[1]")], {"mapping": "JSON_OBJECT"}),
        ([FILE, text("mapping", '"honda"')], {"mapping": "JSON_OBJECT"}),
        ([FILE, text("mapping", "")], {"mapping": "MAPPING_NAME"}),
        ([FILE, text("mapping", "Honda DMS")], {"mapping": "MAPPING_NAME"}),
        ([FILE, text("mapping", "stores/bj-01/deliveries/x")], {"mapping": "MAPPING_NAME"}),
        ([FILE, text("mapping", '{"colums": {}}')], {"mapping.colums": "UNKNOWN_FIELD"}),
        ([FILE, text("mapping", '{"columns": {"vin": 7}}')], {'mapping.columns["vin"]': "JSON_STRING"}),
        ([FILE, text("mapping", '{"headerRow": "one"}')], {"mapping.headerRow": "JSON_INTEGER"}),
        ([FILE, ("mapping", ("m.json", b"\xff\xfe{"))], {"mapping": "TEXT_ENCODING"}),
        ([FILE, ("mapping", ("m.json", b" " * (2**20 + 1)))], {"mapping": "TOO_LONG"}),
        ([FILE, *[text("x", "1")] * 21], {"body": "FORM_SYNTAX"}),
        ([text("mapping", "x" * (2**20 + 1)), FILE], {"body": "FORM_SYNTAX"}),
    ],
)  # fmt: skip
async def test_a_wrong_part_is_named_with_its_rule(parts: list[Part], wrong: dict[str, str]) -> None:
    assert await broken(*parts) == wrong


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "application/x-www-form-urlencoded", "multipart/mixed"]
)
async def test_another_kind_of_body_is_an_unsupported_type(content_type: str) -> None:
    with pytest.raises(HTTPException) as refused:
        async with form.read(raw(b"vin=1", content_type)):
            pass

    assert refused.value.status_code == 415


async def test_a_client_that_goes_away_leaves_nothing_behind() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"--b\r\n", "more_body": True},
        {"type": "http.disconnect"},
    ]
    source = iter(messages)

    async def receive() -> Message:
        return next(source)

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    with pytest.raises(HTTPException) as refused:
        async with form.read(Request({"type": "http", "method": "POST", "headers": headers}, receive)):
            pass

    assert refused.value.status_code == 400


async def test_a_form_without_its_end_is_not_taken_for_a_whole_one() -> None:
    body = request([FILE])
    whole = b"".join([piece async for piece in body.stream()])

    with pytest.raises(BadRequest) as refused:
        async with form.read(raw(whole.rstrip(b"\r\n")[:-2], body.headers["content-type"])):
            pass

    assert [(fault.field, fault.rule) for fault in refused.value.faults] == [("body", "FORM_SYNTAX")]


@given(body=st.binary(max_size=400), boundary=st.sampled_from(["b", "", '"', "b" * 300, "b; charset=no-such"]))
async def test_no_body_breaks_the_reading(body: bytes, boundary: str) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    for content in (body, b"--b\r\n" + body, part + body, part + body + b"\r\n--b--\r\n"):
        with suppress(BadRequest):
            async with form.read(raw(content, f"multipart/form-data; boundary={boundary}")) as sent:
                assert sent.size <= len(content)
