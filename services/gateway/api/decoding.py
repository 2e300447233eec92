"""JSON to proto by a plan that is made once per message type; every fault names its field and rule.

Stricter than protobuf's own parser where that guesses: an int32 is a JSON number, an enum is given by name, a NUL
character is refused (PostgreSQL cannot hold one), unknown and repeated members are refused. As in protobuf, a member
may be written in camelCase or as in the proto, and null means not set. OUTPUT_ONLY members are ignored, whatever they
hold, so that a client can send back what it read.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.api.descriptors import OUTPUT_ONLY, behaviours, enum_of, is_map, message_of
from kit.errors import FieldViolation

MAX_FAULTS = 50
_LONGEST_PATH = 100
_F = FieldDescriptor
_RFC3339 = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_INTEGERS: dict[int, tuple[int, int]] = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), (-(2**31), 2**31 - 1)),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), (0, 2**32 - 1)),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), (-(2**63), 2**63 - 1)),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), (0, 2**64 - 1)),
}
_TEXT_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_FLOAT32_MAX = 3.4028234663852886e38


class Faults:
    """Collects what is wrong with one document, each with the JSON path of its field."""

    def __init__(self) -> None:
        self.all: list[FieldViolation] = []

    def add(self, path: str, rule: str, message: str) -> None:
        """Notes one fault; after MAX_FAULTS the rest is left out."""
        if len(self.all) < MAX_FAULTS:
            self.all.append(FieldViolation(path, rule, message))


class _Wrong(Exception):
    def __init__(self, rule: str, message: str) -> None:
        super().__init__(rule, message)
        self.rule, self.message = rule, message


Convert = Callable[[Any], Any]
Put = Callable[[Message, Any, str, Faults], None]


def decode(message: Message, value: Any, faults: Faults, path: str = "") -> None:
    """Fills a message from a decoded JSON value; faults are collected, the message is then not to be used."""
    descriptor = message.DESCRIPTOR
    if descriptor.file.package == "google.protobuf":
        _well_known(message, value, path, faults)
        return
    if not isinstance(value, dict):
        faults.add(path or "body", "JSON_OBJECT", "must be an object")
        return
    plan = _plan(descriptor)
    seen: dict[str, str] = {}
    for name, item in value.items():
        here = f"{path}.{name}" if path else name
        known = plan.get(name)
        if known is None:
            faults.add(_clip(here), "UNKNOWN_FIELD", "is not a field of this request")
            continue
        field, put = known
        slot = field.containing_oneof.full_name if field.containing_oneof is not None else field.full_name
        if item is None or put is None:
            continue
        if slot in seen:
            faults.add(here, "ONE_OF", f"cannot be given together with {seen[slot]}")
            continue
        seen[slot] = name
        put(message, item, here, faults)


@cache
def _plan(descriptor: Descriptor) -> dict[str, tuple[FieldDescriptor, Put | None]]:
    plan: dict[str, tuple[FieldDescriptor, Put | None]] = {}
    for field in descriptor.fields:
        put = None if OUTPUT_ONLY in behaviours(field) else _put(field)
        plan[field.name] = plan[field.json_name] = (field, put)
    return plan


def _put(field: FieldDescriptor) -> Put:
    if is_map(field):
        return _put_map(field)
    if field.is_repeated:
        return _put_list(field)
    name = field.name
    if field.message_type is not None:

        def put_message(message: Message, value: Any, path: str, faults: Faults) -> None:
            part: Message = getattr(message, name)
            part.SetInParent()
            decode(part, value, faults, path)

        return put_message
    convert = _scalar(field)

    def put_scalar(message: Message, value: Any, path: str, faults: Faults) -> None:
        try:
            setattr(message, name, convert(value))
        except _Wrong as wrong:
            faults.add(path, wrong.rule, wrong.message)

    return put_scalar


def _put_list(field: FieldDescriptor) -> Put:
    name = field.name
    convert = None if field.message_type is not None else _scalar(field)

    def put(message: Message, value: Any, path: str, faults: Faults) -> None:
        if not isinstance(value, list):
            faults.add(path, "JSON_ARRAY", "must be an array")
            return
        items = getattr(message, name)
        for at, item in enumerate(value):
            here = f"{path}[{at}]"
            try:
                if convert is None:
                    decode(items.add(), item, faults, here)
                else:
                    items.append(convert(item))
            except _Wrong as wrong:
                faults.add(here, wrong.rule, wrong.message)

    return put


def _put_map(field: FieldDescriptor) -> Put:
    name = field.name
    key_field, value_field = (message_of(field).fields_by_name[part] for part in ("key", "value"))
    key_of = _scalar(key_field)
    convert = None if value_field.message_type is not None else _scalar(value_field)

    def put(message: Message, value: Any, path: str, faults: Faults) -> None:
        if not isinstance(value, dict):
            faults.add(path, "JSON_OBJECT", "must be an object")
            return
        items = getattr(message, name)
        for text, item in value.items():
            here = f'{path}["{_clip(text)}"]'
            try:
                key = key_of(from_text(key_field, text))
                if convert is None:
                    decode(items[key], item, faults, here)
                else:
                    items[key] = convert(item)
            except _Wrong as wrong:
                faults.add(here, wrong.rule, wrong.message)

    return put


def _scalar(field: FieldDescriptor) -> Convert:
    kind = field.type
    if kind == _F.TYPE_STRING:
        return _string
    if kind == _F.TYPE_BOOL:
        return _bool
    if kind == _F.TYPE_BYTES:
        return _bytes
    if kind == _F.TYPE_ENUM:
        return _enum(field)
    if kind in {_F.TYPE_DOUBLE, _F.TYPE_FLOAT}:
        limit = _FLOAT32_MAX if kind == _F.TYPE_FLOAT else float("inf")
        return lambda value: _number(value, limit)
    low, high = _INTEGERS[kind]
    return lambda value: _integer(value, low, high)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong("JSON_STRING", "must be a string")
    if "\0" in value:
        raise _Wrong("NUL_CHARACTER", "must not contain the character U+0000")
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("JSON_BOOLEAN", "must be true or false")
    return value


def _integer(value: Any, low: int, high: int) -> int:
    if isinstance(value, str) and high >= 2**62 and _TEXT_INTEGER.fullmatch(value):
        value = int(value)  # 64-bit integers are strings in JSON, since a JavaScript number cannot hold them
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Wrong("JSON_INTEGER", "must be an integer")
    if not low <= value <= high:
        raise _Wrong("INTEGER_RANGE", f"must be from {low} to {high}")
    return value


def _number(value: Any, limit: float) -> float:
    if value in ("NaN", "Infinity", "-Infinity") and isinstance(value, str):
        return float(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _Wrong("JSON_NUMBER", "must be a number")
    if abs(value) > limit:
        raise _Wrong("NUMBER_RANGE", "is too large")
    return float(value)


def _bytes(value: Any) -> bytes:
    text = _string(value)
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _Wrong("JSON_BASE64", "must be base64") from error


def _enum(field: FieldDescriptor) -> Convert:
    numbers = {name: value.number for name, value in enum_of(field).values_by_name.items()}

    def convert(value: Any) -> int:
        number = numbers.get(value) if isinstance(value, str) else None
        if number is None:
            raise _Wrong("JSON_ENUM", "must be one of " + ", ".join(name for name, at in numbers.items() if at))
        return number

    return convert


def from_text(field: FieldDescriptor, text: str) -> Any:
    """A query parameter or map key as the JSON value that its field expects; what does not fit stays text."""
    if field.type in _INTEGERS and _TEXT_INTEGER.fullmatch(text):
        return int(text)
    if field.type == _F.TYPE_BOOL:
        return {"true": True, "false": False}.get(text, text)
    if field.type in {_F.TYPE_DOUBLE, _F.TYPE_FLOAT}:
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _well_known(message: Message, value: Any, path: str, faults: Faults) -> None:
    name = message.DESCRIPTOR.name
    if name == "Timestamp" and not (isinstance(value, str) and _RFC3339.fullmatch(value)):
        faults.add(path, "JSON_TIMESTAMP", "must be an RFC 3339 time with offset, such as 2026-03-01T09:30:00+08:00")
        return
    if isinstance(value, str) and name in {"Timestamp", "Duration"}:
        value = value.upper() if name == "Timestamp" else value
    try:
        json_format.ParseDict(value, message)
    except (json_format.ParseError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        faults.add(path, f"JSON_{name.upper()}", f"is not a valid {name}")


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST_PATH else text[: _LONGEST_PATH - 1] + "…"
