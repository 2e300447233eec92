"""Path templates of the contracts as OpenAPI paths: `{name=stores/*}` becomes `stores/{store}`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor

from gateway.api.bindings import Binding
from gateway.api.descriptors import Contracts, find_field, rules_of

_NAMED = re.compile(r"`([A-Za-z]+/[^`\s]*\{[^`\s]*)`")
_CLASS = re.compile(r"\[[^\]]*\]|\(|\)|/|[^\[\]()/]+")
_ANY = "[^/]+"


class PathNames:
    """How the variable segments are called and what they look like, learnt from comments and rules.

    A segment after `deliveries` is called the same everywhere, so that all methods of one path agree.
    """

    def __init__(self, bindings: Iterable[Binding], contracts: Contracts) -> None:
        self._names: dict[str, str] = {}
        self._patterns: dict[str, str] = {}
        for binding in bindings:
            for variable in binding.template.variables:
                field = None
                descriptor: Descriptor | None = binding.input
                for part in variable.field.split("."):
                    field = find_field(descriptor, part) if descriptor is not None else None
                    descriptor = field.message_type if field is not None else None
                if field is None:
                    continue
                for shown in _NAMED.findall(contracts.comment(field.full_name)):
                    self._learn(shown.split("/"), self._names, variable.segments, _variable_name)
                pattern = rules_of(field).string.pattern
                if pattern:
                    segments = split_pattern(pattern.removeprefix("^").removesuffix("$"))
                    self._learn(segments, self._patterns, variable.segments, str)

    @staticmethod
    def _learn(shown: list[str], known: dict[str, str], segments: tuple[str, ...], clean: Any) -> None:
        if len(shown) != len(segments):
            return
        for at, segment in enumerate(segments):
            if segment == "*" and at > 0:
                known.setdefault(segments[at - 1], clean(shown[at]))

    def path(self, binding: Binding) -> str:
        """The OpenAPI path, such as `/v1/stores/{store}/deliveries/{delivery}:cancel`."""
        text = "/".join(segment if name is None else f"{{{name}}}" for segment, name in self._segments(binding))
        return f"/{text}" + (f":{binding.template.verb}" if binding.template.verb else "")

    def parameters(self, binding: Binding) -> list[dict[str, Any]]:
        """The path parameters."""
        found = []
        literal = ""
        for segment, name in self._segments(binding):
            if name is not None:
                pattern = self._patterns.get(literal, _ANY)
                schema = {"type": "string", "minLength": 1, "pattern": f"^{pattern}$"}
                found.append({"name": name, "in": "path", "required": True, "schema": schema})
            literal = segment
        return found

    def _segments(self, binding: Binding) -> Iterator[tuple[str, str | None]]:
        literal = ""
        for segment in binding.template.segments:
            yield segment, self._names.get(literal, literal.removesuffix("s")) if segment == "*" else None
            literal = segment


def split_pattern(pattern: str) -> list[str]:
    """A pattern of a resource name cut at its slashes, but not inside brackets."""
    pieces = [""]
    depth = 0
    for piece in _CLASS.findall(pattern):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == "/" and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += piece
    return pieces


def _variable_name(shown: str) -> str:
    name = shown.strip("{}")
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
