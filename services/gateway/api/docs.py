"""The documentation page: the OpenAPI document as plain HTML, without scripts and without anything from outside."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.samples import Samples, without_null

_PAGES = Path(__file__).parent / "pages"
_CODE = re.compile(r"`([^`]+)`")
_VERBS = ("get", "post", "put", "patch", "delete")
_LIMITS = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "pattern", "format")
_WIDEST = 2**31 - 1
_BASE = "http://127.0.0.1:8080"
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def add_routes(app: FastAPI, document: Mapping[str, Any]) -> None:
    """Serves the page at /docs."""
    css = (_PAGES / "docs.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    before, mark, after = render(document, css).encode().partition(_BASE.encode())
    headers = {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "Cache-Control": "public, max-age=300",
    }

    async def answer(request: Request) -> Response:
        body = before + (_base(request).encode() if mark else b"") + after
        return Response(body, media_type="text/html; charset=utf-8", headers=headers)

    app.add_route("/docs", answer)


def _base(request: Request) -> str:
    """Where the reader found this page, so that its commands work as they stand."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}" if _HOST.fullmatch(host) else _BASE


def render(document: Mapping[str, Any], css: str) -> str:
    """The page."""
    environment = Environment(
        loader=FileSystemLoader(_PAGES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(words=_words, kind=_kind, limits=_limits)
    samples = Samples(document)
    operations = [
        {
            **operation,
            "verb": verb.upper(),
            "path": path,
            "curl": samples.curl(verb.upper(), path, operation),
            "body": _only_schema(operation.get("requestBody", {}).get("content", {})),
            "reply": _only_schema(operation["responses"]["200"].get("content", {})),
            "codes": [code for code in operation["responses"] if code[0] != "2" and code != "default"],
        }
        for path, item in document["paths"].items()
        for verb, operation in item.items()
        if verb in _VERBS
    ]
    groups = [
        (tag, [operation for operation in operations if tag["name"] in operation["tags"]]) for tag in document["tags"]
    ]
    return environment.get_template("docs.html").render(
        document=document,
        groups=groups,
        schemas=document["components"]["schemas"],
        base=_BASE,
        css=Markup(css),  # noqa: S704 - our own file, whose hash is in the policy
    )


def _only_schema(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((each["schema"] for each in content.values()), None)


def _words(text: str) -> Markup:
    """Markdown as far as comments use it: code, paragraphs, lists."""
    paragraphs = []
    for block in text.split("\n\n"):
        lines = [_CODE.sub(r"<code>\1</code>", str(escape(line))) for line in block.splitlines()]
        items = [f"<li>{line[2:]}</li>" for line in lines if line.startswith("- ")]
        plain = " ".join(line for line in lines if not line.startswith("- "))
        paragraphs.append((f"<p>{plain}</p>" if plain else "") + (f"<ul>{''.join(items)}</ul>" if items else ""))
    return Markup("".join(paragraphs))  # noqa: S704 - every line was escaped above


def _kind(schema: Mapping[str, Any]) -> Markup:
    """The type of a value, linked to its schema where it has one."""
    value = without_null(schema)
    if value is not schema:
        return Markup("{} or null").format(_kind(value))
    reference = schema.get("$ref")
    if reference:
        name = reference.rpartition("/")[2]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    if schema.get("type") == "array":
        return Markup("list of {}").format(_kind(schema["items"]))
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return Markup("map to {}").format(_kind(schema["additionalProperties"]))
    if "enum" in schema:
        return Markup("one of {}").format(", ".join(map(str, schema["enum"])))
    return Markup("{}").format(schema.get("format") or schema.get("type", "any"))


def _limits(schema: Mapping[str, Any]) -> list[str]:
    """The rules of a value, in the words of JSON Schema; the bounds of a plain 32-bit integer go without saying."""
    return [
        f"{name} {schema[name]}"
        for name in _LIMITS
        if name in schema and name != "format" and schema[name] not in {_WIDEST, -_WIDEST - 1}
    ]
