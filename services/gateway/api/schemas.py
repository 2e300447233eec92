"""JSON Schemas of the messages, in the three forms in which a message travels."""

from __future__ import annotations

import re
from enum import Enum
from itertools import combinations
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway.api import constraints
from gateway.api.descriptors import (
    IMMUTABLE,
    INPUT_ONLY,
    OUTPUT_ONLY,
    REQUIRED,
    Contracts,
    behaviours,
    enum_of,
    is_map,
    message_of,
)

_F = FieldDescriptor
Schema = dict[str, Any]
_SUCH_AS = re.compile(r"such as `([^`…{}]+)`")
_INTEGER = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_INT32 = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32 = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_SCALARS: dict[int, Schema] = {
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_DOUBLE: {"type": "number", "format": "double"},
    _F.TYPE_FLOAT: {"type": "number", "format": "float"},
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), _INT32),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), _UINT32),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64, _F.TYPE_UINT64, _F.TYPE_FIXED64), _INTEGER),
}
_WELL_KNOWN: dict[str, Schema] = {
    "Timestamp": {"type": "string", "format": "date-time"},
    "Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "FieldMask": {"type": "string", "maxLength": 2000},
}


class Form(Enum):
    """How a message travels; the value is what its schema's name ends with."""

    REPLY = ""
    """Everything is there; no rule of the input is promised, since a reply may be masked."""
    INPUT = "Input"
    """The rules of the contract hold."""
    PATCH = "Patch"
    """Any subset; the rules hold for the resource that results."""


class Schemas:
    """Collects the component schemas that the document refers to."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self.components: dict[str, Schema] = {}
        self._names: dict[str, str] = {}

    def message(self, descriptor: Descriptor, form: Form, *, without: frozenset[str] = frozenset()) -> Schema:
        """A reference to the schema of a message; `without` leaves out fields that come from elsewhere."""
        if descriptor.file.package == "google.protobuf":
            return dict(_WELL_KNOWN.get(descriptor.name, {}))
        name = self._name(descriptor, form.value)
        if name not in self.components:
            self.components[name] = {}  # taken, should the message contain itself
            self.components[name] = self._object(descriptor, form, without)
        return {"$ref": f"#/components/schemas/{name}"}

    def field(self, field: FieldDescriptor, form: Form) -> Schema:
        """The schema of a field with its description."""
        if OUTPUT_ONLY in behaviours(field) and form is not Form.REPLY:
            form = Form.REPLY
            schema = self._field(field, form, {}) | {"readOnly": True}
        else:
            rules = {} if form is Form.REPLY else dict(constraints.of_field(field).keywords)
            schema = self._field(field, form, rules)
        comment = self._contracts.comment(field.full_name)
        if comment:
            schema["description"] = comment
        if IMMUTABLE in behaviours(field) and form is Form.PATCH:
            schema["description"] = f"{comment} Cannot be changed."
        example = _SUCH_AS.search(comment)
        if example and schema.get("type") == "string" and _fits(schema, example[1]):
            schema["examples"] = [example[1]]
        return schema

    def _field(self, field: FieldDescriptor, form: Form, rules: Schema) -> Schema:
        if field.is_repeated and form is Form.PATCH:
            form = Form.INPUT  # a list is replaced as a whole, so its items are complete
        if is_map(field):
            value = self._single(message_of(field).fields_by_name["value"], form, {})
            return {"type": "object", "additionalProperties": value, **rules}
        if field.is_repeated:
            items = self._single(field, form, rules.pop("items", {}))
            return {"type": "array", "items": items, **rules}
        return self._single(field, form, rules)

    def _single(self, field: FieldDescriptor, form: Form, rules: Schema) -> Schema:
        if field.type == _F.TYPE_MESSAGE:
            return self.message(message_of(field), form)
        if field.type == _F.TYPE_ENUM:
            return {"type": "string", **rules} if "enum" in rules else self._enum(enum_of(field))
        return {**_SCALARS[field.type], **rules}

    def _object(self, descriptor: Descriptor, form: Form, without: frozenset[str]) -> Schema:
        hidden = INPUT_ONLY if form is Form.REPLY else None
        fields = [field for field in descriptor.fields if field.name not in without and hidden not in behaviours(field)]
        needed = {field.name for field in fields if self._is_required(field, form)}
        schema: Schema = {
            "type": "object",
            "properties": {field.json_name: self._member(field, form, needed) for field in fields},
        }
        comment = self._contracts.comment(descriptor.full_name)
        if comment:
            schema["description"] = comment
        required = [field.json_name for field in fields if field.name in needed]
        if required:
            schema["required"] = required
        if form is not Form.REPLY:
            schema["additionalProperties"] = False
            exclusive = [
                {"not": {"required": [one.json_name, other.json_name]}}
                for oneof in descriptor.oneofs
                for one, other in combinations(oneof.fields, 2)
            ]
            if exclusive:
                schema["allOf"] = exclusive
        return schema

    def _member(self, field: FieldDescriptor, form: Form, needed: set[str]) -> Schema:
        schema = self.field(field, form)
        if form is Form.REPLY or field.name in needed or schema.get("readOnly"):
            return schema
        return _or_null(schema)

    def _is_required(self, field: FieldDescriptor, form: Form) -> bool:
        if form is Form.REPLY:
            return not field.has_presence
        if form is Form.PATCH or OUTPUT_ONLY in behaviours(field):
            return False
        return REQUIRED in behaviours(field) or constraints.of_field(field).needed

    def _enum(self, descriptor: EnumDescriptor) -> Schema:
        name = self._name(descriptor, "")
        if name not in self.components:
            lines = [self._contracts.comment(descriptor.full_name)]
            scope = descriptor.full_name
            for value in descriptor.values:
                comment = self._contracts.comment(f"{scope}.{value.name}")
                lines.append(f"- `{value.name}`: {comment}")
            self.components[name] = {
                "type": "string",
                "enum": [value.name for value in descriptor.values],
                "description": "\n".join(line for line in lines if line),
            }
        return {"$ref": f"#/components/schemas/{name}"}

    def _name(self, descriptor: Descriptor | EnumDescriptor, suffix: str) -> str:
        """`DeliveryState` for `dealerloop.sales.v1.Delivery.State`; the service's name before it when that is taken."""
        package = descriptor.file.package
        short = descriptor.full_name.removeprefix(package + ".").replace(".", "") + suffix
        owner = self._names.setdefault(short, descriptor.full_name)
        if owner == descriptor.full_name:
            return short
        service = "".join(part.capitalize() for part in package.split(".")[1].split("_"))
        return service + short


def _or_null(schema: Schema) -> Schema:
    """The same, or null: in a request it means not set, in a patch it clears."""
    if "$ref" in schema:
        reference = schema.pop("$ref")
        return {"anyOf": [{"$ref": reference}, {"type": "null"}], **schema}
    schema["type"] = [schema["type"], "null"]
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema


def _fits(schema: Schema, text: str) -> bool:
    pattern = schema.get("pattern")
    return (pattern is None or re.search(pattern, text) is not None) and len(text) <= schema.get("maxLength", len(text))
