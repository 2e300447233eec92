"""The inbox of data corrections of a store."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from dealerloop.customer_care.events.v1 import events_pb2 as care
from dealerloop.sales.v1.corrections_pb2 import (
    DataCorrection,
    ListDataCorrectionsRequest,
    ListDataCorrectionsResponse,
    ResolveDataCorrectionRequest,
)
from kit.db.scope import Scope
from kit.ids import new_id
from kit.messaging.event import Event, subject_for
from kit.messaging.subscription import Batch
from sales.corrections import service
from sales.corrections.handlers import handle
from sales.corrections.values import Opening
from tests.support.deliveries import STORE
from tests.support.one_service import OneService

IMPORT = f"stores/{STORE}/deliveryImports/1"
FOLLOW_UP = UUID(int=77)


def opening(number: int = 1, **changes: Any) -> Opening:
    """A missing telephone number of the delivery with this number."""
    fields: dict[str, Any] = {
        "store_id": STORE,
        "delivery_id": UUID(int=number),
        "customer_id": UUID(int=1000 + number),
        "field": "customer.phone",
        "reason": "PHONE_MISSING",
        "source": IMPORT,
    }
    return Opening(**fields | changes)


async def open_all(sales: OneService, *openings: Opening) -> int:
    """Open these in one transaction."""
    async with sales.database.transaction(Scope.system("test")) as session:
        return await service.open_many(session, openings, sales.clock.now())


async def corrected(sales: OneService, *fields: str, **subject: UUID) -> int:
    """Somebody corrected these fields of this delivery or customer."""
    async with sales.database.transaction(Scope.store(STORE)) as session:
        return await service.settle(
            session,
            delivery_id=subject.get("delivery_id"),
            customer_id=subject.get("customer_id"),
            fields=fields,
            now=sales.clock.now(),
            resolver="staff/li-lei",
        )


async def ask(sales: OneService, *customer_ids: UUID | str, at: datetime | None = None, store: str = STORE) -> None:
    """Customer care found the numbers of these customers wrong, at that time."""
    now = sales.clock.now()
    messages = [
        care.DataCorrectionRequested(
            customer_id=str(customer_id),
            store_id=store,
            field="phone",
            reason="WRONG_NUMBER",
            follow_up_id=str(FOLLOW_UP),
        )
        for customer_id in customer_ids
    ]
    events = [
        Event(new_id(now), one.DESCRIPTOR.full_name, "customer_care", at or now, 1, subject_for(one), one, "", {})
        for one in messages
    ]
    async with sales.database.transaction(Scope.system("test")) as session:
        await handle(Batch(session, events, now))


async def inbox(
    sales: OneService, *, role: str = "ROLE_INFORMATION_CLERK", store: str = STORE, **fields: Any
) -> ListDataCorrectionsResponse:
    """Read a page of the store's corrections."""
    request = ListDataCorrectionsRequest(parent=f"stores/{store}", **fields)
    method = "DataCorrectionService/ListDataCorrections"
    return await sales.call(method, request, ListDataCorrectionsResponse, token=sales.token(role, store))


async def resolve(
    sales: OneService, name: str, *, note: str = "called his wife", role: str = "ROLE_SALES_MANAGER", **fields: Any
) -> DataCorrection:
    """End a correction by hand."""
    request = ResolveDataCorrectionRequest(name=name, note=note, **fields)
    token = sales.token(role, STORE)
    return await sales.call("DataCorrectionService/ResolveDataCorrection", request, DataCorrection, token=token)
