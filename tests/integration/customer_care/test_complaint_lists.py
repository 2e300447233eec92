"""Lists of complaints, and who sees and changes what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from kit.db.scope import Scope
from kit.errors import InvalidArgument
from tests.support.complaints import (
    ComplaintDesk,
    complaint_desk,
)
from tests.support.deliveries import STORE, recorded, vin_of
from tests.support.postgres import Cloner
from tests.support.statements import counted


@pytest.fixture
async def desk(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[ComplaintDesk]:
    """Noon in the store."""
    async with complaint_desk(database_urls, tmp_path) as one:
        yield one


async def test_lists_are_limited_by_step_level_department_vehicle_and_delivery(desk: ComplaintDesk) -> None:
    await desk.know_customer()
    delivery = f"stores/{STORE}/deliveries/{recorded().delivery_id}"
    first = await desk.open_one(delivery=delivery, customer_display_name="", customer_phone="")
    second = await desk.open_one(level="COMPLAINT_LEVEL_DISSATISFACTION", vin=vin_of(2))
    third = await desk.open_one(department="DEPARTMENT_FINANCE")
    await desk.walk(first.name, 7)

    async def names(**fields: object) -> list[str]:
        return [one.name for one in (await desk.list_of(**fields)).complaints]

    assert await names() == [third.name, second.name, first.name]
    assert await names(open=True) == [third.name, second.name]
    assert await names(step="COMPLAINT_STEP_ARCHIVE") == [first.name]
    assert await names(level="COMPLAINT_LEVEL_DISSATISFACTION") == [second.name]
    assert await names(department="DEPARTMENT_FINANCE") == [third.name]
    assert await names(vin=vin_of(1).lower()) == [first.name]
    assert await names(delivery=delivery) == [first.name]
    [one] = (await desk.list_of(step="COMPLAINT_STEP_ARCHIVE")).complaints
    assert (len(one.actions), len(one.escalations), len(one.repeat_complaints)) == (0, 0, 0)
    assert (len(one.rounds), one.customer_display_name) == (1, "李*")


async def test_pages_follow_one_another_the_newest_first(desk: ComplaintDesk) -> None:
    opened = [await desk.open_one() for _ in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        page = await desk.list_of(page_size=2, page_token=token)
        seen += [one.name for one in page.complaints]
        token = page.next_page_token
        if not token:
            break

    assert seen == [one.name for one in reversed(opened)]
    with pytest.raises(InvalidArgument):
        await desk.list_of(open=True, page_token=(await desk.list_of(page_size=2)).next_page_token)


async def test_answers_cost_the_same_number_of_queries_however_much_there_is(desk: ComplaintDesk) -> None:
    await desk.know_customer()
    delivery = f"stores/{STORE}/deliveries/{recorded().delivery_id}"
    known = {"delivery": delivery, "customer_display_name": "", "customer_phone": ""}
    first = await desk.open_one(**known)
    with counted(desk.database) as few:
        await desk.list_of()
    with counted(desk.database) as young:
        await desk.look(first.name)
    for _ in range(12):
        await desk.walk((await desk.open_one(**known)).name)
    await desk.walk(first.name)
    with counted(desk.database) as many:
        assert len((await desk.list_of()).complaints) == 13
    with counted(desk.database) as old:
        assert len((await desk.look(first.name)).repeat_complaints) == 12

    # Complaints, the store, contacts, rounds, clocks; with actions, escalations and repeats for one alone.
    assert (len(few), len(many)) == (5, 5)
    assert (len(young), len(old)) == (8, 8)


async def test_history_cannot_be_changed_by_the_service_itself(desk: ComplaintDesk) -> None:
    await desk.open_one()
    for statement in (
        "update complaint_action set actor = 'staff/other'",
        "delete from complaint_action",
        "delete from complaint_escalation",
        "update complaint_escalation set percent = 1",
    ):
        with pytest.raises(Exception, match="permission denied"):
            async with desk.database.transaction(Scope.system("test")) as session:
                await session.execute(text(statement))
