"""Bringing plans that are there in step with new facts: what was done stays, the rest follows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.care_plans import bulk, rules
from customer_care.care_plans.planner import Planner
from customer_care.care_plans.values import DeliveryState, Existing, Planned, Reconciliation
from customer_care.care_plans.windows import cancel_closes, finished, schedule_closes
from customer_care.followups.model import FollowUp
from customer_care.followups.values import FollowUpState
from customer_care.surveys.model import Survey
from customer_care.surveys.values import SurveyState
from dealerloop.customer_care.events.v1 import events_pb2
from kit.db.engine import raw_connection
from kit.messaging import outbox


class _Changes:
    """What a whole batch changes, gathered for a fixed number of statements."""

    def __init__(self) -> None:
        self.updated: list[tuple[UUID, str, date, date, str]] = []
        self.inserted: list[bulk.FollowUpRow] = []
        self.surveys: list[bulk.SurveyRow] = []
        self.survey_changes: list[tuple[UUID, str, datetime]] = []
        self.closes: list[tuple[UUID, datetime]] = []
        self.without_close: list[UUID] = []
        self.told: list[tuple[events_pb2.FollowUpFinished, str]] = []


async def replan(session: AsyncSession, planner: Planner, deliveries: Sequence[tuple[DeliveryState, int]]) -> None:
    """Follow the facts for deliveries whose plans are there and locked; each with the number of its cadence version."""
    ids = [delivery.delivery_id for delivery, _ in deliveries]
    follow_ups = await _follow_ups(session, ids)
    surveys = await _surveys(session, ids)
    changes = _Changes()
    for delivery, number in deliveries:
        desired: tuple[Planned, ...] = () if delivery.cancelled else planner.shape(delivery, number).planned
        existing = follow_ups[delivery.delivery_id]
        result = rules.reconcile(existing, desired, delivery.consultant_id)
        _gather_follow_ups(changes, planner, delivery, existing, result)
        _gather_surveys(changes, planner, delivery, surveys[delivery.delivery_id], desired)
    connection = await raw_connection(session)
    await bulk.update_follow_ups(connection, changes.updated, planner.now)
    await bulk.insert_follow_ups(connection, changes.inserted, planner.now)
    await bulk.update_surveys(connection, changes.survey_changes)
    await bulk.insert_surveys(connection, changes.surveys, planner.now)
    await schedule_closes(session, changes.closes)
    await cancel_closes(session, changes.without_close)
    await outbox.add_many(session, changes.told, now=planner.now)


def _gather_follow_ups(
    changes: _Changes,
    planner: Planner,
    delivery: DeliveryState,
    existing: Sequence[Existing],
    result: Reconciliation,
) -> None:
    for change in result.changes:
        changes.updated.append((change.id, change.owner_id, change.window_start, change.window_end, change.state.value))
    for one in result.inserts:
        owner = rules.owner_of(one.owner_role, delivery.consultant_id)
        changes.inserted.append(
            bulk.FollowUpRow(
                delivery.store_id,
                delivery.delivery_id,
                one.step,
                one.occurrence,
                owner,
                one.window_start,
                one.window_end,
                one.state.value,
            )
        )
    for ended in result.closed:
        event = finished(
            ended, delivery.store_id, delivery.delivery_id, ended.window_end, FollowUpState.CLOSED, planner.now
        )
        changes.told.append(event)
    changed = {change.id: (change.state, change.window_end) for change in result.changes}
    windows = [changed.get(one.id, (one.state, one.window_end)) for one in existing]
    windows.extend((one.state, one.window_end) for one in result.inserts)
    close = rules.next_close(windows, planner.stores[delivery.store_id].time_zone)
    if close is None:
        changes.without_close.append(delivery.delivery_id)
    else:
        changes.closes.append((delivery.delivery_id, close))


def _gather_surveys(
    changes: _Changes,
    planner: Planner,
    delivery: DeliveryState,
    existing: Sequence[Survey],
    desired: Sequence[Planned],
) -> None:
    wanted = {(one.step, one.occurrence): one for one in desired if one.questionnaire}
    for survey in existing:
        one = wanted.pop((survey.step, survey.occurrence), None)
        if survey.state is SurveyState.SUBMITTED:
            continue
        state = SurveyState.OPEN if one is not None else SurveyState.CANCELLED
        expires = planner.expires(delivery, one.window_end) if one is not None else survey.expire_time
        if (state, expires) != (survey.state, survey.expire_time):
            changes.survey_changes.append((survey.id, state.value, expires))
    for one in wanted.values():
        row = planner.survey_row(delivery, one.step, one.occurrence, one.questionnaire, one.window_end)
        changes.surveys.append(row)


async def _follow_ups(session: AsyncSession, delivery_ids: Sequence[UUID]) -> dict[UUID, list[Existing]]:
    row = FollowUp
    columns = (
        *(row.id, row.step, row.occurrence, row.owner_id),
        *(row.window_start_date, row.window_end_date, row.state, row.version),
    )
    query = select(row.delivery_id, *columns).where(row.delivery_id.in_(delivery_ids))
    found: dict[UUID, list[Existing]] = defaultdict(list)
    for delivery_id, *fields in (await session.execute(query)).all():
        found[delivery_id].append(Existing(*fields))  # type: ignore[arg-type]  # the columns are its fields
    return found


async def _surveys(session: AsyncSession, delivery_ids: Sequence[UUID]) -> dict[UUID, list[Survey]]:
    found: dict[UUID, list[Survey]] = defaultdict(list)
    for survey in await session.scalars(select(Survey).where(Survey.delivery_id.in_(delivery_ids))):
        found[survey.delivery_id].append(survey)
    return found
