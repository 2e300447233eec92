"""The rules written in the protos, applied to a message."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Protocol

import protovalidate
from google.protobuf.message import Message

from kit.errors import FieldViolation, InvalidArgument


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
        found.append(FieldViolation(field, proto.rule_id, proto.message))
    return found


def validate(message: Message, prefix: str = "") -> None:
    """Refuses a message that breaks a rule of its contract.

    Raises:
        InvalidArgument: with one violation for each broken rule.
    """
    found = violations(message, prefix)
    if found:
        raise RulesViolated("the request breaks rules of its contract", violations=found)


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
