"""What the audit trail hears of a call: who did what to which resource, which fields were set, and why one looked."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from kit import telemetry
from kit.ids import new_id
from kit.messaging import outbox
from kit.rpc.edge import REQUEST_ID, Call, Method
from kit.rpc.fields import is_single_message
from kit.rpc.names import store_of

_NOT_CONTENT = frozenset({REQUEST_ID, "name", "parent", "etag", "update_mask"})
_REASON = "reason"
_DEEPEST = 3
_MOST_FIELDS = 200


async def record(call: Call, method: Method, request: Message, response: Message) -> None:
    """Tells the audit trail of this call, in the call's own transaction."""
    resource = resource_of(method, request, response)
    action_id = str(new_id(call.now))
    action = ActionRecorded(
        action_id=action_id,
        actor=call.principal.id,
        roles=call.principal.roles,
        method=method.name,
        resource=resource,
        store_id=call.store_id or store_of(resource),
        fields=fields_set(request),
        act_time=call.now,
        trace_id=telemetry.trace_id(),
        reason=reason_of(method, request),
    )
    # Each action has a key of its own: the trail is ordered by time, and one line never waits for another.
    await outbox.add(call.session, action, key=action_id, now=call.now)


def resource_of(method: Method, request: Message, response: Message) -> str:
    """The resource that was touched: the request's `name`, else what the service answered with, else the parent.

    A name inside the sent resource counts last: in a creation it is whatever the caller has put there.
    """
    named = method.rule.name_in(request)
    if named and method.rule.address == "name":
        return named
    answered = getattr(response, "name", "")
    return answered if isinstance(answered, str) and answered else named


def reason_of(method: Method, request: Message) -> str:
    """Why the actor wanted to see what an audited read shows; empty for everything else.

    The only value of a request that gets in: what other methods call a reason is content, and may be personal data.
    """
    if not method.rule.audited:
        return ""
    reason = getattr(request, _REASON, "")
    return reason if isinstance(reason, str) else ""


def fields_set(request: Message) -> list[str]:
    """Paths of the fields that the request set, never their values; an update with a mask set what the mask names."""
    mask = getattr(request, "update_mask", None)
    if isinstance(mask, FieldMask) and mask.paths:
        resource = next((field.name for field, _ in request.ListFields() if field.name not in _NOT_CONTENT), "")
        return sorted(f"{resource}.{path}" if resource else path for path in mask.paths)[:_MOST_FIELDS]
    return sorted(_paths(request, "", _DEEPEST))[:_MOST_FIELDS]


def _paths(message: Message, prefix: str, depth: int) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.name in _NOT_CONTENT:
            continue
        path = f"{prefix}{field.name}"
        if depth > 1 and is_single_message(field):
            yield from _paths(value, f"{path}.", depth - 1)
        else:
            yield path
