"""The statements that write care plans, hundreds at a time: arrays in, one round trip each.

Follow-ups of equal deliveries are equal but for the delivery, so the windows travel once per shape and are multiplied
by the database: a batch of deliveries of one day sends a dozen rows instead of thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from asyncpg import Connection

_CREATE: Final = """
WITH plan AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::date[],
        $9::timestamptz[], $10::date[], $11::boolean[], $12::text[], $13::integer[], $14::integer[]
    ) AS p (delivery_id, store_id, version, vin, series, customer_id, consultant_id, delivery_date,
            record_time, finance_end_date, cancelled, template, template_number, shape)
), written AS (
    INSERT INTO care_plan (
        delivery_id, store_id, version, vin, series, customer_id, consultant_id, delivery_date,
        record_time, finance_end_date, cancelled, template, template_number, create_time)
    SELECT delivery_id, store_id, version, vin, series, customer_id, consultant_id, delivery_date,
           record_time, finance_end_date, cancelled, template, template_number, $30::timestamptz
    FROM plan
), planned AS (
    INSERT INTO follow_up (
        store_id, delivery_id, step, occurrence, owner_id, window_start_date, window_end_date, state,
        version, create_time)
    SELECT p.store_id, p.delivery_id, s.step, s.occurrence, CASE WHEN s.consultant THEN p.consultant_id ELSE '' END,
           s.window_start_date, s.window_end_date, s.state, 1, $30::timestamptz
    FROM plan p
    JOIN unnest($15::integer[], $16::text[], $17::integer[], $18::boolean[], $19::date[], $20::date[], $21::text[])
         AS s (shape, step, occurrence, consultant, window_start_date, window_end_date, state) USING (shape)
)
INSERT INTO survey (
    id, store_id, delivery_id, step, occurrence, questionnaire, questionnaire_number, state, expire_time,
    version, create_time)
SELECT id, store_id, delivery_id, step, occurrence, questionnaire, questionnaire_number, 'OPEN', expire_time, 1,
       $30::timestamptz
FROM unnest($22::uuid[], $23::text[], $24::uuid[], $25::text[], $26::integer[], $27::text[], $28::integer[],
            $29::timestamptz[])
     AS v (id, store_id, delivery_id, step, occurrence, questionnaire, questionnaire_number, expire_time)
"""
_UPDATE_PLANS: Final = """
UPDATE care_plan c
SET version = u.version, vin = u.vin, series = u.series, customer_id = u.customer_id,
    consultant_id = u.consultant_id, delivery_date = u.delivery_date, finance_end_date = u.finance_end_date,
    cancelled = u.cancelled
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::date[], $8::date[],
            $9::boolean[])
     AS u (delivery_id, version, vin, series, customer_id, consultant_id, delivery_date, finance_end_date, cancelled)
WHERE c.delivery_id = u.delivery_id
"""
_INSERT_FOLLOW_UPS: Final = """
INSERT INTO follow_up (
    store_id, delivery_id, step, occurrence, owner_id, window_start_date, window_end_date, state, version, create_time)
SELECT n.*, 1, $9::timestamptz
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::integer[], $5::text[], $6::date[], $7::date[], $8::text[]) AS n
"""
# A slot that was proposed within another window is no longer one.
_UPDATE_FOLLOW_UPS: Final = """
UPDATE follow_up f
SET owner_id = u.owner_id, window_start_date = u.window_start_date, window_end_date = u.window_end_date,
    state = u.state, version = f.version + 1,
    finish_time = CASE WHEN u.state = 'PLANNED' THEN NULL ELSE $6::timestamptz END,
    next_attempt_time = CASE WHEN u.state = 'PLANNED' AND u.window_start_date = f.window_start_date
                              AND u.window_end_date = f.window_end_date THEN f.next_attempt_time END
FROM unnest($1::uuid[], $2::text[], $3::date[], $4::date[], $5::text[])
     AS u (id, owner_id, window_start_date, window_end_date, state)
WHERE f.id = u.id
"""
_INSERT_SURVEYS: Final = """
INSERT INTO survey (
    id, store_id, delivery_id, step, occurrence, questionnaire, questionnaire_number, state, expire_time,
    version, create_time)
SELECT id, store_id, delivery_id, step, occurrence, questionnaire, questionnaire_number, 'OPEN', expire_time, 1,
       $9::timestamptz
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::integer[], $6::text[], $7::integer[],
            $8::timestamptz[])
     AS v (id, store_id, delivery_id, step, occurrence, questionnaire, questionnaire_number, expire_time)
