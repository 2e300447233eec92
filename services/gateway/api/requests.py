"""One HTTP request as one request message: path, query, headers and body merged, every fault named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.api.bindings import Binding
from gateway.api.decoding import Faults, decode, from_text
from gateway.api.descriptors import OUTPUT_ONLY, behaviours, find_field, is_map, message_of
from kit.errors import FieldViolation

MAX_PARAMETERS = 100
# Also without the quotation marks that HTTP wants: `etag` of the JSON is often pasted as it is.
_ETAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e]{1,62}"|[\x21\x23-\x7e]{1,62})', re.ASCII)
KEY = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)
_MASK = "update_mask"
# Never part of what a PATCH changes: the one says which resource, the other which state of it the client saw.
_NOT_CONTENT = {"name", "etag"}


class BadRequest(Exception):
    """The request cannot be turned into its message; the faults have the client's paths."""

    def __init__(self, faults: Iterable[FieldViolation]) -> None:
        self.faults = tuple(faults)
        super().__init__(self.faults)


def fault(field: str, rule: str, message: str) -> BadRequest:
    """The error for one fault."""
    return BadRequest((FieldViolation(field, rule, message),))


def parse_json(body: bytes) -> Any:
    """The JSON value of a body: UTF-8, no lone surrogates, no NaN.

    Raises:
        BadRequest: rule JSON_SYNTAX.
    """
    try:
        return orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise fault("body", "JSON_SYNTAX", f"is not valid JSON: {error}") from error


def parse_query(query: bytes) -> list[tuple[str, str]]:
    """The parameters of a query string, in order.

    Raises:
        BadRequest: too many, not UTF-8, or a NUL character.
    """
    if not query:
        return []
    pieces = query.split(b"&")
    if len(pieces) > MAX_PARAMETERS:
        raise fault("query", "TOO_MANY_PARAMETERS", f"must have at most {MAX_PARAMETERS} parameters")
    pairs = []
    for piece in pieces:
        if not piece:
            continue
        name, _, value = piece.partition(b"=")
        try:
            pairs.append((_text(name), _text(value)))
        except UnicodeDecodeError as error:
            raise fault(name.decode("latin-1")[:100], "QUERY_ENCODING", "must be percent-encoded UTF-8") from error
    return pairs


def build(
    binding: Binding,
    variables: Mapping[str, str],
    query: Iterable[tuple[str, str]],
    body: Any,
    headers: Mapping[str, str],
) -> Message:
    """The request message.

    Args:
        binding: what is called.
        variables: request field path to text, from the path of the URL; they win over everything.
        query: the parameters.
        body: the JSON value, or None when there was no body.
        headers: `idempotency-key` and `if-match`, when the client sent them.

    Raises:
        BadRequest: with everything that is wrong.
    """
    faults = Faults()
    document = _body_document(binding, body)
    _check_path_conflicts(binding, document, variables, faults)
    taken = {path.partition(".")[0] for path in variables} | ({binding.body} if binding.body else set())
    for name, value in query:
        _add_parameter(binding, document, name, value, taken, faults)
    message = binding.request()
    decode(message, document, faults)
    if not faults.all:
        for path, value in variables.items():
            set_text(message, path, value)
        if binding.has_update_mask and not message.HasField(_MASK):
            _mask_from_body(binding, message, body)
        _apply_headers(binding, message, headers, faults)
    if faults.all:
        raise BadRequest(FieldViolation(binding.client_path(at), rule, text) for at, rule, text in faults.all)
    return message


def set_text(message: Message, path: str, value: str) -> None:
    """Sets a string field by its proto path."""
    *parents, name = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    setattr(message, name, value)


def get_text(message: Message, path: str) -> str:
    """Reads a string field by its proto path."""
    value: Any = message
    for name in path.split("."):
        value = getattr(value, name)
    return str(value)


def _text(piece: bytes) -> str:
    return unquote_to_bytes(piece.replace(b"+", b" ")).decode()


def _body_document(binding: Binding, body: Any) -> dict[str, Any]:
    field = binding.body_field
    if field is not None:
        if body is None:
            raise fault("body", "BODY_REQUIRED", f"must be the {message_of(field).name} as a JSON object")
        return {field.json_name: body}
    if body is None:
        return {}
    if binding.body != "*":
        raise fault("body", "BODY_NOT_EXPECTED", "must be empty")
    if not isinstance(body, dict):
        raise fault("body", "JSON_OBJECT", "must be an object")
    return dict(body)


