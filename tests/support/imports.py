"""Lists as files, and how a client brings them in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import httpx

Table = Sequence[Sequence[object]]
Json = dict[str, Any]
VISIT_HEADERS = ("车架号", "结算日期", "行驶里程", "维修类型")
ENDED = {"STATE_DONE", "STATE_REFUSED", "STATE_CANCELLED", "STATE_EXPIRED"}


def text(table: Table, *, encoding: str = "utf-8-sig", delimiter: str = ",") -> bytes:
    """The table as a text file, as a spreadsheet saves it."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(table)
    return out.getvalue().encode(encoding)


def form(content: bytes, name: str = "list.csv", **parts: Any) -> list[tuple[str, Any]]:
    """The parts of a multipart request, the file first; an object becomes JSON."""
    found: list[tuple[str, Any]] = [("file", (name, content, "application/octet-stream"))]
    for part, value in parts.items():
        found.append((part, (None, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))))
    return found


def problem(answer: httpx.Response, status: int = 400) -> dict[str, str]:
    """The broken rules by field of a problem with that status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: Json = answer.json()
    return {one["field"]: one["rule"] for one in body["errors"]}


def counts(found: Json) -> tuple[int, int, int]:
    """How many rows were taken, were there already, and cannot be taken."""
    return int(found["taken"]), int(found["unchanged"]), int(found["rejected"])


def reasons(found: Json) -> list[tuple[int, str, str]]:
    """Row, field and reason of the remarks that came with an import."""
    return [(int(row["row"]), row["field"], row["reason"]) for row in found["rows"]]
