"""Example values for the documentation: made from the schemas, so that they stay right."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from gateway.api.paths import split_pattern

_UUID = "0195f3a2-7c1e-7b44-9d2a-3f5c8e1b6a70"
_BY_NAME: dict[str, Any] = {
    "vin": "LGBH52E00RY000001",
    "phone": "13800138000",
    "displayName": "示例",
    "timeZone": "Asia/Shanghai",
    "odometerKm": 12,
    "question": "SSI.OVERALL",
    "mark": 7,
    "username": "li.wei",
}
_BY_PARAMETER: dict[str, Any] = {
    "storeId": "bj-01",
    "staffId": "li.wei",
    "regionId": "north",
    "vin": "LGBH52E00RY000001",
    "store": "bj-01",
    "staff": "li.wei",
    "YYYY-MM": "2026-03",
    "template": "post-delivery",
    "questionnaire": "ssi-five-factor",
    "model": "ssi-five-factor",
}
_BY_PATTERN = {"stores": "bj-01", "staff": "li.wei", "regions": "north"}
_DEEPEST = 6
_SHOWN_OF_A_PATCH = 2
_LEFT_OUT = {"requestId", "etag", "name"}


class Samples:
    """Makes example values for the schemas of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas: Mapping[str, Any] = document["components"]["schemas"]

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema behind a reference."""
        schema = without_null(schema)
        reference = schema.get("$ref")
        return self._schemas[reference.rpartition("/")[2]] if reference else schema

    def value(self, schema: Mapping[str, Any], name: str = "", depth: int = 0) -> Any:
        """An example value; `name` is the member or parameter that it is for."""
        schema = self.resolve(schema)
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return [self.value(schema["items"], name, depth + 1)] if depth < _DEEPEST else []
        for known in (*schema.get("examples", ()), schema.get("const"), _BY_NAME.get(name)):
            if known is not None and _matches(schema, known):
                return known
        if "enum" in schema:
            return next((text for text in schema["enum"] if not text.endswith("_UNSPECIFIED")), schema["enum"][0])
        plain = {"integer": max(schema.get("minimum", 0), 0), "number": 0.5, "boolean": True}
        return plain[kind] if kind in plain else _text(schema)

    def curl(self, verb: str, path: str, operation: Mapping[str, Any]) -> str:
        """A command that calls the operation."""
        query = []
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                sample = self._parameter(parameter)
                path = path.replace(f"{{{parameter['name']}}}", str(sample))
            elif parameter["in"] == "query" and parameter.get("required"):
                query.append(f"{parameter['name']}={self._parameter(parameter)}")
        lines = [f'curl -X {verb} "$BASE{path}{"?" + "&".join(query) if query else ""}"']
        if operation.get("security") != []:
            lines.append('-H "Authorization: Bearer $TOKEN"')
        content: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
        for media_type, described in content.items():
            value = self.value(described["schema"])
            if media_type == "application/json":
                lines += [
                    '-H "Content-Type: application/json"',
                    f"-d '{json.dumps(value, ensure_ascii=False, indent=2)}'",
                ]
            elif media_type == "multipart/form-data":
                lines.append('-F "file=@list.csv"')
                lines += [f"-F '{name}={text}'" for name, text in value.items() if name != "file"]
            else:
                lines += [f'--data-urlencode "{name}={text}"' for name, text in value.items()]
        return " \\\n  ".join(lines)

    def _parameter(self, parameter: Mapping[str, Any]) -> Any:
        known = _BY_PARAMETER.get(parameter["name"])
        return known if known is not None and _matches(parameter["schema"], known) else self.value(parameter["schema"])

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        if depth >= _DEEPEST:
            return {}
        if "examples" in schema:
            return dict(schema["examples"][0])
        if "properties" not in schema:
            return {"zh-CN": "…"} if isinstance(schema.get("additionalProperties"), dict) else {}
        exclusive = [pair["not"]["required"] for pair in schema.get("allOf", ())]
        wanted = {*schema.get("required", ()), *(first for first, _ in exclusive)}
        left_out = _LEFT_OUT.union(other for _, other in exclusive)
        names = [
            name
            for name, member in schema["properties"].items()
            if not member.get("readOnly") and name not in left_out and (name in wanted or not wanted)
        ]
        if not wanted and depth == 0:
            # Of a patch, a few members show what it is; what cannot be changed is none of them.
            names = [name for name in names if not _is_fixed(schema["properties"][name])][:_SHOWN_OF_A_PATCH]
        return {name: self.value(schema["properties"][name], name, depth + 1) for name in names}


def without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of the value that is not null; the same object when null is not allowed anyway."""
    if "anyOf" in schema:
        found: Mapping[str, Any] = schema["anyOf"][0]
        return found
    if not isinstance(schema.get("type"), list):
        return schema
    plain = {**schema, "type": schema["type"][0]}
    if "enum" in schema:
        plain["enum"] = [value for value in schema["enum"] if value is not None]
    return plain


def _is_fixed(member: Mapping[str, Any]) -> bool:
    return str(member.get("description", "")).endswith("Cannot be changed.")


def _text(schema: Mapping[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "2026-03-01T09:30:00+08:00"
    pattern = str(schema.get("pattern", "")).removeprefix("^$|").removeprefix("^").removesuffix("$")
    if not pattern:
        return "…"
    if r"\d{4}-\d{2}-\d{2}" in pattern:
        return "2026-03-01"
    segments = split_pattern(pattern)
    found = "/".join(_segment(segment, segments[at - 1] if at else "") for at, segment in enumerate(segments))
    return found if re.fullmatch(pattern, found) else "…"


def _segment(pattern: str, before: str) -> str:
    for known in (_BY_PATTERN.get(before), pattern, _UUID, "1", "CAD-02", "09:00", "example"):
        if known is not None and re.fullmatch(pattern, known):
            return known
    return "example"


def _matches(schema: Mapping[str, Any], value: Any) -> bool:
    if schema.get("type") == "string":
        return isinstance(value, str) and re.search(schema.get("pattern", ""), value) is not None
    return not isinstance(value, str)
