"""Who may call a method: read from its `(dealerloop.access)` option, and decided here only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, assert_never

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from dealerloop import options_pb2
from kit.db.scope import Scope
from kit.errors import PermissionDenied, invalid
from kit.rpc.fields import is_single_message, message_of
from kit.rpc.names import store_of
from kit.rpc.principal import PUBLIC, Grants, Principal, PrincipalKind
from kit.rpc.tokens import GATEWAY

_STORE_ID = re.compile(r"[a-z][a-z0-9-]{0,38}")
_ADDRESSES = ("parent", "name")


class Place(Enum):
    """Where the permission of a method must hold; the same words as the proto's `Scope`."""

    PUBLIC = options_pb2.SCOPE_PUBLIC
    SELF = options_pb2.SCOPE_SELF
    STORE = options_pb2.SCOPE_STORE
    REACH = options_pb2.SCOPE_REACH
    GROUP = options_pb2.SCOPE_GROUP
    SERVICE = options_pb2.SCOPE_SERVICE


class ContractError(Exception):
    """A contract or an edge that must not be served; raised before the server starts."""


class AccessDenied(PermissionDenied):
    """The caller may not do this here; the same words whether the thing exists or not."""

    reason = "ACCESS_DENIED"


@dataclass(frozen=True)
class AccessRule:
    """The access option of one method, and where its requests name the store.

    Attributes:
        address: path of the request field with the resource name, such as `parent` or `delivery.name`; empty when
            there is none.
        audited: a read that is told to the audit trail.
    """

    method: str
    permission: str
    place: Place
    audited: bool
    address: str

    def name_in(self, request: Message) -> str:
        """The resource name that the request is about; empty when it names none."""
        value: Any = request
        for step in self.address.split(".") if self.address else ():
            value = getattr(value, step)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Decision:
    """What an accepted call runs with: as whom, on which rows, in which store (empty when it is not one store's)."""

    principal: Principal
    scope: Scope
    store_id: str = ""


def method_name(method: MethodDescriptor) -> str:
    """`dealerloop.sales.v1.DeliveryService/CreateDelivery`."""
    service = method.containing_service
    assert service is not None
    return f"{service.full_name}/{method.name}"


def rule_of(method: MethodDescriptor) -> AccessRule:
    """The rule of one method.

    Raises:
        ContractError: it has no access option, or one that does not say enough.
    """
    name = method_name(method)
    options = method.GetOptions()
    extension: Any = options_pb2.access
    option = options.Extensions[extension]
    if not options.HasExtension(extension) or option.scope == options_pb2.SCOPE_UNSPECIFIED:
        raise ContractError(f"{name} has no (dealerloop.access) option that says who may call it")
    place = Place(option.scope)
    if not option.permission and place in {Place.STORE, Place.REACH, Place.GROUP}:
        raise ContractError(f"{name} is limited to a {place.name.lower()}, but its access option names no permission")
    address = _address(method.input_type)
    if place is Place.STORE and not address:
        raise ContractError(f"{name} is limited to a store, but {method.input_type.full_name} does not name one")
    return AccessRule(name, option.permission, place, option.audited, address)


def rules_of(services: Iterable[ServiceDescriptor]) -> dict[str, AccessRule]:
    """The rules of every method of these services, by `package.Service/Method`.

    Raises:
        ContractError: one line for each method that cannot be served.
    """
    rules: dict[str, AccessRule] = {}
    wrong = []
    for method in (method for service in services for method in service.methods):
        try:
            rules[method_name(method)] = rule_of(method)
        except ContractError as error:
            wrong.append(str(error))
    if wrong:
        raise ContractError("\n".join(wrong))
    return rules


def authorise(rule: AccessRule, principal: Principal, request: Message, grants: Grants) -> Decision:
    """Lets the call through with its scope, or refuses it.

    People need the rule's permission from one of their roles at the rule's place. Services may call what is written for
    services and nothing else; the gateway's own token also opens what is public.

    Raises:
        PermissionDenied: always in the same words, so that nobody learns what exists.
        InvalidArgument: the request names no store where it must (rule RESOURCE_NAME).
    """
    return _DECIDE[rule.place](rule, principal, request, grants)


def _service(rule: AccessRule, principal: Principal, _request: Message, _grants: Grants) -> Decision:
    if principal.kind is not PrincipalKind.SERVICE:
        raise AccessDenied
    return Decision(principal, Scope.system(f"{principal.id} calls {rule.method}"))


def _public(rule: AccessRule, principal: Principal, _request: Message, _grants: Grants) -> Decision:
    scope = Scope.system(f"public method {rule.method}")
    match principal.kind:
        case PrincipalKind.STAFF:
            return Decision(principal, scope)
        case PrincipalKind.SERVICE:
            if principal.id != f"service:{GATEWAY}":
                raise AccessDenied
            return Decision(PUBLIC, scope)
        case PrincipalKind.PUBLIC:
            return Decision(principal, scope)
        case _:
            assert_never(principal.kind)


def _self(_rule: AccessRule, principal: Principal, _request: Message, _grants: Grants) -> Decision:
    _only_people(principal)
    reach = principal.presence()
    return Decision(principal, Scope.group() if reach.group else Scope.stores(reach.stores))


def _store(rule: AccessRule, principal: Principal, request: Message, grants: Grants) -> Decision:
    _only_people(principal)
    store = store_of(rule.name_in(request))
    if not _STORE_ID.fullmatch(store):
        raise invalid(rule.address, "RESOURCE_NAME", "must begin with stores/{store}")
    if store not in principal.reach(rule.permission, grants):
        raise _needed(rule, "in the store")
    return Decision(principal, Scope.store(store), store)


def _reach(rule: AccessRule, principal: Principal, _request: Message, grants: Grants) -> Decision:
    _only_people(principal)
    reach = principal.reach(rule.permission, grants)
    if not reach:
        raise _needed(rule, "in a store")
    return Decision(principal, Scope.group() if reach.group else Scope.stores(reach.stores))


def _group(rule: AccessRule, principal: Principal, _request: Message, grants: Grants) -> Decision:
    _only_people(principal)
    if not principal.reach(rule.permission, grants).group:
        raise _needed(rule, "for the whole group")
    return Decision(principal, Scope.group())


def _needed(rule: AccessRule, where: str) -> AccessDenied:
    """The refusal; it repeats the contract only, so it is the same whether the thing exists or not."""
    return AccessDenied(f"this needs the permission {rule.permission} {where}")


def _only_people(principal: Principal) -> None:
    if principal.kind is not PrincipalKind.STAFF:
        raise AccessDenied


_DECIDE: dict[Place, Callable[[AccessRule, Principal, Message, Grants], Decision]] = {
    Place.PUBLIC: _public,
    Place.SELF: _self,
    Place.STORE: _store,
    Place.REACH: _reach,
    Place.GROUP: _group,
    Place.SERVICE: _service,
}


def _address(request: Descriptor) -> str:
    """`parent` or `name`, else `<resource>.name` of the one message in the request that has a name."""
    for name in _ADDRESSES:
        if _is_text(request, name):
            return name
    nested = [
        field.name for field in request.fields if is_single_message(field) and _is_text(message_of(field), "name")
    ]
    return f"{nested[0]}.name" if len(nested) == 1 else ""


def _is_text(message: Descriptor, name: str) -> bool:
    field = message.fields_by_name.get(name)
    return field is not None and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated
