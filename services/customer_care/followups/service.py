"""Follow-ups: worklists, attempts, and ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.cadences.service import CadenceCatalogue
from customer_care.cadences.values import TemplateVersion
from customer_care.care_plans.model import CarePlan
from customer_care.care_plans.windows import follow_up_finished
from customer_care.contacts.service import ContactBook, ContactView
from customer_care.followups import rules
from customer_care.followups.model import Attempt, FollowUp
from customer_care.followups.values import AttemptFact, Decision, FollowUpState, Outcome
from customer_care.stores import StoreCache
from customer_care.surveys.model import Survey
from dealerloop.customer_care.events.v1 import events_pb2
from kit.db.etag import check_etag
from kit.db.paging import decode_token, encode_token, keyset, page_size, query_hash, split
from kit.errors import NotFound
from kit.ids import new_id
from kit.messaging import outbox
from kit.vault import Vault

NOTE = "customer_care.attempt.note"
_LARGEST_PAGE = 200
_WRONG_NUMBER = "WRONG_NUMBER"


class FollowUpNotFound(NotFound):
    """There is no such follow-up in this store."""

    reason = "FOLLOW_UP_NOT_FOUND"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which follow-ups of a store a list shows; None does not limit."""

    store_id: str
    delivery_id: UUID | None = None
    owner_id: str | None = None
    state: FollowUpState | None = None
    day: date | None = None


class NewAttempt(NamedTuple):
    """An attempt as it is told: `at` None means now."""

    at: datetime | None
    outcome: Outcome
    note: str
    actor: str


class NotedAttempt(NamedTuple):
    """An attempt as it is shown."""

    attempt_time: datetime
    outcome: Outcome
    note: str
    actor: str


class FollowUpView(NamedTuple):
    """A follow-up with all that is shown of it."""

    follow_up: FollowUp
    plan: CarePlan
    cadence: TemplateVersion
    survey_id: UUID | None
    attempts: Sequence[NotedAttempt]
    contact: ContactView


