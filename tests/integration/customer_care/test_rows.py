"""Rows of a store stay in the store, and the queries that matter use their indexes, under the service's own role."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asyncpg.exceptions import InsufficientPrivilegeError
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from customer_care.followups.model import FollowUp
from customer_care.followups.service import Filter, filtered
from customer_care.followups.values import FollowUpState
from kit.db.paging import keyset
from kit.db.scope import Scope
from tests.support.care_desk import CareDesk, first_service
from tests.support.deliveries import OTHER_STORE, STORE, recorded

STORE_TABLES = (
    *("care_plan", "follow_up", "attempt", "survey", "response", "contact"),
    *("complaint", "complaint_action", "complaint_round", "complaint_clock", "complaint_escalation"),
)


async def count(care: CareDesk, scope: Scope, table: str) -> int:
    async with care.database.transaction(scope) as session:
        return int((await session.execute(text(f"select count(*) from {table}"))).scalar_one())


async def test_every_table_with_rows_of_a_store_is_protected(care: CareDesk) -> None:
    rows = await care.rows(
        "select relname, relrowsecurity and relforcerowsecurity as safe from pg_class "
        "where relkind = 'r' and relnamespace = 'public'::regnamespace"
    )
    open_tables = {row["relname"] for row in rows if not row["safe"]}

    assert {row["relname"] for row in rows if row["safe"]} == {*STORE_TABLES, "first_service"}
    assert open_tables == {
        *("outbox", "inbox", "relay_state", "epoch", "seen_epoch", "timer", "idempotency", "simulation"),
        *("store", "staff", "cadence_template", "cadence_template_version", "questionnaire_version", "alembic_version"),
    }


async def test_a_store_sees_its_own_rows_only(care: CareDesk) -> None:
    await care.deliveries(recorded(1), recorded(2), recorded(3, store_id=OTHER_STORE))
    await care.told_of("workshop", first_service(3))

    for table, rows in (("care_plan", 2), ("follow_up", 22), ("survey", 2), ("first_service", 0)):
        assert await count(care, Scope.store(STORE), table) == rows
    assert await count(care, Scope.store(OTHER_STORE), "first_service") == 1
    assert await count(care, Scope.stores(()), "follow_up") == 0
    assert await count(care, Scope.group(), "care_plan") == 3


async def test_a_row_of_another_store_cannot_be_written(care: CareDesk) -> None:
    await care.deliveries(recorded(1))

    with pytest.raises(DBAPIError) as caught:
        async with care.database.transaction(Scope.store(STORE)) as session:
            await session.execute(text(f"update follow_up set store_id = '{OTHER_STORE}'"))
    assert isinstance(caught.value.orig.__cause__, InsufficientPrivilegeError)  # type: ignore[union-attr]


async def test_nothing_is_read_without_a_scope(care: CareDesk) -> None:
    await care.deliveries(recorded(1))
    async with care.database.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text("select * from follow_up"))


async def fill(care: CareDesk) -> None:
    """Enough rows of enough stores for the planner to have a choice."""
    async with care.database.transaction(Scope.system("test")) as session:
        await session.execute(
            text(
                "insert into follow_up (store_id, delivery_id, step, occurrence, owner_id, window_start_date, "
                "window_end_date, state, version, create_time) "
                "select 's-' || n % 40, uuidv7(), 'CAD-01', 1, 'o-' || n % 400, date '2024-01-01' + n / 40 % 700, "
                "date '2024-01-03' + n / 40 % 700, case when n % 10 = 0 then 'PLANNED' else 'REACHED' end, 1, now() "
                "from generate_series(1, 40000) n"
            )
        )
        await session.execute(
            text(
                "insert into care_plan (delivery_id, store_id, version, vin, series, consultant_id, delivery_date, "
                "record_time, cancelled, template, template_number, create_time) "
                "select delivery_id, store_id, 1, 'VIN' || occurrence || id, '', owner_id, window_start_date, now(), "
                "false, 'post-delivery', 1, now() from follow_up"
            )
        )
        await session.execute(
            text(
                "insert into timer (kind, key, due_at, wake_time) "
                "select 'care.window', n::text, now() + n * interval '1 hour', now() + n * interval '1 hour' "
                "from generate_series(1, 20000) n"
            )
        )


def indexes(plan: dict[str, Any]) -> set[str]:
    found = {plan["Index Name"]} if "Index Name" in plan else set()
    for part in plan.get("Plans", []):
        found |= indexes(part)
    return found


async def explain(care: CareDesk, query: str, scope: Scope) -> dict[str, Any]:
    async with care.database.transaction(scope) as session:
        answer = (await session.execute(text(f"explain (format json) {query}"))).scalar_one()
    return dict((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"])


WORKLISTS = {
    "follow_up_list_idx": Filter("s-7"),
    "follow_up_open_idx": Filter("s-7", state=FollowUpState.PLANNED),
    "follow_up_owner_idx": Filter("s-7", owner_id="o-7"),
}
LOOK_UPS = {
    "timer_wake_time_idx": (
        "select key from timer where kind = 'care.window' and wake_time <= now() order by wake_time limit 200"
    ),
    "follow_up_identity_key": "select * from follow_up where delivery_id = '01a204fc-966d-7d88-ab75-b84a9326b1c9'",
    "care_plan_vin_idx": "select * from care_plan where vin = 'VIN1'",
}


async def test_worklists_and_due_rows_are_read_from_their_indexes(care: CareDesk, database_owner: str) -> None:
    await fill(care)
    await analyse(database_owner)

    for index, wanted in WORKLISTS.items():
        query = keyset(filtered(wanted), [FollowUp.window_end_date, FollowUp.id], (), 50)
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy says nothing of its types
        statement = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        assert index in indexes(await explain(care, statement, Scope.store("s-7")))
    for index, statement in LOOK_UPS.items():
        assert indexes(await explain(care, statement, Scope.system("test"))) == {index}


async def analyse(owner_url: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(owner_url)
    await connection.execute("analyze")
    await connection.close()
