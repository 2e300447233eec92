"""Lists of complaints are read from their indexes, under the service's own role; rows stay in their store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import Select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from customer_care.complaints.model import Complaint
from customer_care.complaints.service import Filter, filtered
from kit.db.paging import keyset
from kit.db.scope import Scope
from tests.support.complaints import ComplaintDesk, complaint_desk
from tests.support.deliveries import OTHER_STORE, STORE
from tests.support.postgres import Cloner

TABLES = ("complaint", "complaint_action", "complaint_round", "complaint_clock")
DELIVERY = UUID("01a204fc-966d-7d88-ab75-b84a9326b1c9")


@pytest.fixture
async def desk(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[ComplaintDesk]:
    async with complaint_desk(database_urls, tmp_path) as one:
        yield one


async def test_a_store_sees_its_own_complaints_only(desk: ComplaintDesk) -> None:
    await desk.open_one()

    for table in TABLES:
        for scope, some in ((Scope.store(STORE), True), (Scope.store(OTHER_STORE), False), (Scope.group(), True)):
            async with desk.database.transaction(scope) as session:
                seen = (await session.execute(text(f"select count(*) from {table}"))).scalar_one()
            assert bool(seen) is some


async def test_a_complaint_cannot_be_moved_into_another_store(desk: ComplaintDesk) -> None:
    await desk.open_one()

    with pytest.raises(DBAPIError):
        async with desk.database.transaction(Scope.store(STORE)) as session:
            await session.execute(text(f"update complaint set store_id = '{OTHER_STORE}'"))


async def fill(desk: ComplaintDesk) -> None:
    """Complaints of forty stores in two years, one in fifty open."""
    async with desk.database.transaction(Scope.system("test")) as session:
        await session.execute(
            text(
                "insert into complaint (id, store_id, version, level, kind, channel, step, vin, delivery_id, "
                "checker_id, opinion_by, open_time, update_time, since, close_time) "
                "select uuidv7(n * interval '25 minutes' - interval '2 years'), 's-' || n % 40, 1, 'COMPLAINT', "
                "'OTHER', 'PHONE', case when n % 50 = 0 then 'OPINION' else 'ARCHIVED' end, 'VIN' || n % 9000, "
                "uuidv7(), '', '', now(), now(), now(), case when n % 50 = 0 then null else now() end "
                "from generate_series(1, 40000) n"
            )
        )
    connection = await asyncpg.connect(desk.urls.migration_url)
    await connection.execute("analyze")
    await connection.close()


LISTS = {
    "complaint_list_idx": Filter("s-10"),
    "complaint_open_idx": Filter("s-10", open=True),
    "complaint_vin_idx": Filter("s-10", vin="VIN10"),
    "complaint_delivery_id_idx": Filter("s-10", delivery_id=DELIVERY),
}


async def test_lists_are_read_from_their_indexes(desk: ComplaintDesk) -> None:
    await fill(desk)

    for index, wanted in LISTS.items():
        plan = await explain(desk, keyset(filtered(wanted), [Complaint.id], (), 50, descending=True))
        assert index in named(plan, "Index Name"), plan
        # The few that are open, or of one delivery, may be sorted; the whole list must not.
        assert index != "complaint_list_idx" or "Sort" not in named(plan, "Node Type")


async def explain(desk: ComplaintDesk, query: Select[Complaint]) -> dict[str, Any]:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy says nothing of its types
    statement = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    async with desk.database.transaction(Scope.store("s-10")) as session:
        answer = (await session.execute(text(f"explain (format json) {statement}"))).scalar_one()
    return dict((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"])


def named(plan: dict[str, Any], key: str) -> set[str]:
    found = {str(plan[key])} if key in plan else set()
    for part in plan.get("Plans", []):
        found |= named(part, key)
    return found
