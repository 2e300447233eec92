"""The public form of complaints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from customer_care.complaints import clocks, rules
from customer_care.complaints.model import (
    ACTION,
    CAUSE,
    DESCRIPTION,
    LESSON,
    NOTE,
    OPINION,
    PAUSE_REASON,
    WISH,
    ComplaintAction,
    ComplaintRound,
)
from customer_care.complaints.service import Complaints, ComplaintView
from customer_care.resources import delivery_name
from dealerloop.customer_care.v1 import complaints_pb2 as pb
from kit.db.etag import etag_of
from kit.rpc import names
from kit.rpc.carry import carry

COMPLAINT: Final = "stores/{store}/complaints/{complaint}"
CUSTOMER: Final = "stores/{store}/customers/{customer}"
STAFF: Final = "stores/{store}/staff/{staff}"
# What is kept by id, because a store is never renamed inside its own rows.
_PEOPLE: Final = frozenset({"responsible", "checker"})


def to_message(complaints: Complaints, view: ComplaintView) -> pb.Complaint:
    """The public form of a complaint; `complaints` opens its texts."""
    complaint, form = view.record.complaint, view.form
    store = complaint.store_id
    return carry(
        complaint,
        pb.Complaint,
        name=names.format_name(COMPLAINT, store=store, complaint=complaint.id),
        description=complaints.text(DESCRIPTION, complaint.sealed_description),
        customer_wish=complaints.text(WISH, complaint.sealed_customer_wish),
        customer=f"stores/{store}/customers/{complaint.customer_id}" if complaint.customer_id else "",
        customer_display_name=view.contact.display_name,
        customer_phone=view.contact.phone,
        delivery=delivery_name(store, complaint.delivery_id) if complaint.delivery_id else "",
        survey=f"stores/{store}/surveys/{complaint.survey_id}" if complaint.survey_id else "",
        responsible=_staff(store, form.round.responsible_id),
        opinion=complaints.text(OPINION, complaint.sealed_opinion),
        checker=_staff(store, complaint.checker_id),
        rounds=[_round(complaints, row) for row in view.record.rounds],
        clocks=list(_clocks(view)),
        paused=complaint.paused_since is not None,
        pause_reason=complaints.text(PAUSE_REASON, complaint.sealed_pause_reason),
        actions=[_action(complaints, row) for row in view.actions],
        escalations=[carry(row, pb.ComplaintEscalation) for row in view.escalations],
        repeat_complaints=[names.format_name(COMPLAINT, store=store, complaint=one) for one in view.repeats],
        allowed_verbs=list(rules.allowed(form, view.at.policy)),
        lesson=complaints.text(LESSON, complaint.sealed_lesson),
        etag=etag_of(complaint.version),
    )


def _round(complaints: Complaints, row: ComplaintRound) -> pb.ComplaintRound:
    return carry(
        row,
        pb.ComplaintRound,
        responsible=_staff(row.store_id, row.responsible_id),
        cause=complaints.text(CAUSE, row.sealed_cause),
        action=complaints.text(ACTION, row.sealed_action),
    )


def _clocks(view: ComplaintView) -> Iterator[pb.ComplaintClock]:
    now, hours = view.at.now, view.at.hours
    for clock in view.form.clocks:
        yield pb.ComplaintClock(
            kind=f"COMPLAINT_CLOCK_KIND_{clock.kind}",
            state=f"STATE_{clocks.state(clock, now)}",
            start_time=clock.start,
            due_time=clocks.due_now(clock, now, hours),
            paused_seconds=int(clocks.paused_for(clock, now).total_seconds()),
            done_time=clock.done,
            round=clock.round,
        )


def _action(complaints: Complaints, row: ComplaintAction) -> pb.ComplaintAction:
    changes = {field: _staff(row.store_id, to) if field in _PEOPLE else to for field, to in row.changes.items()}
    return carry(row, pb.ComplaintAction, note=complaints.text(NOTE, row.sealed_note), changes=changes)


def _staff(store_id: str, staff_id: str) -> str:
    return f"stores/{store_id}/staff/{staff_id}" if staff_id else ""
