"""Removes every personal word of customers from their complaints, on their request (GRP-06)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.complaints.model import Complaint, ComplaintAction, ComplaintRound

_TEXTS: Final = (
    *("sealed_description", "sealed_customer_wish", "sealed_display_name", "sealed_phone"),
    *("sealed_opinion", "sealed_pause_reason", "sealed_lesson"),
)


async def erase(session: AsyncSession, customer_ids: Sequence[object]) -> None:
    """Empty the texts of these customers' complaints; what was done, when and by whom stays."""
    theirs = select(Complaint.id).where(Complaint.customer_id.in_(customer_ids))
    # The complaints first and in order, as everybody takes them.
    ids = (await session.scalars(theirs.order_by(Complaint.id).with_for_update())).all()
    if not ids:
        return
    statements = (
        update(Complaint).where(Complaint.id.in_(ids)).values(dict.fromkeys(_TEXTS)),
        update(ComplaintAction).where(ComplaintAction.complaint_id.in_(ids)).values(sealed_note=None),
        update(ComplaintRound)
        .where(ComplaintRound.complaint_id.in_(ids))
        .values(sealed_cause=None, sealed_action=None),
    )
    for statement in statements:
        await session.execute(statement, execution_options={"synchronize_session": False})
