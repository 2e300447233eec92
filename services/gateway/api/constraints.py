"""The protovalidate rules of a field as JSON Schema keywords."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor

from buf.validate import validate_pb2
from gateway.api.descriptors import enum_of, rules_of

_F = FieldDescriptor
_FORMATS = {"email": "email", "uuid": "uuid", "uri": "uri", "hostname": "hostname", "ipv4": "ipv4", "ipv6": "ipv6"}
_BOUNDS = {"gte": "minimum", "lte": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


class Constraints(NamedTuple):
    """What a field must satisfy: JSON Schema keywords, and whether leaving it out breaks a rule."""

    keywords: dict[str, Any]
    needed: bool


def of_field(field: FieldDescriptor) -> Constraints:
    """The keywords of a field; for a repeated field those of the array, its items under `items`."""
    rules = rules_of(field)
    if rules.ignore == validate_pb2.IGNORE_ALWAYS:
        return Constraints({}, needed=False)
    keywords, excludes_zero = _of_rules(rules, field)
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        return Constraints(_or_zero(keywords), needed=False)
    return Constraints(keywords, needed=rules.required or (excludes_zero and not field.has_presence))


def _of_rules(rules: validate_pb2.FieldRules, field: FieldDescriptor) -> tuple[dict[str, Any], bool]:
    kind = rules.WhichOneof("type")
    if kind is None:
        return {}, False
    rule = getattr(rules, kind)
    if kind == "string":
        return _string(rule)
    if kind == "enum":
        return _enum(rule, field)
    if kind == "repeated":
        keywords = _present(rule, {"min_items": "minItems", "max_items": "maxItems"})
        if rule.unique:
            keywords["uniqueItems"] = True
        if rule.HasField("items"):
            keywords["items"] = _of_rules(rule.items, field)[0]
        return keywords, rule.min_items > 0
    if kind == "map":
        return _present(rule, {"min_pairs": "minProperties", "max_pairs": "maxProperties"}), rule.min_pairs > 0
    return _number(rule)


def _string(rule: validate_pb2.StringRules) -> tuple[dict[str, Any], bool]:
    keywords = _present(rule, {"min_len": "minLength", "max_len": "maxLength", "pattern": "pattern"})
    if rule.HasField("len"):
        keywords["minLength"] = keywords["maxLength"] = rule.len
    if getattr(rule, "in"):
        keywords["enum"] = list(getattr(rule, "in"))
    well_known = rule.WhichOneof("well_known")
    if well_known in _FORMATS:
        keywords["format"] = _FORMATS[well_known]
    empty_refused = keywords.get("minLength", 0) > 0 or ("enum" in keywords and "" not in keywords["enum"])
    if "pattern" in keywords and not empty_refused:
        empty_refused = re.search(keywords["pattern"], "") is None
    return keywords, empty_refused or well_known in _FORMATS


def _enum(rule: validate_pb2.EnumRules, field: FieldDescriptor) -> tuple[dict[str, Any], bool]:
    allowed, refused = set(getattr(rule, "in")), set(rule.not_in)
    if rule.HasField("const"):
        allowed = {rule.const}
    names = [
        value.name
        for value in enum_of(field).values
        if (not allowed or value.number in allowed) and value.number not in refused
    ]
    narrowed = len(names) < len(enum_of(field).values)
    return ({"enum": names} if narrowed else {}), bool((allowed and 0 not in allowed) or 0 in refused)


def _number(rule: Any) -> tuple[dict[str, Any], bool]:
    keywords = {
        target: getattr(rule, source)
        for source, target in _BOUNDS.items()
        if source in rule.DESCRIPTOR.fields_by_name and rule.HasField(source)
    }
    low, above = keywords.get("minimum"), keywords.get("exclusiveMinimum")
    high, below = keywords.get("maximum"), keywords.get("exclusiveMaximum")
    zero_refused = any(
        (low is not None and low > 0, above is not None and above >= 0, high is not None and high < 0,
         below is not None and below <= 0)
    )  # fmt: skip
    return keywords, zero_refused


def _present(rule: Any, names: dict[str, str]) -> dict[str, Any]:
    return {target: getattr(rule, source) for source, target in names.items() if rule.HasField(source)}


def _or_zero(keywords: dict[str, Any]) -> dict[str, Any]:
    """The same rules, and nothing at all is right too."""
    relaxed = dict(keywords)
    if "pattern" in relaxed:
        relaxed["pattern"] = f"^$|{relaxed['pattern']}"
    # An empty text instead of one of at least so many characters.
    if relaxed.pop("minLength", 0) > 1 and "pattern" not in relaxed:
        relaxed["pattern"] = f"^$|^.{{{keywords['minLength']},}}$"
    return relaxed
