"""Takes the audit trail of all services into one table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from gateway.audit.model import AuditRecord
from gateway.streams import AUDITED
from kit.errors import invalid
from kit.messaging.event import Event
from kit.messaging.subscription import Batch, Subscription

# PostgreSQL takes 65,535 parameters in a statement; a record has ten.
_ROWS_AT_ONCE: Final = 500


async def handle(batch: Batch) -> None:
    """Keep each action once; an action that is known already changes nothing."""
    rows = list({row["action_id"]: row for row in map(_row, batch.events)}.values())
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        await batch.session.execute(insert(AuditRecord).on_conflict_do_nothing(), part)


def subscriptions() -> Sequence[Subscription]:
    """Return one subscription for each service's stream."""
    return [
        Subscription(
            name=f"audit_of_{service}",
            stream=stream,
            events=(ActionRecorded,),
            handle=handle,
            source_service=service,
            gather_seconds=0.5,
        )
        for service, stream in AUDITED.items()
    ]


def _row(event: Event) -> dict[str, Any]:
    action = event.message
    assert isinstance(action, ActionRecorded)
    return {
        "action_id": _identity(action.action_id),
        "store_id": action.store_id or None,
        "actor": action.actor,
        "roles": list(action.roles),
        "method": action.method,
        "resource": action.resource,
        "fields": list(action.fields),
        "act_time": action.act_time.ToDatetime(tzinfo=UTC),
        "trace_id": action.trace_id,
        # PostgreSQL keeps no U+0000; a record must not be lost because somebody sent one past the REST border.
        "reason": action.reason.replace("\0", ""),
    }


def _identity(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        # Permanent: such an event belongs into the dead letters at once.
        raise invalid("action_id", "ACTION_ID", "not a UUID") from None
