"""The gRPC edge of the audit trail."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from dealerloop.gateway.v1 import audit_pb2 as pb
from gateway.audit.model import AuditRecord
from kit.db import paging
from kit.rpc.carry import carry
from kit.rpc.principal import PUBLIC
from kit.rpc.server import Call

_LARGEST_PAGE: Final = 200


class AuditEdge:
    """Serves `AuditService`."""

    async def list_audit_records(self, call: Call, request: pb.ListAuditRecordsRequest) -> pb.ListAuditRecordsResponse:
        """List the audit trail, newest first; what concerns the whole group is shown to those who see all of it."""
        query = sa.select(AuditRecord).where(call.scope.limit(sa.type_coerce(AuditRecord.store_id, sa.Text)))
        if request.resource:
            query = query.where(AuditRecord.resource == request.resource)
        actor = _actor(request.actor)
        if actor:
            query = query.where(AuditRecord.actor == actor)
        digest = paging.query_hash("audit", call.scope.setting, request.resource, actor)
        size = paging.page_size(request.page_size, largest=_LARGEST_PAGE)
        token = paging.decode_token(request.page_token, digest)
        order = [AuditRecord.act_time, AuditRecord.action_id]
        rows = (await call.session.scalars(paging.keyset(query, order, token, size, descending=True))).all()
        shown, last = paging.split(rows, size)
        return pb.ListAuditRecordsResponse(
            audit_records=[_message(record) for record in shown],
            next_page_token=paging.encode_token([last.act_time, last.action_id], digest) if last else "",
        )


def _actor(text: str) -> str:
    """The actor as the trail writes it; of a member of staff the id, or the name in his store, will do."""
    if not text or text == PUBLIC.id or ":" in text:
        return text
    return f"staff/{text.rpartition('/')[2]}"


def _message(record: AuditRecord) -> pb.AuditRecord:
    return carry(
        record,
        pb.AuditRecord,
        name=f"auditRecords/{record.action_id}",
        store=f"stores/{record.store_id}" if record.store_id else "",
    )