"""
_UPDATE_SURVEYS: Final = """
UPDATE survey s SET state = u.state, expire_time = u.expire_time, version = s.version + 1
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS u (id, state, expire_time)
WHERE s.id = u.id
"""
# The guard makes the order of events unimportant; sorted, so that row locks are taken in one order.
_UPSERT_FIRST_SERVICES: Final = """
INSERT INTO first_service AS f (vin, version, due_date, due_km, done_date)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::date[], $4::integer[], $5::date[]) AS n (vin) ORDER BY n.vin
ON CONFLICT (vin) DO UPDATE
SET version = excluded.version, due_date = excluded.due_date, due_km = excluded.due_km, done_date = excluded.done_date
WHERE f.version < excluded.version OR $6::boolean
"""
# A visit has no version: the earliest one counts, in whatever order they come.
_UPSERT_VISITS: Final = """
INSERT INTO first_service AS f (vin, version, due_km, visit_date)
SELECT n.vin, 0, 0, n.visit_date FROM unnest($1::text[], $2::date[]) AS n (vin, visit_date) ORDER BY n.vin
ON CONFLICT (vin) DO UPDATE SET visit_date = least(f.visit_date, excluded.visit_date)
"""


class PlanRow(NamedTuple):
    """One row of care_plan, and the shape of its follow-ups (-1: none)."""

    delivery_id: UUID
    store_id: str
    version: int
    vin: str
    series: str
    customer_id: UUID | None
    consultant_id: str
    delivery_date: date
    record_time: datetime
    finance_end_date: date | None
    cancelled: bool
    template: str
    template_number: int
    shape: int


class ShapeRow(NamedTuple):
    """One follow-up of a shape; `consultant` says whether the delivery's consultant owns it."""

    shape: int
    step: str
    occurrence: int
    consultant: bool
    window_start: date
    window_end: date
    state: str


class SurveyRow(NamedTuple):
    """One new survey."""

    id: UUID
    store_id: str
    delivery_id: UUID
    step: str
    occurrence: int
    questionnaire: str
    questionnaire_number: int
    expire_time: datetime


class FollowUpRow(NamedTuple):
    """One new follow-up of a plan that was there before."""

    store_id: str
    delivery_id: UUID
    step: str
    occurrence: int
    owner_id: str
    window_start: date
    window_end: date
    state: str


async def create(
    connection: Connection,
    plans: Sequence[PlanRow],
    shapes: Sequence[ShapeRow],
    surveys: Sequence[SurveyRow],
    now: datetime,
) -> None:
    """Write new plans with their follow-ups and surveys."""
    columns = (*_columns(plans, PlanRow), *_columns(shapes, ShapeRow), *_columns(surveys, SurveyRow))
    await connection.execute(_CREATE, *columns, now)


async def update_plans(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Bring plans up to date: (delivery_id, version, vin, series, customer_id, consultant_id, delivery_date,
    finance_end_date, cancelled).
    """
    if rows:
        await connection.execute(_UPDATE_PLANS, *zip(*rows, strict=True))


async def insert_follow_ups(connection: Connection, rows: Sequence[FollowUpRow], now: datetime) -> None:
    """Write new follow-ups."""
    if rows:
        await connection.execute(_INSERT_FOLLOW_UPS, *zip(*rows, strict=True), now)


async def update_follow_ups(
    connection: Connection, rows: Sequence[tuple[UUID, str, date, date, str]], now: datetime
) -> None:
    """Change follow-ups: (id, owner_id, window_start, window_end, state)."""
    if rows:
        await connection.execute(_UPDATE_FOLLOW_UPS, *zip(*rows, strict=True), now)


async def insert_surveys(connection: Connection, rows: Sequence[SurveyRow], now: datetime) -> None:
    """Write new surveys."""
    if rows:
        await connection.execute(_INSERT_SURVEYS, *zip(*rows, strict=True), now)


async def update_surveys(connection: Connection, rows: Sequence[tuple[UUID, str, datetime]]) -> None:
    """Change surveys: (id, state, expire_time)."""
    if rows:
        await connection.execute(_UPDATE_SURVEYS, *zip(*rows, strict=True))


async def upsert_first_services(
    connection: Connection, rows: Sequence[tuple[str, int, date | None, int, date | None]], *, as_is: bool
) -> None:
    """Keep the newest, or all `as_is`: (vin, version, due_date, due_km, done_date), each vehicle once."""
    if rows:
        await connection.execute(_UPSERT_FIRST_SERVICES, *zip(*rows, strict=True), as_is)


async def upsert_visits(connection: Connection, rows: Sequence[tuple[str, date]]) -> None:
    """Keep the earliest: (vin, visit_date), each vehicle once."""
    if rows:
        await connection.execute(_UPSERT_VISITS, *zip(*rows, strict=True))


def _columns(rows: Sequence[tuple[Any, ...]], row: type[Any]) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [[] for _ in row._fields]
