"""What the client is told about his file: its import, its place, or the one problem of the whole file."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dealerloop.imports.v1.imports_pb2 import Import, ImportRow
from gateway.imports import answers
from gateway.imports.uploads import UPLOADS, is_upload

NAME = "stores/bj-01/deliveryImports/0195f3a2-7c1e-7b44-9d2a-3f5c8e1b6a70"
REJECTED, WARNING = ImportRow.SEVERITY_REJECTED, ImportRow.SEVERITY_WARNING


def told(state: Import.State, **fields: Any) -> tuple[int, dict[str, Any]]:
    answer = answers.of_import(Import(name=NAME, state=state, **fields))
    return answer.status_code, orjson.loads(answer.body)


@pytest.mark.parametrize("state", [Import.STATE_DONE, Import.STATE_CANCELLED, Import.STATE_EXPIRED])
def test_an_import_whose_work_has_ended_is_an_ordinary_answer(state: Import.State) -> None:
    status, body = told(state, taken=2, etag="3")

    assert (status, body["name"], body["taken"]) == (200, NAME, "2")


def test_a_dry_run_has_ended_when_it_waits_for_its_confirmation() -> None:
    assert told(Import.STATE_CHECKED, validate_only=True)[0] == 200
    assert told(Import.STATE_CHECKED)[0] == 202


@pytest.mark.parametrize("state", [Import.STATE_CHECKING, Import.STATE_TAKING_OVER])
def test_work_that_goes_on_has_an_address(state: Import.State) -> None:
    answer = answers.of_import(Import(name=NAME, state=state, etag="3"))

    assert (answer.status_code, answer.headers["Location"], answer.headers["ETag"]) == (202, f"/v1/{NAME}", '"3"')


@pytest.mark.parametrize(
    ("reason", "field"),
    [("FILE_NOT_A_TABLE", "file"), ("SHEET_UNKNOWN", "mapping.sheet"), ("COLUMN_UNKNOWN", "mapping.columns")],
)
def test_a_refused_file_names_the_part_of_the_form_and_the_rule(reason: str, field: str) -> None:
    status, body = told(Import.STATE_REFUSED, refusal_reason=reason, refusal_message="looks like a PDF")

    assert (status, body["reason"], body["detail"]) == (400, reason, "looks like a PDF")
    assert body["errors"] == [{"field": field, "rule": reason, "message": "looks like a PDF"}]
    assert body["metadata"]["import"] == NAME


def test_all_or_nothing_names_the_rows_that_were_in_the_way() -> None:
    rows = [
        ImportRow(row=12, field="deliveryTime", reason="DATE_INVALID", message="no date", severity=REJECTED),
        ImportRow(row=13, reason="VIN_ALREADY_DELIVERED", message="there already", severity=REJECTED),
        ImportRow(row=2, field="customer", reason="TEXT_MOJIBAKE", message="odd", severity=WARNING),
    ]

    status, body = told(Import.STATE_REFUSED, refusal_reason="ROWS_REJECTED", rows=rows, row_count=20, rejected=2)

    assert (status, body["reason"]) == (400, "ROWS_REJECTED")
    assert [(error["field"], error["rule"]) for error in body["errors"]] == [
        ("rows[12].deliveryTime", "DATE_INVALID"),
        ("rows[13]", "VIN_ALREADY_DELIVERED"),
    ]
    assert body["metadata"] == {"import": NAME, "rowCount": "20", "rejected": "2"}


@pytest.mark.parametrize(
    ("field", "part"),
    [
        ("import.mapping.columns.vin", "mapping.columns.vin"),
        ("import.mapping.date_order", "mapping.dateOrder"),
        ("import.mapping_profile", "mapping"),
        ("import.file_name", "file"),
        ("parent", "parent"),
    ],
)
def test_a_field_of_the_call_is_told_as_the_part_of_the_form(field: str, part: str) -> None:
    assert answers.client_path(field) == part


def test_only_the_paths_of_uploads_take_large_bodies() -> None:
    assert is_upload("/v1/stores/bj-01/deliveries:import")
    assert is_upload("/v1/deliveries:import")
    assert not is_upload("/v1/stores/bj-01/deliveries")
    assert not is_upload("/v1/stores/bj-01/x/deliveries:import")
    assert not is_upload("/v1/deliveries:import/x")


def test_a_kept_mapping_is_found_beside_its_imports() -> None:
    of_store, of_group = UPLOADS[:2]

    assert of_store.mapping_name("stores/bj-01", "dms") == "stores/bj-01/deliveryMappings/dms"
    assert of_group.mapping_name("", "dms") == "deliveryMappings/dms"
    assert of_store.mapping_name("stores/bj-01", "deliveryMappings/all") == "deliveryMappings/all"
