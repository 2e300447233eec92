"""Complaints: the use cases of the closed loop (CMP-1 … CMP-13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.complaints import events, intake, records, rules, timing
from customer_care.complaints.clocks import Hours
from customer_care.complaints.commands import Archive, Command, Pause, Resume, Return, SetOpinion, named_in
from customer_care.complaints.form import Form
from customer_care.complaints.intake import Filled
from customer_care.complaints.model import (
    ACTION,
    CAUSE,
    DESCRIPTION,
    LESSON,
    NAME,
    NOTE,
    OPINION,
    PAUSE_REASON,
    PHONE,
    WISH,
    Complaint,
    ComplaintAction,
    ComplaintEscalation,
    ComplaintRound,
)
from customer_care.complaints.policy import Policy
from customer_care.complaints.records import Record
from customer_care.complaints.rules import Circumstances
from customer_care.complaints.values import CLOSED, Actor, Department, Level, Opening, Step, Verb
from customer_care.contacts.service import ContactBook, ContactUnknown, ContactView
from customer_care.stores import StoreCache
from dealership import staff
from dealership.phone import mask_name, mask_phone
from kit.db.etag import check_etag
from kit.db.paging import decode_token, encode_token, keyset, page_size, query_hash, split
from kit.errors import NotFound
from kit.ids import floor_id, new_id
from kit.messaging import outbox
from kit.rpc.client import Peer
from kit.vault import Vault

_LARGEST_PAGE: Final = 200
_NOBODY: Final = ContactView("", "")


class ComplaintNotFound(NotFound):
    """There is no such complaint in this store."""

    reason = "COMPLAINT_NOT_FOUND"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which complaints of a store a list shows; None does not limit."""

    store_id: str
    step: Step | None = None
    level: Level | None = None
    department: Department | None = None
    open: bool = False
    vin: str | None = None
    delivery_id: UUID | None = None


class ComplaintView(NamedTuple):
    """A complaint with all that is shown of it; lists leave out actions, escalations and repeats."""

    record: Record
    form: Form
    at: Circumstances
    contact: ContactView
    actions: Sequence[ComplaintAction] = ()
    escalations: Sequence[ComplaintEscalation] = ()
    repeats: Sequence[UUID] = ()


