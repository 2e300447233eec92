"""docs/lists.md says of every list what the code does: fields, headers, kinds of visits, reasons, mappings (GRP-05)."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from google.protobuf import json_format

from aftersales.imports import values as visits
from aftersales.visits.rules import VisitAlreadyRecorded
from dealerloop.imports.v1 import imports_pb2
from dealership import vin
from gateway.imports.uploads import UPLOADS
from kit.imports.contract import column_mapping
from kit.imports.mapping import violations
from kit.imports.normalising import EMPTY_MARKS
from kit.imports.reading.encodings import ENCODINGS
from kit.imports.values import Field, FieldKind, Limits
from sales.deliveries import values as deliveries
from sales.imports.fields import CUSTOMER_FIELDS, DELIVERY_FIELDS
from sales.imports.rules import CUSTOMER_TWICE
from sales.imports.values import Doubt

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ROOT / "services"
KINDS = {
    FieldKind.TEXT: "text",
    FieldKind.DAY: "day",
    FieldKind.TIME: "day or time",
    FieldKind.WHOLE_NUMBER: "whole number",
}
# Where reasons are said, and by which calls.
SOURCES = (
    *sorted((SERVICES / "kit" / "imports").rglob("*.py")),
    *sorted((SERVICES / "sales" / "imports").glob("*.py")),
    *sorted((SERVICES / "aftersales" / "imports").glob("*.py")),
    *(SERVICES / name for name in ("sales/deliveries/checks.py", "aftersales/visits/rules.py", "dealership/vin.py")),
)
SAYING = {"rejected", "warning", "say", "Unreadable", "FileRefusedError", "refuse", "wrong", "_refused", "_backwards"}
CONSTANTS = {
    *(doubt.value for doubt in Doubt),
    deliveries.INVOICE_DATE_FAR_FROM_DELIVERY,
    deliveries.INSURANCE_EXPIRED_BEFORE_DELIVERY,
    deliveries.FINANCE_ENDED_BEFORE_DELIVERY,
    vin.CHECK_DIGIT_WARNING,
    VisitAlreadyRecorded.reason,
}
# Unchanged rows are counted and never told; customers have no key that a second row could share.
NEVER_SAID = {"UNCHANGED", CUSTOMER_TWICE.reason}


@pytest.fixture(scope="module")
def document() -> str:
    return (ROOT / "docs" / "lists.md").read_text(encoding="utf-8")


def section(document: str, title: str) -> str:
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,3}} |\Z)", document, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no section {title!r}"
    return found[2]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without headers."""
    lines = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def reasons_in_code() -> Iterator[str]:
    yield from CONSTANTS
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in SAYING:
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and re.fullmatch(r"[A-Z]+(_[A-Z]+)+", str(argument.value)):
                        yield str(argument.value)


@pytest.mark.parametrize(
    ("title", "fields"),
    [("Deliveries", DELIVERY_FIELDS), ("Customers", CUSTOMER_FIELDS), ("Workshop visits", visits.FIELDS)],
)
def test_every_field_stands_there_with_all_its_headers(document: str, title: str, fields: Sequence[Field]) -> None:
    told = {quoted(name)[0]: cells for name, *cells in rows(section(document, title)) if len(cells) > 1}

    assert list(told) == [field.name for field in fields]
    for field in fields:
        needed, kind, english, chinese = told[field.name]
        expected = "yes" if field.required else "in a list of the group" if field.required_for_group else "no"
        assert (needed, kind) == (expected, KINDS[field.kind]), field.name
        assert quoted(english) == [word for word in field.synonyms if word.isascii()], field.name
        assert quoted(chinese) == [word for word in field.synonyms if not word.isascii()], field.name


def test_every_word_for_a_kind_of_visit_stands_there(document: str) -> None:
    table = [cells for cells in rows(section(document, "Workshop visits")) if len(cells) == 2]

    told = {visits.spelled(word): quoted(kind)[0] for kind, cells in table for word in quoted(f"{kind} {cells}")}
    assert told == {word: kind.value for word, kind in visits.KINDS.items()}


def test_every_reason_stands_there_and_no_other(document: str) -> None:
    titles = ("Why a row is refused", "What is taken with a remark", "Why a whole file is refused")

    told = {quoted(reason)[0] for title in titles for reason, _ in rows(section(document, title))}
    assert told == set(reasons_in_code()) - NEVER_SAID


def test_the_example_of_a_mapping_is_one_that_is_accepted(document: str) -> None:
    example = re.search(r"```json\n(.*?)```", document, re.DOTALL)
    assert example is not None
    mapping = json_format.ParseDict(json.loads(example[1]), imports_pb2.Mapping())

    assert violations(column_mapping(mapping), DELIVERY_FIELDS, "mapping") == []
    every_entry = [field.json_name for field in imports_pb2.Mapping.DESCRIPTOR.fields]
    assert list(json.loads(example[1])) == every_entry
    assert [quoted(cells[0])[0] for cells in rows(section(document, "Saying it in a mapping"))] == every_entry


def test_every_upload_stands_there_with_its_permission(document: str) -> None:
    lines = document.splitlines()

    for upload in UPLOADS:
        assert any(f"`POST {upload.path}`" in line and f"`{upload.rule.permission}`" in line for line in lines), upload


def test_the_rest_that_is_counted_up_is_complete(document: str) -> None:
    limits = Limits()

    nothing = section(document, "How cells are read").partition("**Nothing.**")[2]
    assert {mark.casefold() for mark in quoted(nothing)} == EMPTY_MARKS - {""}
    encodings = next(cells for cells in rows(document) if cells[0] == "`encoding`")
    assert quoted(encodings[1]) == list(ENCODINGS)
    said = " ".join(section(document, "The file").split())
    expected = (
        f"At most {limits.file_bytes // 2**20} MiB, {limits.rows:,} rows, {limits.columns} columns and "
        f"{limits.cell_characters:,} characters in a cell"
    )
    assert expected in said
