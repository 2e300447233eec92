"""The gRPC edge of complaints."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from customer_care.complaints.commands import (
    Archive,
    CallBack,
    Command,
    Dispatch,
    Extend,
    Pause,
    RecordContact,
    Reopen,
    Resume,
    Return,
    Review,
    SetOpinion,
    Sign,
)
from customer_care.complaints.intake import Filled
from customer_care.complaints.messages import COMPLAINT, CUSTOMER, STAFF, to_message
from customer_care.complaints.service import Complaints, Filter
from customer_care.complaints.values import Actor, Channel, Department, Kind, Level, Severity, Step
from customer_care.resources import delivery_filter
from dealerloop.customer_care.v1 import complaints_pb2 as pb
from dealership import vin
from dealership.people import of_other_store
from kit.errors import invalid
from kit.rpc import names
from kit.rpc.carry import carry, values
from kit.rpc.server import Call

E = TypeVar("E", bound=StrEnum)


class ComplaintEdge:
    """Serves `ComplaintService`."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints

    async def create_complaint(self, call: Call, request: pb.CreateComplaintRequest) -> pb.Complaint:
        """Open a complaint by hand."""
        filled = _filled(request.complaint, call.store_id)
        view = await self._complaints.create(call.session, call.store_id, filled, call.principal.id, call.now)
        return to_message(self._complaints, view)

    async def get_complaint(self, call: Call, request: pb.GetComplaintRequest) -> pb.Complaint:
        """One complaint with its history."""
        return to_message(self._complaints, await self._complaints.get(call.session, *_key(request.name), call.now))

    async def list_complaints(self, call: Call, request: pb.ListComplaintsRequest) -> pb.ListComplaintsResponse:
        """A store's complaints, the newest first."""
        given = values(request, "step", "level", "department")
        wanted = Filter(
            store_id=call.store_id,
            step=_one(Step, given, "step"),
            level=_one(Level, given, "level"),
            department=_one(Department, given, "department"),
            open=request.open,
            vin=vin.parse(request.vin)[0] if request.vin else None,
            delivery_id=delivery_filter(request.delivery, call.store_id),
        )
        size, token = request.page_size, request.page_token
        views, next_token = await self._complaints.page(call.session, wanted, size, token, call.now)
        complaints = [to_message(self._complaints, view) for view in views]
        return pb.ListComplaintsResponse(complaints=complaints, next_page_token=next_token)

    async def reveal_complaint_contact(
        self, call: Call, request: pb.RevealComplaintContactRequest
    ) -> pb.RevealedComplaintContact:
        """Name and number in the clear."""
        contact = await self._complaints.contact_of(call.session, *_key(request.name))
        return carry(contact, pb.RevealedComplaintContact)

    async def set_complaint_opinion(self, call: Call, request: pb.SetComplaintOpinionRequest) -> pb.Complaint:
        """The care manager's opinion."""
        given = values(request, "severity", "department", "level")
        opinion = SetOpinion(
            request.opinion,
            Severity(given["severity"]),
            Department(given["department"]),
            _one(Level, given, "level"),
        )
        return await self._act(call, request.name, request.etag, opinion)

    async def review_complaint(self, call: Call, request: pb.ReviewComplaintRequest) -> pb.Complaint:
        """The GM's word on the opinion."""
        checker = _staff(request.checker, call.store_id, "checker") if request.checker else ""
        return await self._act(call, request.name, request.etag, Review(request.accepted, request.comment, checker))

    async def dispatch_complaint(self, call: Call, request: pb.DispatchComplaintRequest) -> pb.Complaint:
        """To the responsible person."""
        responsible = _staff(request.responsible, call.store_id, "responsible")
        return await self._act(call, request.name, request.etag, Dispatch(responsible, request.note))

    async def record_complaint_contact(self, call: Call, request: pb.RecordComplaintContactRequest) -> pb.Complaint:
        """A conversation with the customer."""
        given = values(request, "channel", "contact_time")
        contact = RecordContact(Channel(given["channel"]), request.note, given["contact_time"])
        return await self._act(call, request.name, request.etag, contact)

    async def return_complaint(self, call: Call, request: pb.ReturnComplaintRequest) -> pb.Complaint:
        """The department's answer."""
        promised = values(request, "promised_date")["promised_date"]
        return await self._act(call, request.name, request.etag, Return(request.cause, request.action, promised))

    async def call_back_complaint(self, call: Call, request: pb.CallBackComplaintRequest) -> pb.Complaint:
        """Whether the customer is satisfied."""
        return await self._act(call, request.name, request.etag, CallBack(request.satisfied, request.note))

    async def sign_complaint(self, call: Call, request: pb.SignComplaintRequest) -> pb.Complaint:
        """The GM's signature."""
        return await self._act(call, request.name, request.etag, Sign(request.comment))

    async def archive_complaint(self, call: Call, request: pb.ArchiveComplaintRequest) -> pb.Complaint:
        """Into the archive."""
        return await self._act(call, request.name, request.etag, Archive(request.lesson))

    async def extend_complaint(self, call: Call, request: pb.ExtendComplaintRequest) -> pb.Complaint:
        """More time."""
        until = values(request, "due_time")["due_time"]
        return await self._act(call, request.name, request.etag, Extend(request.reason, until))

    async def pause_complaint(self, call: Call, request: pb.PauseComplaintRequest) -> pb.Complaint:
        """The clocks stand still."""
        return await self._act(call, request.name, request.etag, Pause(request.reason))

    async def resume_complaint(self, call: Call, request: pb.ResumeComplaintRequest) -> pb.Complaint:
        """The clocks run again."""
        return await self._act(call, request.name, request.etag, Resume(request.note))

    async def reopen_complaint(self, call: Call, request: pb.ReopenComplaintRequest) -> pb.Complaint:
        """A closed complaint is opened again."""
        return await self._act(call, request.name, request.etag, Reopen(request.reason))

    async def _act(self, call: Call, name: str, etag: str, command: Command) -> pb.Complaint:
        view = await self._complaints.act(call.session, _key(name), command, _actor(call), etag=etag, now=call.now)
        return to_message(self._complaints, view)