class Complaints:
    """The use cases of complaints; every answer costs a fixed number of queries."""

    def __init__(
        self, contacts: ContactBook, stores: StoreCache, vault: Vault, policy: Policy, *, gateway: Peer
    ) -> None:
        self._contacts = contacts
        self._stores = stores
        self._vault = vault
        self._policy = policy
        self._gateway = gateway

    async def create(
        self, session: AsyncSession, store_id: str, filled: Filled, actor: str, now: datetime
    ) -> ComplaintView:
        """Open a complaint that somebody filled in (CMP-1). Raises what `intake.read` raises."""
        opening = await intake.read(session, self._contacts, store_id, filled, actor)
        complaint = await self.open(session, opening, now)
        return await self.get(session, store_id, complaint.id, now)

    async def open(self, session: AsyncSession, opening: Opening, now: datetime) -> Complaint:
        """Open a case, start its clocks and tell the others; returns its row. Waits for no other complaint."""
        at = await self._circumstances(session, opening.store_id, now)
        form = rules.opened(opening.level, opening.department, opening.severity, at)
        complaint = Complaint(
            id=new_id(now),
            store_id=opening.store_id,
            version=1,
            kind=opening.kind,
            channel=opening.channel,
            customer_id=opening.customer_id,
            vin=opening.vin,
            delivery_id=opening.delivery_id,
            survey_id=opening.survey_id,
            sealed_description=self._seal(DESCRIPTION, opening.description),
            sealed_customer_wish=self._seal(WISH, opening.customer_wish),
            sealed_display_name=self._seal(NAME, opening.contact_name),
            sealed_phone=self._seal(PHONE, opening.contact_phone),
            open_time=now,
            update_time=now,
        )
        records.carry(complaint, form)
        session.add(complaint)
        # First the complaint: what belongs to it refers to it.
        await session.flush()
        records.write(session, Record(complaint, (), ()), form)
        told = {"level": f"COMPLAINT_LEVEL_{form.level}"}
        if form.department is not None:
            told["department"] = f"DEPARTMENT_{form.department}"
        self._note(session, complaint, None, form, _Done(Verb.OPEN, opening.actor, "", told), now)
        await session.flush()
        await timing.follow(session, complaint.id, (), form, policy=at.policy, hours=at.hours)
        await outbox.add(session, events.opened(complaint), key=str(complaint.id), now=now)
        return complaint

    async def act(
        self, session: AsyncSession, key: tuple[str, UUID], command: Command, actor: Actor, *, etag: str, now: datetime
    ) -> ComplaintView:
        """Do this with the complaint `key` (store, id), one after the other with whoever else does something.

        Raises ComplaintNotFound, StaleEtag, what `rules.act` raises, and for a person whom it names what
        `staff.require` raises.
        """
        query = select(Complaint).where(Complaint.id == key[1], Complaint.store_id == key[0]).with_for_update()
        complaint = (await session.scalars(query)).one_or_none()
        if complaint is None:
            raise ComplaintNotFound("there is no such complaint in this store")
        check_etag(etag, complaint.version)
        # Who waited for another one acts after him, whenever he asked.
        at = await self._circumstances(session, complaint.store_id, max(now, complaint.update_time))
        [record] = await records.read(session, [complaint])
        before = record.form
        after = rules.act(before, command, actor, at)
        await self._check_people(session, complaint.store_id, command)
        rounds = records.write(session, record, after)
        self._keep_texts(complaint, rounds[before.round.number], command)
        complaint.version += 1
        complaint.update_time = at.now
        done = _Done(command.verb, actor.id, command.note, command.changes)
        self._note(session, complaint, before, after, done, at.now)
        await session.flush()
        await timing.follow(session, complaint.id, before.clocks, after, policy=at.policy, hours=at.hours)
        await self._tell(session, complaint, before, after, command.verb, at.now)
        return await self.get(session, complaint.store_id, complaint.id, at.now)

    async def get(self, session: AsyncSession, store_id: str, complaint_id: UUID, now: datetime) -> ComplaintView:
        """Return one complaint with its history. Raises ComplaintNotFound."""
        query = select(Complaint).where(Complaint.id == complaint_id, Complaint.store_id == store_id)
        views = await self._views(session, query, store_id, now)
        if not views:
            raise ComplaintNotFound("there is no such complaint in this store")
        [view] = views
        actions = select(ComplaintAction).where(ComplaintAction.complaint_id == complaint_id)
        escalations = select(ComplaintEscalation).where(ComplaintEscalation.complaint_id == complaint_id)
        in_order = (ComplaintEscalation.fire_time, ComplaintEscalation.due_time, ComplaintEscalation.percent)
        return view._replace(
            actions=(await session.scalars(actions.order_by(ComplaintAction.number))).all(),
            escalations=(await session.scalars(escalations.order_by(*in_order))).all(),
            repeats=await self._repeats(session, view.record.complaint),
        )

    async def page(
        self, session: AsyncSession, wanted: Filter, size: int, token: str, now: datetime
    ) -> tuple[Sequence[ComplaintView], str]:
        """Return a page, the newest first, and the token of the next one."""
        digest = query_hash("complaints", wanted)
        limit = page_size(size, largest=_LARGEST_PAGE)
        query = keyset(filtered(wanted), [Complaint.id], decode_token(token, digest), limit, descending=True)
        views, last = split(await self._views(session, query, wanted.store_id, now), limit)
        return views, encode_token([last.record.complaint.id], digest) if last is not None else ""

    async def contact_of(self, session: AsyncSession, store_id: str, complaint_id: UUID) -> ContactView:
        """Return name and number in the clear, for the call. Raises ComplaintNotFound, ContactUnknown, Unavailable."""
        query = select(Complaint).where(Complaint.id == complaint_id, Complaint.store_id == store_id)
        complaint = (await session.scalars(query)).one_or_none()
        if complaint is None:
            raise ComplaintNotFound("there is no such complaint in this store")
        typed = self._typed(complaint)
        if complaint.customer_id is None and typed == _NOBODY:
            raise ContactUnknown("nobody has written down who the customer is")
        return typed if complaint.customer_id is None else await self._contacts.reveal(session, complaint.customer_id)

    def text(self, purpose: str, sealed: bytes | None) -> str:
        """Return a text in the clear; empty when there is none."""
        return self._vault.open(purpose, sealed) if sealed else ""

    async def _check_people(self, session: AsyncSession, store_id: str, command: Command) -> None:
        for field, staff_id in named_in(command).items():
            store = await self._stores.get(session, store_id)
            await staff.require(session, self._gateway, staff_id, store=store, field=field)

    async def _circumstances(self, session: AsyncSession, store_id: str, now: datetime) -> Circumstances:
        store = await self._stores.get(session, store_id)
        return Circumstances(now, self._policy, Hours(store.calendar, store.time_zone))

    async def _views(
        self, session: AsyncSession, query: Select[Complaint], store_id: str, now: datetime
    ) -> list[ComplaintView]:
        complaints = (await session.scalars(query)).all()
        at = await self._circumstances(session, store_id, now)
        known = await self._contacts.masked(session, {one.customer_id for one in complaints if one.customer_id})
        views = []
        for record in await records.read(session, complaints):
            complaint = record.complaint
            typed = self._typed(complaint)
            masked = ContactView(mask_name(typed.display_name), mask_phone(typed.phone))
            contact = known.get(complaint.customer_id, _NOBODY) if complaint.customer_id else masked
            views.append(ComplaintView(record, record.form, at, contact))
        return views

    async def _repeats(self, session: AsyncSession, complaint: Complaint) -> Sequence[UUID]:
        """Return the complaints about the same vehicle that were opened at most 30 days before or after (CMP-12)."""
        if not complaint.vin:
            return ()
        span = self._policy.repeat
        query = select(Complaint.id).where(
            Complaint.store_id == complaint.store_id,
            Complaint.vin == complaint.vin,
            Complaint.id != complaint.id,
            # The ids carry the opening, so that the index is read from and to.
            Complaint.id >= floor_id(complaint.open_time - span),
            Complaint.open_time >= complaint.open_time - span,
            Complaint.open_time <= complaint.open_time + span,
        )
        return (await session.scalars(query.order_by(Complaint.id).limit(_LARGEST_PAGE))).all()

    def _keep_texts(self, complaint: Complaint, round_row: ComplaintRound, command: Command) -> None:
        match command:
            case SetOpinion():
                complaint.sealed_opinion = self._seal(OPINION, command.opinion)
            case Return():
                round_row.sealed_cause = self._seal(CAUSE, command.cause)
                round_row.sealed_action = self._seal(ACTION, command.action)
            case Archive():
                complaint.sealed_lesson = self._seal(LESSON, command.note)
            case Pause():
                complaint.sealed_pause_reason = self._seal(PAUSE_REASON, command.note)
            case Resume():
                complaint.sealed_pause_reason = None
            case _:
                # The others leave their words in the history alone.
                pass

    def _note(
        self, session: AsyncSession, complaint: Complaint, before: Form | None, after: Form, done: _Done, now: datetime
    ) -> None:
        session.add(
            ComplaintAction(
                complaint_id=complaint.id,
                number=complaint.version,
                store_id=complaint.store_id,
                verb=done.verb,
                actor=done.actor,
                action_time=now,
                from_step=before.step if before is not None else None,
                to_step=after.step,
                round=(before or after).round.number,
                sealed_note=self._seal(NOTE, done.note),
                changes=dict(done.changes),
            )
        )

    async def _tell(
        self, session: AsyncSession, complaint: Complaint, before: Form, after: Form, verb: Verb, now: datetime
    ) -> None:
        key = str(complaint.id)
        await outbox.add(session, events.moved(complaint, after, verb, now), key=key, now=now)
        if after.step in CLOSED and before.step not in CLOSED:
            await outbox.add(session, events.closed(complaint, after, now), key=key, now=now)

    def _typed(self, complaint: Complaint) -> ContactView:
        name, number = complaint.sealed_display_name, complaint.sealed_phone
        return ContactView(self.text(NAME, name), self.text(PHONE, number))

    def _seal(self, purpose: str, text: str | None) -> bytes | None:
        return self._vault.seal(purpose, text) if text else None


class _Done(NamedTuple):
    """What the history keeps of an action."""

    verb: Verb
    actor: str
    note: str
    changes: Mapping[str, str]


def filtered(wanted: Filter) -> Select[Complaint]:
    """Return the query of what a list shows."""
    query = select(Complaint).where(Complaint.store_id == wanted.store_id)
    if wanted.step is not None:
        query = query.where(Complaint.step == wanted.step)
    if wanted.level is not None:
        query = query.where(Complaint.level == wanted.level)
    if wanted.department is not None:
        query = query.where(Complaint.department == wanted.department)
    if wanted.open:
        query = query.where(Complaint.close_time.is_(None))
    if wanted.vin is not None:
        query = query.where(Complaint.vin == wanted.vin)
    if wanted.delivery_id is not None:
        query = query.where(Complaint.delivery_id == wanted.delivery_id)
    return query
