"""JSON to proto and back, with protobuf's own json_format as the judge."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.decoding import MAX_FAULTS, Faults, decode
from gateway.api.descriptors import is_map, message_of
from gateway.api.encoding import to_json, to_value
from tests.support import echo

_F = FieldDescriptor
_SIGNED_32 = st.integers(-(2**31), 2**31 - 1)
_SIGNED_64 = st.integers(-(2**63), 2**63 - 1)
_LARGEST_FLOAT = 3.4028234663852886e38
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    _F.TYPE_DOUBLE: st.floats(),
    # Protobuf cannot read back what it writes for the very largest one: its shortest decimal form lies above it.
    _F.TYPE_FLOAT: st.floats(width=32).filter(lambda value: abs(value) != _LARGEST_FLOAT),
    _F.TYPE_INT32: _SIGNED_32,
    _F.TYPE_SINT32: _SIGNED_32,
    _F.TYPE_INT64: _SIGNED_64,
    _F.TYPE_SINT64: _SIGNED_64,
    _F.TYPE_UINT32: st.integers(0, 2**32 - 1),
    _F.TYPE_FIXED32: st.integers(0, 2**32 - 1),
    _F.TYPE_UINT64: st.integers(0, 2**64 - 1),
    _F.TYPE_FIXED64: st.integers(0, 2**64 - 1),
    _F.TYPE_BOOL: st.booleans(),
    _F.TYPE_STRING: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    _F.TYPE_BYTES: st.binary(max_size=6),
    _F.TYPE_ENUM: st.sampled_from([0, 1, 2]),
}
_WELL_KNOWN: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "Timestamp": st.fixed_dictionaries(
        {
            "seconds": st.integers(int(datetime(1, 1, 1, tzinfo=UTC).timestamp()), 253402300799),
            "nanos": st.sampled_from([0, 1, 120, 1_000, 250_000_000, 999_999_999]),
        }
    ),
    "Duration": st.fixed_dictionaries({"seconds": st.integers(0, 10**9), "nanos": st.integers(0, 999_999_999)}),
    "FieldMask": st.fixed_dictionaries({"paths": st.lists(st.sampled_from(["a_bool", "nested.words"]), max_size=2)}),
}


def _messages(descriptor: Descriptor, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    if descriptor.name in _WELL_KNOWN:
        return _WELL_KNOWN[descriptor.name]
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field in descriptor.fields:
        if field.containing_oneof is not None and field.name not in {"maybe_int", "maybe_string"}:
            continue
        if (
            field.message_type is not None
            and not is_map(field)
            and field.message_type.name == "Everything"
            and not depth
        ):
            continue
        if is_map(field):
            value = message_of(field).fields_by_name["value"]
            if value.message_type is not None and not depth:
                continue
            key = _SCALARS[message_of(field).fields_by_name["key"].type]
            fields[field.name] = st.dictionaries(key, _one(value, depth), max_size=2)
        elif field.is_repeated:
            fields[field.name] = st.lists(_one(field, depth), max_size=2)
        else:
            fields[field.name] = _one(field, depth)
    choice: list[st.SearchStrategy[dict[str, Any]]] = [st.just({})]
    if "choice" in descriptor.oneofs_by_name:
        choice += [st.fixed_dictionaries({"left": _SIGNED_32}), st.fixed_dictionaries({"right": st.just("x")})]
    return st.builds(dict.__or__, st.fixed_dictionaries({}, optional=fields), st.one_of(choice))


def _one(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    return _SCALARS[field.type] if field.message_type is None else _messages(field.message_type, depth - 1)


_EVERYTHING = echo.contracts().services[0].file.message_types_by_name["Everything"]
_VALUES = _messages(_EVERYTHING, 1)


def _decoded(name: str, value: Any) -> tuple[Message, dict[str, str]]:
    message, faults = echo.make(name), Faults()
    decode(message, value, faults)
    return message, {fault.field: fault.rule for fault in faults.all}


@given(_VALUES)
def test_the_json_is_what_protobuf_itself_would_write(value: dict[str, Any]) -> None:
    message = echo.make("Everything", **value)

    ours = json.loads(to_json(message))

    assert ours == json_format.MessageToDict(message, always_print_fields_with_no_presence=True)


@given(_VALUES)
def test_what_protobuf_writes_is_read_as_protobuf_reads_it(value: dict[str, Any]) -> None:
    message = echo.make("Everything", **value)
    document = json_format.MessageToDict(message)

    ours, faults = _decoded("Everything", document)

    assert faults == {}
    assert ours.SerializeToString(deterministic=True) == json_format.ParseDict(
        document, echo.make("Everything")
    ).SerializeToString(deterministic=True)


def test_empty_lists_and_zero_values_are_shown_and_unset_things_are_not() -> None:
    value = to_value(echo.make("Item"))

    assert value["tags"] == []
    assert value["itemCount"] == 0
    assert value["colour"] == "COLOUR_UNSPECIFIED"
    assert "place" not in value
    assert "createTime" not in value


def test_what_is_for_input_only_is_never_shown() -> None:
    assert "secret" not in to_value(echo.make("Item", secret="s3cret"))


def test_members_may_be_written_in_either_way_but_not_in_both() -> None:
    assert _decoded("Item", {"item_count": 3})[0] == _decoded("Item", {"itemCount": 3})[0]
    assert _decoded("Item", {"item_count": 3, "itemCount": 3})[1] == {"itemCount": "ONE_OF"}


def test_read_only_members_are_ignored_whatever_they_hold() -> None:
    message, faults = _decoded("Item", {"name": 5, "createTime": [], "title": "Lamp"})

    assert faults == {}
    assert message == echo.make("Item", title="Lamp")


def test_null_is_the_same_as_not_there() -> None:
    assert _decoded("Item", {"title": None, "place": None, "tags": None}) == (echo.make("Item"), {})


@pytest.mark.parametrize(
    ("value", "field", "rule"),
    [
        ([], "body", "JSON_OBJECT"),
        ({"colour2": 1}, "colour2", "UNKNOWN_FIELD"),
        ({"nested": {"x": 1}}, "nested.x", "UNKNOWN_FIELD"),
        ({"anInt32": "1"}, "anInt32", "JSON_INTEGER"),
        ({"anInt32": True}, "anInt32", "JSON_INTEGER"),
        ({"anInt32": 1.5}, "anInt32", "JSON_INTEGER"),
        ({"anInt32": 2**31}, "anInt32", "INTEGER_RANGE"),
        ({"anInt32": 1e300}, "anInt32", "INTEGER_RANGE"),
        ({"anInt64": "9223372036854775808"}, "anInt64", "INTEGER_RANGE"),
        ({"anInt64": "१"}, "anInt64", "JSON_INTEGER"),
        ({"aUint64": -1}, "aUint64", "INTEGER_RANGE"),
        ({"aBool": "true"}, "aBool", "JSON_BOOLEAN"),
        ({"aBool": 1}, "aBool", "JSON_BOOLEAN"),
        ({"aString": 5}, "aString", "JSON_STRING"),
        ({"aString": "a\0b"}, "aString", "NUL_CHARACTER"),
        ({"aDouble": "5"}, "aDouble", "JSON_NUMBER"),
        ({"aDouble": []}, "aDouble", "JSON_NUMBER"),
        ({"aFloat": 1e40}, "aFloat", "NUMBER_RANGE"),
        ({"someBytes": "a"}, "someBytes", "JSON_BASE64"),
        ({"someBytes": "ä"}, "someBytes", "JSON_BASE64"),
        ({"aColour": "COLOUR_GREEN"}, "aColour", "JSON_ENUM"),
        ({"aColour": 1}, "aColour", "JSON_ENUM"),
        ({"aTime": "yesterday"}, "aTime", "JSON_TIMESTAMP"),
        ({"aTime": "2026-03-01T09:30:00"}, "aTime", "JSON_TIMESTAMP"),
        ({"aTime": "2026-02-30T09:30:00Z"}, "aTime", "JSON_TIMESTAMP"),
        ({"aTime": "0000-01-01T00:00:00Z"}, "aTime", "JSON_TIMESTAMP"),
        ({"aTime": 5}, "aTime", "JSON_TIMESTAMP"),
        ({"aDuration": "long"}, "aDuration", "JSON_DURATION"),
        ({"aMask": 5}, "aMask", "JSON_FIELDMASK"),
        ({"nested": "x"}, "nested", "JSON_OBJECT"),
        ({"words": "x"}, "words", "JSON_ARRAY"),
        ({"words": ["a", 1]}, "words[1]", "JSON_STRING"),
        ({"words": [None]}, "words[0]", "JSON_STRING"),
        ({"children": [{}, None]}, "children[1]", "JSON_OBJECT"),
        ({"children": [{"anInt32": "x"}]}, "children[0].anInt32", "JSON_INTEGER"),
        ({"counts": []}, "counts", "JSON_OBJECT"),
        ({"counts": {"a": "x"}}, 'counts["a"]', "JSON_INTEGER"),
        ({"names": {"a": "x"}}, 'names["a"]', "JSON_INTEGER"),
        ({"left": 1, "right": "x"}, "right", "ONE_OF"),
    ],
)
def test_a_wrong_value_is_named_with_its_path_and_rule(value: Any, field: str, rule: str) -> None:
    assert _decoded("Everything", value)[1] == {field: rule}


def test_all_faults_are_told_up_to_a_limit() -> None:
    _, faults = _decoded("Everything", {f"x{number}": 1 for number in range(1000)})

    assert len(faults) == MAX_FAULTS
