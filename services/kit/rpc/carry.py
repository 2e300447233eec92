"""Carries fields of the same name between mapped objects and messages; only differences are written by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from kit.errors import invalid
from kit.rpc.fields import enum_of, is_map, is_message, message_of

M = TypeVar("M", bound=Message)
Convert = Callable[[Any], Any]

_TIMESTAMP = "google.protobuf.Timestamp"
_DURATION = "google.protobuf.Duration"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_plans: dict[tuple[type, type[Message]], tuple[tuple[str, Convert | None], ...]] = {}


def carry(source: object, message_class: type[M], /, **overrides: Any) -> M:
    """A message with every field that `source` has an attribute for, and the overrides.

    datetime → Timestamp, timedelta → Duration, date → `YYYY-MM-DD`, UUID and Decimal → text, Enum → the proto value of
    the same name (with or without the proto's prefix), a nested object → a nested message, None → not set. Attributes
    that an override replaces are not read, so that a relationship which is not loaded does no harm.

    Raises:
        TypeError, ValueError: a value does not fit into its field; a mistake of ours.
    """
    key = (type(source), message_class)
    plan = _plans.get(key)
    if plan is None:
        plan = _plans[key] = _plan(source, message_class)
    fields: dict[str, Any] = {}
    for name, convert in plan:
        if name in overrides:
            continue
        value = getattr(source, name)
        if value is not None:
            fields[name] = value if convert is None else convert(value)
    if overrides:
        converters = _converters(message_class.DESCRIPTOR)
        for name, value in overrides.items():
            if value is not None:
                fields[name] = converters[name](value) if name in converters else value
    return message_class(**fields)


def values(message: Message, *fields: str) -> dict[str, Any]:
    """The named fields (all when none is named) as Python values, ready for a mapped object's constructor.

    Timestamp → aware UTC datetime, Duration → timedelta, an enum → its name without the proto's prefix or None when
    unspecified, text in a field called `date` or `*_date` → date or None when empty, an unset message or optional field
    → None, repeated → list, map → dict. Other messages come as they are.

    Raises:
        InvalidArgument: a date that is not in the calendar (rule DATE), an instant before the year 1 or after the year
            9999 (rule TIME_RANGE).
        KeyError: the message has no such field; a mistake of ours.
    """
    readers = _readers(message.DESCRIPTOR)
    return {name: readers[name](message) for name in (fields or readers)}


def _plan(source: object, message_class: type[Message]) -> tuple[tuple[str, Convert | None], ...]:
    kind = type(source)
    # The class is asked, not the object: asking the object would load what is not loaded.
    own = {field.name for field in dataclasses.fields(source)} if dataclasses.is_dataclass(source) else set()
    names = own | set(getattr(source, "__dict__", ()))
    converters = _converters(message_class.DESCRIPTOR)
    return tuple(
        (field.name, converters.get(field.name))
        for field in message_class.DESCRIPTOR.fields
        if field.name in names or hasattr(kind, field.name)
    )


@cache
def _converters(descriptor: Descriptor) -> dict[str, Convert]:
    """By field; a field that takes its value as it is has none."""
    found: dict[str, Convert] = {}
    for field in descriptor.fields:
        if is_map(field):
            convert = _converter(message_of(field).fields_by_name["value"])
            if convert is not None:
                found[field.name] = _each_value(convert)
            continue
        convert = _converter(field)
        if convert is not None:
            found[field.name] = _each(convert) if field.is_repeated else convert
    return found


def _converter(field: FieldDescriptor) -> Convert | None:
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _enum(enum_of(field))
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text
    if field.type != FieldDescriptor.TYPE_MESSAGE:
        return None
    if is_message(field, _TIMESTAMP) or is_message(field, _DURATION):
        return None  # the constructor takes datetime and timedelta
    return _nested(message_of(field))


def _each(convert: Convert) -> Convert:
    return lambda items: [convert(item) for item in items]


def _each_value(convert: Convert) -> Convert:
    return lambda items: {key: convert(item) for key, item in items.items()}


def _text(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        raise TypeError("an instant belongs into a Timestamp, not into a text")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not fit into a text")


def _enum(descriptor: EnumDescriptor) -> Convert:
    numbers = _numbers(descriptor)

    def convert(value: Any) -> int:
        if isinstance(value, Enum):
            value = value.name
        if isinstance(value, int):
            return value
        try:
            return numbers[value.upper()]
        except KeyError:
            raise ValueError(f"{descriptor.full_name} has no value {value}") from None

    return convert


def _nested(descriptor: Descriptor) -> Convert:
    def convert(value: Any) -> Any:
        if isinstance(value, Message | Mapping):
            return value
        from google.protobuf.message_factory import GetMessageClass

        return carry(value, GetMessageClass(descriptor))

    return convert


@cache
def _numbers(descriptor: EnumDescriptor) -> dict[str, int]:
    """By the full name of the value and by its name without the prefix of the enum."""
    prefix = enum_prefix(descriptor)
    numbers = {value.name.removeprefix(prefix): value.number for value in descriptor.values}
    return numbers | {value.name: value.number for value in descriptor.values}


def enum_prefix(descriptor: EnumDescriptor) -> str:
    """`STATE_` for an enum whose zero value is `STATE_UNSPECIFIED`; empty where the values share no prefix."""
    zero = descriptor.values_by_number.get(0)
    return zero.name.removesuffix("UNSPECIFIED") if zero is not None and zero.name.endswith("_UNSPECIFIED") else ""


@cache
def _readers(descriptor: Descriptor) -> dict[str, Convert]:
    return {field.name: _reader(field) for field in descriptor.fields}


def _reader(field: FieldDescriptor) -> Convert:
    name = field.name
    if is_map(field):
        return lambda message: dict(getattr(message, name))
    one = _one(field)
    if field.is_repeated:
        return lambda message: [one(item) for item in getattr(message, name)]
    if field.has_presence:
        return lambda message: one(getattr(message, name)) if message.HasField(name) else None
    return lambda message: one(getattr(message, name))


def _one(field: FieldDescriptor) -> Convert:
    if field.type == FieldDescriptor.TYPE_ENUM:
        prefix = enum_prefix(enum_of(field))
        names = {value.number: value.name.removeprefix(prefix) for value in enum_of(field).values}
        return lambda number: names.get(number) if number else None
    if field.type == FieldDescriptor.TYPE_STRING and (field.name == "date" or field.name.endswith("_date")):
        return lambda text: day(text, field.name)
    if is_message(field, _TIMESTAMP):
        return lambda stamp: _instant(stamp.seconds, stamp.nanos, field.name)
    if is_message(field, _DURATION):
        return lambda span: timedelta(seconds=span.seconds, microseconds=span.nanos // 1000)
    return lambda value: value


def _instant(seconds: int, nanos: int, field: str) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        raise invalid(field, "TIME_RANGE", "must lie in the years 1 to 9999") from None


def day(text: str, field: str) -> date | None:
    """The date that `YYYY-MM-DD` means; None for an empty text.

    Raises:
        InvalidArgument: no such day (rule DATE).
    """
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise invalid(field, "DATE", f"{text} is not a date in the form YYYY-MM-DD") from None
