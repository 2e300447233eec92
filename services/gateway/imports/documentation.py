"""The uploads in the OpenAPI document: no contract describes a multipart form."""

from __future__ import annotations

from typing import Any, Final

from gateway.api import fixed
from gateway.api.descriptors import Contracts
from gateway.api.schemas import Form, Schemas
from gateway.imports.uploads import UPLOADS, Upload

_FORM_NAME: Final = "ImportForm"
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "The file and how it is to be read.",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {
            "type": "string",
            "format": "binary",
            "description": "The list: an Excel workbook (.xlsx) or a text file with columns (CSV). With a file name.",
        },
        "mapping": {
            "type": "string",
            "maxLength": 1024 * 1024,
            "description": (
                "A `Mapping` as a JSON object, or the name of a kept mapping, short or in full. Columns that are "
                "recognised by their usual names need none."
            ),
            "examples": ['{"columns": {"vin": "VIN"}}'],
        },
        "validateOnly": {
            "type": "boolean",
            "default": False,
            "description": "Only the dry run; taken over by a confirmation later, or not at all.",
        },
        "allOrNothing": {"type": "boolean", "default": False, "description": "Take over every row or none."},
    },
}
_STORE: Final[dict[str, Any]] = {
    "name": "store",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "pattern": "^[a-z][a-z0-9-]{0,38}$"},
}
_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repetition of this call safe: the same file again is told the same, another is refused.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,64}$"},
}
_LARGER: Final = {
    "description": "The file is larger than 64 MiB, or than this installation allows.",
    "content": fixed.PROBLEM,
}
_OTHER_TYPE: Final = {"description": "The body is not multipart/form-data.", "content": fixed.PROBLEM}
_SLOW: Final = {"description": "The file did not arrive in time.", "content": fixed.PROBLEM}


def add(paths: dict[str, dict[str, Any]], contracts: Contracts, schemas: Schemas) -> None:
    """Adds the uploads to services that are in the contracts."""
    known = {service.full_name for service in contracts.services}
    for upload in UPLOADS:
        if upload.contract.full_name in known:
            schemas.components[_FORM_NAME] = _FORM
            paths.setdefault(upload.path, {})["post"] = _operation(upload, schemas)


def _operation(upload: Upload, schemas: Schemas) -> dict[str, Any]:
    place = "of one store" if upload.of_store else "of the whole group, with a column that names the store"
    where = "in the store" if upload.of_store else "for the whole group"
    reply = {"application/json": {"schema": schemas.message(upload.method("GetImport").output_type, Form.REPLY)}}
    etag = {"ETag": {"description": "For If-Match.", "schema": {"type": "string"}, "required": False}}
    location = {"Location": {"description": "Where to look again.", "schema": {"type": "string"}}}
    return {
        "operationId": f"{upload.contract.name}_Import",
        "tags": [upload.contract.name],
        "summary": f"Brings in a list of {upload.what} {place}",
        "description": (
            f"Brings in a list of {upload.what} {place} (GRP-05). Every row is checked; the good ones are taken over, "
            "or shown only (`validateOnly`), and every bad one is told with its reason. A file that cannot be read, or "
            "of which `allOrNothing` takes nothing, is a problem with the import's name in `metadata`.\n\n"
            f"Needs the permission `{upload.rule.permission}` {where}."
        ),
        "parameters": [*([_STORE] if upload.of_store else []), _KEY],
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": {"$ref": f"#/components/schemas/{_FORM_NAME}"}}},
        },
        "responses": {
            "200": {"description": "The work on it has ended.", "content": reply, "headers": etag},
            "202": {"description": "The work on it goes on.", "content": reply, "headers": {**etag, **location}},
            **fixed.problems(400, 401, 403, 404, 405),
            "408": _SLOW,
            "409": fixed.problems(409)["409"],
            "413": _LARGER,
            "415": _OTHER_TYPE,
            **fixed.problems(429, 503),
        },
    }
