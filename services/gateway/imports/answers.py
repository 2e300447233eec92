"""What the client is told about his import: the resource, or a problem when the whole file was refused."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from dealerloop.imports.v1.imports_pb2 import Import, ImportRow
from gateway.api.problem import Problem, json_path
from gateway.api.transcoder import json_response
from gateway.imports.sending import has_ended
from kit.errors import FieldViolation

_ROWS_REJECTED: Final = "ROWS_REJECTED"
_MOST_ROWS: Final = 50
# What is wrong with these is what the client said about the file, not the file.
_ABOUT_THE_MAPPING: Final = {
    "SHEET_UNKNOWN": "mapping.sheet",
    "COLUMN_UNKNOWN": "mapping.columns",
    "FIELD_UNMAPPED": "mapping.columns",
}
_AS_SENT: Final = {
    "mappingProfile": "mapping",
    "fileName": "file",
    "data": "file",
}


def of_import(found: Import) -> Response:
    """200 when the work on it has ended, 202 with its address while it goes on, 400 when all of it was refused."""
    if found.state == Import.STATE_REFUSED:
        return _refused(found).response()
    if has_ended(found):
        return json_response(found)
    return json_response(found, HTTPStatus.ACCEPTED, {"Location": f"/v1/{found.name}"})


def client_path(path: str) -> str:
    """The part of the form that a field of CreateImport came from: `import.mapping.columns.vin` → `mapping.…`."""
    told = json_path(path).removeprefix("import.")
    return _AS_SENT.get(told, told)


def _refused(found: Import) -> Problem:
    errors = list(_violations(found))
    facts = {"import": found.name, "row_count": str(found.row_count), "rejected": str(found.rejected)}
    return Problem(HTTPStatus.BAD_REQUEST, found.refusal_reason, found.refusal_message, errors, facts)


def _violations(found: Import) -> Iterator[FieldViolation]:
    if found.refusal_reason == _ROWS_REJECTED:
        rejected = [row for row in found.rows if row.severity == ImportRow.SEVERITY_REJECTED]
        for row in rejected[:_MOST_ROWS]:
            place = f"rows[{row.row}].{row.field}" if row.field else f"rows[{row.row}]"
            yield FieldViolation(place, row.reason, row.message)
        return
    place = _ABOUT_THE_MAPPING.get(found.refusal_reason, "file")
    yield FieldViolation(place, found.refusal_reason, found.refusal_message)
