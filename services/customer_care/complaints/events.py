"""What the others are told of complaints; ids, words and times, and no text that a person wrote."""

from __future__ import annotations

from datetime import datetime

from customer_care.complaints import clocks
from customer_care.complaints.form import Form
from customer_care.complaints.model import Complaint
from customer_care.complaints.values import ClockKind, ClockState, Verb
from dealerloop.customer_care.events.v1 import events_pb2
from kit.rpc.carry import carry


def opened(complaint: Complaint) -> events_pb2.ComplaintOpened:
    """A complaint was opened."""
    return carry(
        complaint,
        events_pb2.ComplaintOpened,
        complaint_id=complaint.id,
        response_id=complaint.survey_id,
    )


def moved(complaint: Complaint, form: Form, verb: Verb, now: datetime) -> events_pb2.ComplaintMoved:
    """Somebody acted on it."""
    return carry(
        complaint,
        events_pb2.ComplaintMoved,
        complaint_id=complaint.id,
        verb=verb,
        round=form.round.number,
        action_time=now,
    )


def closed(complaint: Complaint, form: Form, now: datetime) -> events_pb2.ComplaintClosed:
    """It was closed."""
    close = form.clock(ClockKind.CLOSE)
    return carry(
        complaint,
        events_pb2.ComplaintClosed,
        complaint_id=complaint.id,
        within_limit=close is not None and clocks.state(close, now) is ClockState.MET,
        rounds=len(form.rounds),
    )
