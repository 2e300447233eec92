"""The OpenAPI 3.1 document of the whole public API, made from bindings, comments, rules and field behaviour."""

from __future__ import annotations

import re
from collections import Counter
from http import HTTPStatus
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from dealerloop import options_pb2
from gateway.api import fixed
from gateway.api.bindings import Binding, Bindings
from gateway.api.descriptors import REQUIRED, Contracts, access_of, behaviours, is_map, message_of
from gateway.api.paths import PathNames
from gateway.api.schemas import Form, Schemas
from gateway.imports import documentation

Document = dict[str, Any]
_PLACES = {
    options_pb2.SCOPE_STORE: "in the store",
    options_pb2.SCOPE_REACH: "in any store; the answer is limited to the stores where it holds",
    options_pb2.SCOPE_GROUP: "for the whole group",
}
_ALWAYS = (400, 401, 403, 404, 409, 429, 503)
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repetition of this call safe; the same as `requestId`.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,64}$"},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that was read; 412 when somebody changed the resource since. The same as `etag`.",
    "schema": {"type": "string", "pattern": '^(\\*|(W/)?"[!#-~]{1,62}"|[!#-~]{1,62})$'},
}


def document(bindings: Bindings, contracts: Contracts) -> Document:
    """The document, ready to be written as JSON."""
    schemas = Schemas(contracts)
    names = PathNames(bindings.all, contracts)
    paths: dict[str, dict[str, Any]] = {}
    seen: Counter[str] = Counter()
    for binding in bindings.all:
        operation = _operation(binding, contracts, schemas, names)
        seen[operation["operationId"]] += 1
        if seen[operation["operationId"]] > 1:  # another path of the same method
            operation["operationId"] += f"_{seen[operation['operationId']]}"
        paths.setdefault(names.path(binding), {})[binding.verb.lower()] = operation
    documentation.add(paths, contracts, schemas)
    for path, item in fixed.PATHS.items():
        paths.setdefault(path, {}).update(item)
    tags = [
        {"name": service.name, "description": contracts.comment(service.full_name)}
        for service in contracts.services
        if any(binding.method.containing_service is service for binding in bindings.all)
    ]
    return {
        "openapi": "3.1.0",
        "info": fixed.INFO,
        "servers": [{"url": "/"}],
        "tags": [*fixed.TAGS, *tags],
        "security": [{"password": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": fixed.SECURITY,
            "schemas": dict(sorted({**schemas.components, **fixed.SCHEMAS}.items())),
            "responses": fixed.RESPONSES,
        },
    }


def _operation(binding: Binding, contracts: Contracts, schemas: Schemas, names: PathNames) -> Document:
    method = binding.method
    access = access_of(method)
    comment = contracts.comment(method.full_name)
    operation: Document = {
        "operationId": f"{method.containing_service.name}_{method.name}",
        "tags": [method.containing_service.name],
        "summary": comment.partition(";")[0].partition(". ")[0].rstrip("."),
        "description": f"{comment}\n\n{_needs(access)}".strip(),
        "parameters": [*names.parameters(binding), *_query(binding, schemas)],
        "responses": _responses(binding, schemas),
    }
    if binding.has_request_id:
        operation["parameters"].append(_IDEMPOTENCY_KEY)
    if binding.etag:
        operation["parameters"].append(_IF_MATCH)
    if binding.public:
        operation["security"] = []
    body = _body(binding, schemas)
    if body is not None:
        operation["requestBody"] = body
    return operation


def _needs(access: options_pb2.Access) -> str:
    if access.scope == options_pb2.SCOPE_PUBLIC:
        return "Needs no sign-in."
    if access.scope == options_pb2.SCOPE_SELF:
        return "For everyone who is signed in, about himself."
    audited = " Each call is audited." if access.audited else ""
    return f"Needs the permission `{access.permission}` {_PLACES[access.scope]}.{audited}"


def _query(binding: Binding, schemas: Schemas) -> list[Document]:
    if binding.body == "*":
        return []
    taken = _path_fields(binding) | {binding.body}
    found = []
    for field in binding.input.fields:
        if field.name in taken or not _fits_a_query(field):
            continue
        schema = schemas.field(field, Form.INPUT)
        parameter = {
            "name": field.json_name,
            "in": "query",
            "required": REQUIRED in behaviours(field) or not re.search(schema.get("pattern", ""), ""),
            "schema": schema,
        }
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        found.append(parameter)
    return found


def _fits_a_query(field: FieldDescriptor) -> bool:
    if field.message_type is None:
        return True
    return not is_map(field) and field.message_type.file.package == "google.protobuf"


def _path_fields(binding: Binding) -> set[str]:
    return {variable.field for variable in binding.template.variables}


def _body(binding: Binding, schemas: Schemas) -> Document | None:
    if not binding.body:
        return None
    field = binding.body_field
    if field is None:
        schema = schemas.message(binding.input, Form.INPUT, without=frozenset(_path_fields(binding)))
        required = bool(schemas.components[schema["$ref"].rpartition("/")[2]].get("required"))
    else:
        form = Form.PATCH if binding.verb == "PATCH" else Form.INPUT
        schema, required = schemas.message(message_of(field), form), True
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _responses(binding: Binding, schemas: Schemas) -> Document:
    output = binding.method.output_type
    schema = schemas.message(output, Form.REPLY)
    good: Document = {"description": "Done." if binding.verb != "GET" else "What was asked for."}
    if binding.streams:
        line = {
            "type": "object",
            "description": "One frame: a result, or the error that ended the stream.",
            "properties": {"result": schema, "error": {"$ref": "#/components/schemas/Problem"}},
        }
        good["content"] = {
            "application/x-ndjson": {"schema": line},
            "text/event-stream": {"schema": {"type": "string"}},
        }
    else:
        good["content"] = {"application/json": {"schema": schema}}
    if "etag" in output.fields_by_name and not binding.streams:
        good["headers"] = {
            "ETag": {"description": "For If-Match.", "schema": {"type": "string"}, "required": False},
        }
    codes = {*_ALWAYS, *((413, 415) if binding.body else ()), *((412,) if binding.etag else ())}
    codes -= {401, 403} if binding.public else set()
    problems = {str(code): {"$ref": f"#/components/responses/{fixed.response_name(code)}"} for code in sorted(codes)}
    return {
        str(HTTPStatus.OK.value): good,
        **problems,
        "default": {"$ref": "#/components/responses/Problem"},
    }
