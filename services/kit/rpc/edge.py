"""Edge classes: the methods of a proto service as plain typed coroutines, checked before they are served."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args, get_origin, get_type_hints

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.scope import Scope
from kit.rpc.access import AccessRule, ContractError, rule_of
from kit.rpc.principal import Principal

REQUEST_ID = "request_id"


@dataclass(frozen=True)
class Call:
    """What an edge method knows of the call besides its request.

    Attributes:
        session: the call's transaction; read-only for reads. Whoever opened it commits it.
        principal: who calls, already let through.
        scope: the rows that the session sees.
        now: the call's instant, UTC.
        method: `dealerloop.sales.v1.DeliveryService/CreateDelivery`.
        store_id: the store that the request is about; empty for calls of the group, of services and of the public.
    """

    session: AsyncSession
    principal: Principal
    scope: Scope
    now: datetime
    method: str
    store_id: str


@dataclass(frozen=True)
class RpcService:
    """A proto service and the object that answers it: one method in snake_case for each RPC."""

    descriptor: ServiceDescriptor
    edge: object


@dataclass(frozen=True)
class Method:
    """One RPC, ready to be called."""

    name: str
    rule: AccessRule
    request_type: type[Message]
    response_type: type[Message]
    streams: bool
    mutation: bool
    handler: Callable[[Call, Any], Any]

    @property
    def told(self) -> bool:
        """Whether the audit trail hears of it."""
        return self.mutation or self.rule.audited

    @property
    def read_only(self) -> bool:
        """Whether it leaves nothing behind, not even a line in the audit trail."""
        return not self.told

    @property
    def repeatable(self) -> bool:
        """Whether a repetition is answered with the kept response.

        An audited read is not: its response may be personal data in the clear, which must not be kept, and reading
        twice does no harm.
        """
        return self.mutation and not self.rule.audited


def bind(services: Iterable[RpcService]) -> dict[str, list[Method]]:
    """The methods of each service by the service's full name.

    Raises:
        ContractError: one line for each RPC that has no access rule, no method, or one with other types.
    """
    bound: dict[str, list[Method]] = {}
    wrong: list[str] = []
    for service in services:
        name = service.descriptor.full_name
        if name in bound:
            wrong.append(f"{name} is given twice")
        methods = bound[name] = []
        for descriptor in service.descriptor.methods:
            try:
                methods.append(_bind(descriptor, service.edge))
            except ContractError as error:
                wrong.append(str(error))
    if wrong:
        raise ContractError("this server cannot start:\n" + "\n".join(wrong))
    return bound


def snake(name: str) -> str:
    """`create_delivery` for `CreateDelivery`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _bind(descriptor: MethodDescriptor, edge: object) -> Method:
    rule = rule_of(descriptor)
    request_type, response_type = GetMessageClass(descriptor.input_type), GetMessageClass(descriptor.output_type)
    mutation = REQUEST_ID in descriptor.input_type.fields_by_name
    streams = bool(descriptor.server_streaming)
    if descriptor.client_streaming:
        raise ContractError(f"{rule.method} takes a stream of requests, which this server does not serve")
    if streams and (mutation or rule.audited):
        raise ContractError(f"{rule.method} is a stream, which runs read-only: it can neither write nor be audited")
    where = f"{type(edge).__name__}.{snake(descriptor.name)}"
    handler = getattr(edge, snake(descriptor.name), None)
    if handler is None:
        raise ContractError(f"{rule.method} has no method {where}")
    _check_types(rule.method, where, handler, request_type, response_type, streams=streams)
    return Method(rule.method, rule, request_type, response_type, streams, mutation, handler)


def _check_types(
    rpc: str, where: str, handler: Any, request: type[Message], response: type[Message], *, streams: bool
) -> None:
    right_kind = inspect.isasyncgenfunction(handler) if streams else inspect.iscoroutinefunction(handler)
    if not right_kind:
        kind = "an async generator" if streams else "a coroutine"
        raise ContractError(f"{rpc}: {where} must be {kind}")
    try:
        hints = get_type_hints(handler)
        parameters = list(inspect.signature(handler).parameters)
    except (NameError, ValueError) as error:
        raise ContractError(f"{rpc}: the annotations of {where} cannot be read at run time: {error}") from error
    returned = hints.pop("return", None)
    if streams and get_origin(returned) in {AsyncIterator, AsyncGenerator}:
        returned = get_args(returned)[0]
    taken = [hints.get(name) for name in parameters]
    if taken != [Call, request] or returned is not response:
        expected = f"AsyncIterator[{response.__name__}]" if streams else response.__name__
        raise ContractError(f"{rpc}: {where} must be (call: Call, request: {request.__name__}) -> {expected}")
