"""The daily hand-over of a store: its directory, its clerk, and the cut-off in the test's hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dealerloop.gateway.events.v1 import events_pb2 as gateway_events
from dealerloop.gateway.v1 import organisation_pb2
from dealerloop.sales.events.v1.events_pb2 import (
    DailyHandoverMismatched,
    DailyHandoverMissing,
    DailyHandoverReported,
)
from dealerloop.sales.v1.handovers_pb2 import (
    DailyHandover,
    GetDailyHandoverRequest,
    ListDailyHandoversRequest,
    ListDailyHandoversResponse,
    ReportDailyHandoverRequest,
)
from kit.timers import TimerWorker
from tests.support.deliveries import STORE
from tests.support.one_service import OneService

TODAY = "2026-05-20"
EVENTS = (DailyHandoverReported, DailyHandoverMissing, DailyHandoverMismatched)


def store_facts(
    store: str = STORE, *, version: int = 2, zone: str = "Asia/Shanghai", closed_on: Iterable[int] = ()
) -> organisation_pb2.StoreFacts:
    """A store that is open every day but these weekdays (1 is Monday)."""
    hours = [organisation_pb2.OpeningInterval(start="08:30", end="20:00")]
    week = [organisation_pb2.OpeningDay(weekday=day, intervals=hours) for day in {*range(1, 8)} - {*closed_on}]
    calendar = organisation_pb2.Calendar(days=week, confirmed_years=range(2020, 2040))
    return organisation_pb2.StoreFacts(
        store_id=store, version=version, display_name=store, time_zone=zone, calendar=calendar
    )


async def hear_of(sales: OneService, *facts: organisation_pb2.StoreFacts) -> None:
    """The gateway tells of these stores."""
    one = next(it for it in sales.service.subscriptions if it.name == "stores")
    await sales.hear(one.handle, [gateway_events.StoreChanged(store_id=it.store_id, store=it) for it in facts])


async def fire(sales: OneService) -> int:
    """Fire the timers that are due; returns how many."""
    return await TimerWorker(sales.database, sales.clock, sales.service.timers).fire_due()


async def report(
    sales: OneService,
    deliveries: int | None,
    *,
    date: str = TODAY,
    store: str = STORE,
    role: str = "ROLE_INFORMATION_CLERK",
    **fields: Any,
) -> DailyHandover:
    """Confirm a day as somebody of the store; None leaves the count out."""
    sent = DailyHandover(date=date, reported_deliveries=deliveries, **fields)
    request = ReportDailyHandoverRequest(parent=f"stores/{store}", daily_handover=sent)
    token = sales.token(role, store)
    return await sales.call("DailyHandoverService/ReportDailyHandover", request, DailyHandover, token=token)


async def day(sales: OneService, date: str = TODAY, *, store: str = STORE) -> DailyHandover:
    """Read a day as the store's sales manager."""
    request = GetDailyHandoverRequest(name=f"stores/{store}/dailyHandovers/{date}")
    token = sales.token("ROLE_SALES_MANAGER", store)
    return await sales.call("DailyHandoverService/GetDailyHandover", request, DailyHandover, token=token)


async def days(
    sales: OneService, *, role: str = "ROLE_CARE_MANAGER", store: str = STORE, **fields: Any
) -> ListDailyHandoversResponse:
    """Read a page of the store's days."""
    request = ListDailyHandoversRequest(parent=f"stores/{store}", **fields)
    token = sales.token(role, store)
    method = "DailyHandoverService/ListDailyHandovers"
    return await sales.call(method, request, ListDailyHandoversResponse, token=token)


async def told(sales: OneService) -> list[tuple[str, str]]:
    """What was told of hand-overs: the event's name without its prefix, and the day."""
    events: list[Any] = await sales.told(*EVENTS)
    return [(type(event).__name__.removeprefix("DailyHandover"), event.date) for event in events]