class FollowUps:
    """The use cases of follow-ups; every answer costs a fixed number of queries."""

    def __init__(self, cadences: CadenceCatalogue, contacts: ContactBook, stores: StoreCache, vault: Vault) -> None:
        self._cadences = cadences
        self._contacts = contacts
        self._stores = stores
        self._vault = vault

    async def get(self, session: AsyncSession, store_id: str, follow_up_id: UUID) -> FollowUpView:
        """Return one follow-up. Raises FollowUpNotFound."""
        found = select_views().where(FollowUp.id == follow_up_id, FollowUp.store_id == store_id)
        views = await self._views(session, found)
        if not views:
            raise FollowUpNotFound("there is no such follow-up in this store")
        return views[0]

    async def page(
        self, session: AsyncSession, wanted: Filter, size: int, token: str
    ) -> tuple[Sequence[FollowUpView], str]:
        """Return a page by the end of the window, the earliest first, and the token of the next one."""
        digest = query_hash("followUps", wanted)
        limit = page_size(size, largest=_LARGEST_PAGE)
        columns = [FollowUp.window_end_date, FollowUp.id]
        query = keyset(filtered(wanted), columns, decode_token(token, digest), limit)
        views, last = split(await self._views(session, query), limit)
        if last is None:
            return views, ""
        return views, encode_token([last.follow_up.window_end_date, last.follow_up.id], digest)

    async def record_attempt(
        self, session: AsyncSession, key: tuple[str, UUID], attempt: NewAttempt, *, etag: str, now: datetime
    ) -> FollowUpView:
        """Record an attempt on the follow-up `key` (store, id) and do what follows from it (CARE-03).

        Raises FollowUpNotFound, StaleEtag, and what `rules.record_attempt` raises.
        """
        plan, follow_up = await self._locked(session, *key)
        check_etag(etag, follow_up.version)
        store = await self._stores.get(session, follow_up.store_id)
        query = select(Attempt).where(Attempt.follow_up_id == follow_up.id).order_by(Attempt.attempt_time)
        earlier = [row.fact for row in await session.scalars(query)]
        window = rules.OpenWindow(
            state=follow_up.state,
            start=follow_up.window_start_date,
            end=follow_up.window_end_date,
            since=follow_up.create_time,
            calendar=store.calendar,
            zone=store.time_zone,
        )
        made = AttemptFact(attempt.at or now, attempt.outcome)
        decision = rules.record_attempt(window, earlier, made, now=now)
        self._note(session, follow_up, attempt._replace(at=made.at))
        await self._follow(session, plan, follow_up, decision, now)
        return await self.get(session, *key)

    async def reached_by_survey(
        self, session: AsyncSession, survey: Survey, *, actor: str | None, now: datetime
    ) -> None:
        """End the open follow-up of an answered survey: a contact through any channel counts.

        `actor` is who keyed the answers in, and gets an attempt; nobody called when the customer used the link. The
        caller holds the lock of the plan.
        """
        query = select(FollowUp).where(
            FollowUp.delivery_id == survey.delivery_id,
            FollowUp.step == survey.step,
            FollowUp.occurrence == survey.occurrence,
            FollowUp.state == FollowUpState.PLANNED,
        )
        follow_up = (await session.scalars(query)).one_or_none()
        if follow_up is None:
            return
        if actor is not None:
            self._note(session, follow_up, NewAttempt(now, Outcome.REACHED, "", actor))
        await self._follow(session, None, follow_up, Decision(FollowUpState.REACHED), now)

    async def contact_of(self, session: AsyncSession, store_id: str, follow_up_id: UUID) -> ContactView:
        """Return name and number in the clear, for the call. Raises FollowUpNotFound, ContactUnknown."""
        query = select(CarePlan.customer_id).join(FollowUp, FollowUp.delivery_id == CarePlan.delivery_id)
        row = (await session.execute(query.where(FollowUp.id == follow_up_id, FollowUp.store_id == store_id))).first()
        if row is None:
            raise FollowUpNotFound("there is no such follow-up in this store")
        return await self._contacts.reveal(session, row[0])

    async def _locked(self, session: AsyncSession, store_id: str, follow_up_id: UUID) -> tuple[CarePlan, FollowUp]:
        # The plan is locked first, as by everything that changes what belongs to it.
        query = select(CarePlan).join(FollowUp, FollowUp.delivery_id == CarePlan.delivery_id)
        query = query.where(FollowUp.id == follow_up_id, FollowUp.store_id == store_id).with_for_update(of=CarePlan)
        plan = (await session.scalars(query)).one_or_none()
        follow_up = await session.get(FollowUp, follow_up_id) if plan is not None else None
        if plan is None or follow_up is None:
            raise FollowUpNotFound("there is no such follow-up in this store")
        return plan, follow_up

    def _note(self, session: AsyncSession, follow_up: FollowUp, attempt: NewAttempt) -> None:
        at = attempt.at
        assert at is not None
        session.add(
            Attempt(
                id=new_id(at),
                store_id=follow_up.store_id,
                follow_up_id=follow_up.id,
                attempt_time=at,
                outcome=attempt.outcome,
                sealed_note=self._vault.seal(NOTE, attempt.note) if attempt.note else None,
                actor=attempt.actor,
            )
        )

    async def _follow(
        self, session: AsyncSession, plan: CarePlan | None, follow_up: FollowUp, decision: Decision, now: datetime
    ) -> None:
        if decision.state is not FollowUpState.PLANNED:
            event, key = follow_up_finished(follow_up, decision.state, now)
            await outbox.add(session, event, key=key, now=now)
            follow_up.finish_time = now
        follow_up.state = decision.state
        follow_up.version += 1
        follow_up.next_attempt_time = decision.next_attempt_time
        if decision.number_is_wrong and plan is not None and plan.customer_id is not None:
            customer = str(plan.customer_id)
            correction = events_pb2.DataCorrectionRequested(
                customer_id=customer,
                store_id=follow_up.store_id,
                field="phone",
                reason=_WRONG_NUMBER,
                follow_up_id=str(follow_up.id),
            )
            await outbox.add(session, correction, key=customer, now=now)
        await session.flush()

    async def _views(self, session: AsyncSession, query: Select[FollowUp, CarePlan, UUID]) -> list[FollowUpView]:
        rows = (await session.execute(query)).all()
        attempts = await self._attempts(session, [follow_up.id for follow_up, _, _ in rows])
        contacts = await self._contacts.masked(session, {plan.customer_id for _, plan, _ in rows if plan.customer_id})
        cadences = await self._cadences.get_many(
            session, list({(plan.template, plan.template_number) for _, plan, _ in rows})
        )
        return [
            FollowUpView(
                follow_up,
                plan,
                cadences[plan.template, plan.template_number],
                survey_id,
                attempts[follow_up.id],
                contacts.get(plan.customer_id, ContactView("", "")) if plan.customer_id else ContactView("", ""),
            )
            for follow_up, plan, survey_id in rows
        ]

    async def _attempts(self, session: AsyncSession, ids: Sequence[UUID]) -> Mapping[UUID, list[NotedAttempt]]:
        query = select(Attempt).where(Attempt.follow_up_id.in_(ids)).order_by(Attempt.attempt_time, Attempt.id)
        found: dict[UUID, list[NotedAttempt]] = defaultdict(list)
        for row in await session.scalars(query):
            note = self._vault.open(NOTE, row.sealed_note) if row.sealed_note else ""
            found[row.follow_up_id].append(NotedAttempt(row.attempt_time, row.outcome, note, row.actor))
        return found


def select_views() -> Select[FollowUp, CarePlan, UUID]:
    """Return the query of follow-ups with their plans and the ids of their surveys."""
    same_step = (
        (Survey.delivery_id == FollowUp.delivery_id)
        & (Survey.step == FollowUp.step)
        & (Survey.occurrence == FollowUp.occurrence)
    )
    query = select(FollowUp, CarePlan, Survey.id).join(CarePlan, CarePlan.delivery_id == FollowUp.delivery_id)
    return query.outerjoin(Survey, same_step)


def filtered(wanted: Filter) -> Select[FollowUp, CarePlan, UUID]:
    """Return the same query, limited to what a list shows."""
    query = select_views().where(FollowUp.store_id == wanted.store_id)
    if wanted.delivery_id is not None:
        query = query.where(FollowUp.delivery_id == wanted.delivery_id)
    if wanted.owner_id is not None:
        query = query.where(FollowUp.owner_id == wanted.owner_id)
    if wanted.state is not None:
        query = query.where(FollowUp.state == wanted.state)
    if wanted.day is not None:
        query = query.where(FollowUp.window_start_date <= wanted.day, FollowUp.window_end_date >= wanted.day)
    return query