def _check_path_conflicts(
    binding: Binding, document: Mapping[str, Any], variables: Mapping[str, str], faults: Faults
) -> None:
    for path, value in variables.items():
        given: Any = document
        descriptor: Descriptor | None = binding.input
        for name in path.split("."):
            field = descriptor.fields_by_name[name] if descriptor is not None else None
            if not isinstance(given, dict) or field is None:
                given = None
                break
            given = given.get(field.json_name, given.get(name))
            descriptor = field.message_type
        if given is not None and given != value:
            faults.add(path, "PATH_CONFLICT", "names another resource than the path of the URL")


def _add_parameter(
    binding: Binding, document: dict[str, Any], name: str, value: str, taken: set[str], faults: Faults
) -> None:
    fields = _parameter_fields(binding, name, taken)
    if not fields:
        faults.add(name[:100], "UNKNOWN_PARAMETER", "is not a query parameter of this method")
        return
    *parents, field = fields
    target = document
    for parent in parents:
        target = target.setdefault(parent.json_name, {})
    if field.is_repeated:
        target.setdefault(field.json_name, []).append(from_text(field, value))
    elif field.json_name in target:
        faults.add(name[:100], "REPEATED_PARAMETER", "must be given once")
    else:
        target[field.json_name] = from_text(field, value)


def _parameter_fields(binding: Binding, name: str, taken: set[str]) -> list[FieldDescriptor]:
    """The fields on the way to a parameter, `place.shelf`; empty when it is none of this method."""
    found: list[FieldDescriptor] = []
    within: Descriptor | None = binding.input
    for part in name.split("."):
        field = find_field(within, part) if within is not None else None
        if field is None or (found and found[-1].is_repeated):
            return []
        found.append(field)
        within = field.message_type if _is_own_message(field) else None
    last = found[-1]
    if binding.body == "*" or found[0].name in taken or _is_own_message(last) or is_map(last):
        return []
    return found


def _is_own_message(field: FieldDescriptor) -> bool:
    """Whether its members are fields of ours; a time or a mask is one value."""
    return field.message_type is not None and field.message_type.file.package != "google.protobuf"


def _mask_from_body(binding: Binding, message: Message, body: Any) -> None:
    field = binding.body_field
    if field is None or not isinstance(body, dict):
        return
    mask: Any = getattr(message, _MASK)
    mask.paths.extend(path for path in _paths(message_of(field), body, "") if path not in _NOT_CONTENT)


def _paths(descriptor: Descriptor, value: Mapping[str, Any], prefix: str) -> Iterable[str]:
    """The fields that a body sets, down to single values; null clears and counts as set."""
    for name, item in value.items():
        field = find_field(descriptor, name)
        if field is None or OUTPUT_ONLY in behaviours(field):
            continue
        path = prefix + field.name
        if isinstance(item, dict) and item and not field.is_repeated and _is_own_message(field):
            yield from _paths(message_of(field), item, path + ".")
        else:
            yield path


def _apply_headers(binding: Binding, message: Message, headers: Mapping[str, str], faults: Faults) -> None:
    key = headers.get("idempotency-key")
    if key is not None and binding.has_request_id:
        given = get_text(message, "request_id")
        if not KEY.fullmatch(key):
            faults.add("Idempotency-Key", "HEADER_FORMAT", "must be 1 to 64 printable characters")
        elif given and given != key:
            faults.add("requestId", "IDEMPOTENCY_KEY_CONFLICT", "differs from the header Idempotency-Key")
        else:
            set_text(message, "request_id", key)
    match = headers.get("if-match")
    if match is None or binding.verb == "GET" or match == "*":
        return
    found = _ETAG.fullmatch(match)
    given = get_text(message, binding.etag) if binding.etag else ""
    if found is None:
        faults.add("If-Match", "HEADER_FORMAT", 'must be one etag in quotation marks, such as "abc"')
    elif not binding.etag:
        faults.add("If-Match", "IF_MATCH_NOT_SUPPORTED", "cannot be checked by this method")
    elif given and given.strip('"') != found[1].strip('"'):
        faults.add("If-Match", "ETAG_CONFLICT", "differs from the etag in the body")
    else:
        set_text(message, binding.etag, found[1])