def _actor(call: Call) -> Actor:
    held = (one.role for one in call.principal.assignments if one.stores is None or call.store_id in one.stores)
    return Actor(call.principal.id, call.principal.staff_id, frozenset(held))


def _filled(message: pb.Complaint, store_id: str) -> Filled:
    given = values(message, "level", "kind", "channel", "severity", "department")
    field = "complaint.delivery"
    return Filled(
        level=_one(Level, given, "level"),
        kind=Kind(given["kind"]),
        channel=Channel(given["channel"]),
        severity=_one(Severity, given, "severity"),
        department=_one(Department, given, "department"),
        description=message.description,
        customer_wish=message.customer_wish,
        customer_id=_id(message.customer, CUSTOMER, "complaint.customer", store_id, "CUSTOMER_UNKNOWN"),
        display_name=message.customer_display_name,
        phone=message.customer_phone,
        vin=message.vin,
        delivery_id=_id(message.delivery, "stores/{store}/deliveries/{delivery}", field, store_id, "DELIVERY_UNKNOWN"),
    )


def _id(name: str, pattern: str, field: str, store_id: str, unknown: str) -> UUID | None:
    """Return the id in a name; one of another store is unknown here, as is what can be no id."""
    if not name:
        return None
    parts = names.parse(name, pattern, field=field)
    store = parts.pop("store")
    [text] = parts.values()
    try:
        found = UUID(text)
    except ValueError:
        found = None
    if found is None or store != store_id:
        raise invalid(field, unknown, "there is no such thing in this store")
    return found


def _staff(name: str, store_id: str, field: str) -> str:
    parts = names.parse(name, STAFF, field=field)
    if parts["store"] != store_id:
        raise of_other_store(field)
    return parts["staff"]


def _one(kind: type[E], given: Mapping[str, Any], field: str) -> E | None:
    return kind(given[field]) if given[field] else None


def _key(name: str) -> tuple[str, UUID]:
    parts = names.parse(name, COMPLAINT)
    return parts["store"], names.parse_id(parts["complaint"])
