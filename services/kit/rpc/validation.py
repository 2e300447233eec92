"""The rules written in the protos, applied to a message."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, Protocol

import protovalidate
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message

from kit.errors import FieldViolation, InvalidArgument
from kit.rpc.patterns import in_words


class Subscript(Protocol):
    """Index or key of an element."""

    @property
    def value(self) -> object: ...  # noqa: D102


class FieldPathElement(Protocol):
    """One step of protovalidate's path to a field."""

    @property
    def field_name(self) -> str: ...  # noqa: D102
    @property
    def subscript(self) -> Subscript | None: ...  # noqa: D102


class RulesViolated(InvalidArgument):
    """A message breaks rules of its contract; each broken rule is one violation."""

    reason = "VALIDATION_FAILED"


@cache
def _validator() -> protovalidate.Validator:
    # Compiles the rules of a message type once, on first use, and keeps them.
    return protovalidate.Validator()


def violations(message: Message, prefix: str = "") -> list[FieldViolation]:
    """Every broken rule, in the order of the fields; the rule is protovalidate's id, such as `string.min_len`.

    Field paths are in proto names with subscripts, such as `delivery.vin` or `answers[3].mark`, after `prefix`.
    """
    found = []
    for violation in _validator().collect_violations(message):
        proto = violation.proto
        path = _path(proto.field.elements if proto.field is not None else ())
        field = f"{prefix}.{path}" if prefix and path else prefix or path
        found.append(FieldViolation(field, proto.rule_id, _words(message, violation)))
    return found


def validate(message: Message, prefix: str = "") -> None:
    """Refuses a message that breaks a rule of its contract.

    Raises:
        InvalidArgument: with one violation for each broken rule.
    """
    found = violations(message, prefix)
    if found:
        raise RulesViolated("the request breaks rules of its contract", violations=found)


def _words(message: Message, violation: protovalidate.Violation) -> str:
    """The rule in words for a client, who sees what is missing as missing and enums by their names."""
    proto, value = violation.proto, violation.field_value
    rule = proto.rule_id
    if rule == "required" or (rule.startswith("string.") and value == "") or (rule == "enum.not_in" and value == 0):
        return "must be given"
    if rule == "string.pattern" and isinstance(value, str):
        return in_words(str(violation.rule_value)) if value.strip() else "must not be blank"
    if rule == "enum.in" and proto.field is not None:
        names = _enum_of(message, proto.field.elements).values_by_number
        return "must be one of " + ", ".join(names[number].name for number in violation.rule_value)
    return str(proto.message)


def _enum_of(message: Message, elements: Iterable[FieldPathElement]) -> EnumDescriptor:
    """The enum of the field at the end of a path."""
    found: EnumDescriptor | None = None
    within: Any = message.DESCRIPTOR
    for element in elements:
        field = within.fields_by_name[element.field_name]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            field = field.message_type.fields_by_name["value"]
        found, within = field.enum_type, field.message_type
    assert found is not None
    return found


def _path(elements: Iterable[FieldPathElement]) -> str:
    """`answers[3].mark`; a map key stands in brackets, a text key in quotation marks."""
    steps = []
    for element in elements:
        subscript = element.subscript
        if subscript is None:
            steps.append(element.field_name)
        elif isinstance(subscript.value, str):
            steps.append(f"{element.field_name}[{json.dumps(subscript.value, ensure_ascii=False)}]")
        else:
            steps.append(f"{element.field_name}[{str(subscript.value).lower()}]")
    return ".".join(steps)
