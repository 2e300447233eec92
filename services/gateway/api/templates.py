"""Path templates of `google.api.http`: parsed once, matched on the raw (still percent-encoded) path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote_to_bytes

_TOKEN = re.compile(r"\{(?P<field>[a-z0-9_.]+)(?:=(?P<pattern>[^}]+))?\}|(?P<plain>[^{}]+)")
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+|\*")


class BadPath(Exception):
    """A variable of the path is not text: wrong percent-encoding, a NUL, or a slash inside a segment."""


class BadTemplate(Exception):
    """The template in the contract is wrong, or uses `**`, which this API does not."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: the request field that it fills and its segments, `*` for any."""

    field: str
    segments: tuple[str, ...]


@dataclass(frozen=True)
class Template:
    """A parsed template: `/v1/{name=stores/*/deliveries/*}:cancel`.

    `parts` are literal segments and variables in order; `regex` has one group per variable.
    """

    text: str
    parts: tuple[str | Variable, ...]
    verb: str
    regex: re.Pattern[str]

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """The variables in order."""
        return tuple(part for part in self.parts if isinstance(part, Variable))

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """All segments of a matching path, `*` for any."""
        return tuple(
            segment for part in self.parts for segment in (part.segments if isinstance(part, Variable) else (part,))
        )

    def match(self, path: str) -> dict[str, str] | None:
        """The decoded variables of a raw path without its verb, or None when it does not match.

        Raises:
            BadPath: a variable cannot be decoded.
        """
        found = self.regex.fullmatch(path)
        if found is None:
            return None
        return {
            variable.field: text if "%" not in text else "/".join(map(_decode, text.split("/")))
            for variable, text in zip(self.variables, found.groups(), strict=True)
        }


def parse(text: str) -> Template:
    """Parses a template.

    Raises:
        BadTemplate: the text is not a template that this API supports.
    """
    body, colon, verb = text.rpartition(":")
    if not colon or "}" in verb:
        body, verb = text, ""
    if not body.startswith("/"):
        raise BadTemplate(text)
    parts: list[str | Variable] = []
    end = 1
    for token in _TOKEN.finditer(body, 1):
        if token.start() != end:
            raise BadTemplate(text)
        end = token.end()
        if token["field"]:
            parts.append(Variable(token["field"], _segments(token["pattern"] or "*", text)))
        else:
            parts.extend(_segments(token["plain"].strip("/"), text) if token["plain"] != "/" else ())
    if end != len(body) or "*" in parts:
        raise BadTemplate(text)
    pattern = "".join(
        "/" + (_pattern(part.segments) if isinstance(part, Variable) else re.escape(part)) for part in parts
    )
    return Template(text, tuple(parts), verb, re.compile(pattern))


def _segments(text: str, template: str) -> tuple[str, ...]:
    segments = tuple(text.split("/"))
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise BadTemplate(template)
    return segments


def _pattern(segments: tuple[str, ...]) -> str:
    return "(" + "/".join("[^/]+" if segment == "*" else re.escape(segment) for segment in segments) + ")"


def _decode(segment: str) -> str:
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as error:
        raise BadPath(segment) from error
    if "/" in text or "\0" in text:
        raise BadPath(segment)
    return text
