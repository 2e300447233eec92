"""Which HTTP method and path calls which RPC, read from the contracts once at start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from google.api import http_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from dealerloop import options_pb2
from gateway.api import templates
from gateway.api.descriptors import Contracts, access_of, find_field, http_of, message_class
from gateway.api.templates import Template

_VERBS = ("get", "put", "post", "delete", "patch")


class ContractError(Exception):
    """The contracts cannot be served: says which method and why."""


@dataclass(frozen=True, eq=False)
class Binding:
    """One HTTP method and path of one RPC.

    `body` is `*` for the whole request, the name of the field that the body fills, or empty for no body.
    `etag` is the path of the request field that `If-Match` fills, empty when there is none.
    """

    method: MethodDescriptor
    verb: str
    template: Template
    body: str
    public: bool
    request: type[Message]
    response: type[Message]
    etag: str
    has_request_id: bool
    has_update_mask: bool

    @cached_property
    def service(self) -> str:
        """The service that serves it: `sales` of `dealerloop.sales.v1`."""
        return str(self.method.full_name.split(".")[1])

    @cached_property
    def rpc_path(self) -> str:
        """The path of the RPC on the wire."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @cached_property
    def input(self) -> Descriptor:
        """The type of the request."""
        return self.method.input_type

    @cached_property
    def streams(self) -> bool:
        """Whether the answer is a stream."""
        return bool(self.method.server_streaming)

    @cached_property
    def body_field(self) -> FieldDescriptor | None:
        """The request field that the body fills, when it is one field."""
        if self.body in {"", "*"}:
            return None
        return self.input.fields_by_name[self.body]

    def client_path(self, path: str) -> str:
        """A JSON field path of the request as the client sees it: relative to the body that he sent."""
        field = self.body_field
        if field is None:
            return path
        return path.removeprefix(f"{field.json_name}.") if path != field.json_name else "body"


class Bindings:
    """All bindings of the API, found by path and method."""

    def __init__(self, bindings: Iterable[Binding]) -> None:
        self.all: tuple[Binding, ...] = tuple(bindings)
        # By length and verb, then by the places of the literal segments, then by those literals: a lookup for each
        # set of places, of which there are few, instead of a match for each template.
        self._by_shape: dict[tuple[int, str], dict[tuple[int, ...], dict[tuple[str, ...], list[Binding]]]] = {}
        for binding in self.all:
            segments = binding.template.segments
            fixed = tuple(at for at, segment in enumerate(segments) if segment != "*")
            by_places = self._by_shape.setdefault((len(segments), binding.template.verb), {})
            by_words = by_places.setdefault(fixed, {})
            by_words.setdefault(tuple(segments[at] for at in fixed), []).append(binding)

    def match(self, path: str) -> dict[str, tuple[Binding, dict[str, str]]]:
        """Everything that a raw path means: by HTTP method the binding and its decoded variables.

        A raw `:` in the last segment always starts a verb; in an id it is written `%3A`.

        Raises:
            BadPath: the path matches, and a variable in it cannot be decoded.
        """
        head, slash, last = path.rpartition("/")
        last, _, verb = last.partition(":")
        path = head + slash + last
        found: dict[str, tuple[Binding, dict[str, str]]] = {}
        segments = path.split("/")[1:]
        for fixed, by_words in self._by_shape.get((len(segments), verb), {}).items():
            for binding in by_words.get(tuple(segments[at] for at in fixed), ()):
                if binding.verb in found:
                    continue
                variables = binding.template.match(path)
                if variables is not None:
                    found[binding.verb] = (binding, variables)
        return found


def read(contracts: Contracts) -> Bindings:
    """The bindings of all methods with an http annotation.

    Raises:
        ContractError: a method has no access option, or an annotation that cannot be served.
    """
    bindings: list[Binding] = []
    problems: list[str] = []
    for service in contracts.services:
        for method in service.methods:
            try:
                bindings.extend(_of_method(method))
            except (ContractError, templates.BadTemplate) as error:
                problems.append(f"{method.full_name}: {error}")
    # Literal paths win over variables: /v1/stores/mine before /v1/{name=stores/*}.
    bindings.sort(key=lambda binding: [segment != "*" for segment in binding.template.segments], reverse=True)
    problems.extend(_doubles(bindings))
    if problems:
        raise ContractError("; ".join(problems))
    return Bindings(bindings)


def _of_method(method: MethodDescriptor) -> Sequence[Binding]:
    access = access_of(method)
    if access.scope == options_pb2.SCOPE_UNSPECIFIED:
        raise ContractError("has no (dealerloop.access) option with a scope")
    rule = http_of(method)
    if rule is None:
        return ()
    if access.scope == options_pb2.SCOPE_SERVICE:
        raise ContractError("is for services only and must not have an http annotation")
    if method.client_streaming:
        raise ContractError("streams from the client, which has no form in REST")
    public = access.scope == options_pb2.SCOPE_PUBLIC
    return [_bind(method, each, public=public) for each in (rule, *rule.additional_bindings)]


def _bind(method: MethodDescriptor, rule: http_pb2.HttpRule, *, public: bool) -> Binding:
    verb = rule.WhichOneof("pattern")
    if verb not in _VERBS:
        raise ContractError(f"has an http annotation without one of {', '.join(_VERBS)}")
    if rule.response_body:
        raise ContractError("uses response_body, which this API does not")
    template = templates.parse(getattr(rule, verb))
    request = method.input_type
    for variable in template.variables:
        if _walk(request, variable.field).type != FieldDescriptor.TYPE_STRING:
            raise ContractError(f"path variable {variable.field} is not a string")
    if rule.body not in {"", "*"} and _walk(request, rule.body).message_type is None:
        raise ContractError(f"body field {rule.body} is not a message")
    return Binding(
        method=method,
        verb=verb.upper(),
        template=template,
        body=rule.body,
        public=public,
        request=message_class(request),
        response=message_class(method.output_type),
        etag=_etag_path(request, rule.body if verb in {"patch", "put"} else ""),
        has_request_id="request_id" in request.fields_by_name,
        has_update_mask=verb == "patch" and "update_mask" in request.fields_by_name,
    )


def _walk(descriptor: Descriptor, path: str) -> FieldDescriptor:
    *parents, last = path.split(".")
    within: Descriptor | None = descriptor
    for name in parents:
        field = find_field(within, name) if within is not None else None
        within = field.message_type if field is not None else None
    field = find_field(within, last) if within is not None else None
    if field is None:
        raise ContractError(f"{descriptor.full_name} has no field {path}")
    return field


def _etag_path(request: Descriptor, body: str) -> str:
    if "etag" in request.fields_by_name:
        return "etag"
    nested = request.fields_by_name[body].message_type if body not in {"", "*"} else None
    return f"{body}.etag" if nested is not None and "etag" in nested.fields_by_name else ""


def _doubles(bindings: Iterable[Binding]) -> list[str]:
    seen: dict[tuple[str, str, str], Binding] = {}
    problems = []
    for binding in bindings:
        key = (binding.verb, binding.template.regex.pattern, binding.template.verb)
        if key in seen:
            problems.append(f"{binding.method.full_name} and {seen[key].method.full_name} have the same path")
        seen[key] = binding
    return problems
