"""Proto to JSON by a plan that is made once per message type; the same document as protobuf's own json_format.

Semantics: `always_print_fields_with_no_presence`, so a client sees `0`, `""`, `false` and `[]`; a field with presence
(a message, an `optional`, a member of a oneof) is left out when it is not set. An INPUT_ONLY field is never shown.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.api.descriptors import INPUT_ONLY, behaviours, enum_of, is_map, message_of

Encode = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the offset is written as Z, arithmetic on naive values is faster
_BIG = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED64,
    FieldDescriptor.TYPE_SINT64,
}


def to_json(message: Message) -> bytes:
    """One message as UTF-8 JSON."""
    return orjson.dumps(to_value(message))


def to_value(message: Message) -> Any:
    """One message as what `json.loads` would give."""
    return message_plan(message.DESCRIPTOR)(message)


@cache
def message_plan(descriptor: Descriptor) -> Encode:
    """How a message of this type is encoded."""
    if descriptor.full_name == "google.protobuf.Timestamp":
        return _timestamp
    if descriptor.file.package == "google.protobuf":
        return _well_known
    plan: list[tuple[str, str, bool, Encode | None]] | None = None

    def encode(message: Message) -> dict[str, Any]:
        nonlocal plan
        if plan is None:  # made at the first use, so that a type may contain itself
            plan = [_field_plan(field) for field in descriptor.fields if INPUT_ONLY not in behaviours(field)]
        out: dict[str, Any] = {}
        for name, json_name, presence, convert in plan:
            if presence and not message.HasField(name):
                continue
            value = getattr(message, name)
            out[json_name] = value if convert is None else convert(value)
        return out

    return encode


def _field_plan(field: FieldDescriptor) -> tuple[str, str, bool, Encode | None]:
    return field.name, field.json_name, field.has_presence, _shape(field)


def _shape(field: FieldDescriptor) -> Encode | None:
    if is_map(field):
        key_is_bool = message_of(field).fields_by_name["key"].type == FieldDescriptor.TYPE_BOOL
        one = _single(message_of(field).fields_by_name["value"]) or _same
        if key_is_bool:
            return lambda items: {("true" if key else "false"): one(value) for key, value in items.items()}
        return lambda items: {str(key): one(value) for key, value in items.items()}
    single = _single(field)
    if not field.is_repeated:
        return single
    return list if single is None else lambda items: [single(item) for item in items]


def _single(field: FieldDescriptor) -> Encode | None:
    kind = field.type
    if kind in {FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP}:
        return message_plan(message_of(field))
    if kind == FieldDescriptor.TYPE_ENUM:
        return _enum(field)
    if kind in _BIG:
        return str
    if kind == FieldDescriptor.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode()
    if kind == FieldDescriptor.TYPE_FLOAT:
        return _float
    return _double if kind == FieldDescriptor.TYPE_DOUBLE else None


def _enum(field: FieldDescriptor) -> Encode:
    if enum_of(field).full_name == "google.protobuf.NullValue":
        return lambda _: None
    names = {number: value.name for number, value in enum_of(field).values_by_number.items()}
    return lambda value: names.get(value, value)


def _same(value: Any) -> Any:
    return value


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _float(value: float) -> float | str:
    shown = _double(value)
    # The shortest text that gives the same 32-bit value back, as every protobuf library prints it.
    return shown if isinstance(shown, str) else float(json_format.type_checkers.ToShortestFloat(shown))  # type: ignore[attr-defined]


def _timestamp(value: Any) -> str:
    text = (_EPOCH + timedelta(seconds=value.seconds)).isoformat()
    nanos = value.nanos
    if nanos == 0:
        return text + "Z"
    if nanos % 1_000_000 == 0:
        return f"{text}.{nanos // 1_000_000:03d}Z"
    if nanos % 1_000 == 0:
        return f"{text}.{nanos // 1_000:06d}Z"
    return f"{text}.{nanos:09d}Z"


def _well_known(value: Message) -> Any:
    return json_format.MessageToDict(value)
