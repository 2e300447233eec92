"""What the people of a store do with sales, each as one call with a real token."""

from __future__ import annotations

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from dealerloop.sales.v1.deliveries_pb2 import (
    CancelDeliveryRequest,
    CreateDeliveryRequest,
    Delivery,
    GetDeliveryRequest,
    ListDeliveriesRequest,
    ListDeliveriesResponse,
    UpdateDeliveryRequest,
)
from tests.support.deliveries import STORE, delivery
from tests.support.one_service import OneService


async def create(sales: OneService, number: int = 1, *, store: str = STORE, **changes: Any) -> Delivery:
    """Record a delivery as the store's sales manager."""
    fields = {"consultant": f"stores/{store}/staff/li-lei"} | changes
    request = CreateDeliveryRequest(parent=f"stores/{store}", delivery=delivery(number, **fields))
    token = sales.token("ROLE_SALES_MANAGER", store)
    return await sales.call("DeliveryService/CreateDelivery", request, Delivery, token=token)


async def update(sales: OneService, resource: Delivery, *paths: str) -> Delivery:
    """Correct a delivery; without paths everything that the resource sets."""
    request = UpdateDeliveryRequest(delivery=resource, update_mask=FieldMask(paths=paths))
    token = sales.token("ROLE_SALES_MANAGER", STORE)
    return await sales.call("DeliveryService/UpdateDelivery", request, Delivery, token=token)


async def cancel(sales: OneService, name: str, *, reason: str = "never happened", etag: str = "") -> Delivery:
    """Cancel a delivery."""
    request = CancelDeliveryRequest(name=name, reason=reason, etag=etag)
    token = sales.token("ROLE_SALES_MANAGER", STORE)
    return await sales.call("DeliveryService/CancelDelivery", request, Delivery, token=token)


async def get(sales: OneService, name: str, *, store: str = STORE) -> Delivery:
    """Read a delivery as a person of that store."""
    token = sales.token("ROLE_SALES_MANAGER", store)
    return await sales.call("DeliveryService/GetDelivery", GetDeliveryRequest(name=name), Delivery, token=token)


async def page(sales: OneService, **fields: Any) -> ListDeliveriesResponse:
    """Read a page of the store's deliveries."""
    request = ListDeliveriesRequest(**{"parent": f"stores/{STORE}"} | fields)
    token = sales.token("ROLE_SALES_MANAGER", STORE)
    return await sales.call("DeliveryService/ListDeliveries", request, ListDeliveriesResponse, token=token)
