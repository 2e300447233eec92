"""The gRPC edge of follow-ups."""

from __future__ import annotations

from uuid import UUID

from customer_care.cadences.values import Step
from customer_care.followups.service import Filter, FollowUps, FollowUpView, NewAttempt
from customer_care.followups.values import FollowUpState, Outcome
from customer_care.resources import delivery_filter, delivery_name, staff_filter
from dealerloop.customer_care.v1 import follow_ups_pb2 as pb
from kit.db.etag import etag_of
from kit.rpc import names
from kit.rpc.carry import carry, values
from kit.rpc.server import Call

_FOLLOW_UP = "stores/{store}/followUps/{follow_up}"


class FollowUpEdge:
    """Serves `FollowUpService`."""

    def __init__(self, follow_ups: FollowUps) -> None:
        self._follow_ups = follow_ups

    async def get_follow_up(self, call: Call, request: pb.GetFollowUpRequest) -> pb.FollowUp:
        """One follow-up."""
        return to_message(await self._follow_ups.get(call.session, *_key(request.name)))

    async def list_follow_ups(self, call: Call, request: pb.ListFollowUpsRequest) -> pb.ListFollowUpsResponse:
        """A store's follow-ups by the end of their window."""
        given = values(request, "state", "date")
        wanted = Filter(
            store_id=call.store_id,
            delivery_id=delivery_filter(request.delivery, call.store_id),
            owner_id=staff_filter(request.owner, call.store_id),
            state=FollowUpState(given["state"]) if given["state"] else None,
            day=given["date"],
        )
        views, token = await self._follow_ups.page(call.session, wanted, request.page_size, request.page_token)
        return pb.ListFollowUpsResponse(follow_ups=[to_message(view) for view in views], next_page_token=token)

    async def record_attempt(self, call: Call, request: pb.RecordAttemptRequest) -> pb.FollowUp:
        """An attempt and what came of it."""
        given = values(request.attempt, "attempt_time", "outcome", "note")
        attempt = NewAttempt(given["attempt_time"], Outcome(given["outcome"]), given["note"], call.principal.id)
        key = _key(request.name)
        view = await self._follow_ups.record_attempt(call.session, key, attempt, etag=request.etag, now=call.now)
        return to_message(view)

    async def reveal_contact(self, call: Call, request: pb.RevealContactRequest) -> pb.RevealContactResponse:
        """Name and number in the clear."""
        return carry(await self._follow_ups.contact_of(call.session, *_key(request.name)), pb.RevealContactResponse)


def to_message(view: FollowUpView) -> pb.FollowUp:
    """The public form of a follow-up."""
    follow_up, plan = view.follow_up, view.plan
    # A version that a plan follows holds every step of it; the empty step stands for nothing that can happen.
    step = view.cadence.step(follow_up.step)
    store = f"stores/{follow_up.store_id}"
    return carry(
        follow_up,
        pb.FollowUp,
        name=f"{store}/followUps/{follow_up.id}",
        delivery=delivery_name(follow_up.store_id, follow_up.delivery_id),
        owner=f"{store}/staff/{follow_up.owner_id}" if follow_up.owner_id else "",
        attempts=[carry(attempt, pb.Attempt) for attempt in view.attempts],
        cadence_template_version=view.cadence.name,
        survey=f"{store}/surveys/{view.survey_id}" if view.survey_id else "",
        vin=plan.vin,
        customer_display_name=view.contact.display_name,
        customer_phone=view.contact.phone,
        etag=etag_of(follow_up.version),
        **_texts(step),
    )


def _texts(step: Step | None) -> dict[str, object]:
    return {} if step is None else {"titles": step.titles, "scripts": step.scripts, "owner_role": step.owner_role}


def _key(name: str) -> tuple[str, UUID]:
    parts = names.parse(name, _FOLLOW_UP)
    return parts["store"], names.parse_id(parts["follow_up"])
