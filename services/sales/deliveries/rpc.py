"""gRPC edge of deliveries."""

from __future__ import annotations

from collections.abc import AsyncIterator

from dealerloop.sales.v1 import deliveries_pb2
from dealerloop.sales.v1.deliveries_pb2 import (
    CancelDeliveryRequest,
    CreateDeliveryRequest,
    GetDeliveryRequest,
    ListDeliveriesForProjectionRequest,
    ListDeliveriesForProjectionResponse,
    ListDeliveriesRequest,
    ListDeliveriesResponse,
    UpdateDeliveryRequest,
)
from dealership import staff, vin
from dealership.phone import mask_name, mask_phone, mask_plate
from dealership.stores import Store, get_store
from kit.db.etag import check_etag, etag_of
from kit.db.paging import decode_token, encode_token, page_size, query_hash
from kit.errors import InvalidArgument
from kit.rpc import masks, names, validation
from kit.rpc.carry import carry
from kit.rpc.client import Peer
from kit.rpc.server import Call
from kit.vault import Vault
from sales.customers import rpc as customers
from sales.customers.model import Customer
from sales.deliveries import rules, service
from sales.deliveries.model import Delivery
from sales.deliveries.values import Before

NAME = "stores/{store}/deliveries/{delivery}"
CONSULTANT = "stores/{store}/staff/{staff}"
LARGEST_PAGE = 200
_RESOURCE = "delivery"
_CUSTOMER = "delivery.customer"
_CONSULTANT = "delivery.consultant"
_PERSON = ("display_name", "phone")


class DeliveryEdge:
    """`DeliveryService`."""

    def __init__(self, vault: Vault, gateway: Peer) -> None:
        self._vault = vault
        self._gateway = gateway

    async def create_delivery(self, call: Call, request: CreateDeliveryRequest) -> deliveries_pb2.Delivery:
        """Record a completed delivery."""
        store = await get_store(call.session, self._gateway, call.store_id)
        draft = rules.read(request.delivery, store=store, now=call.now)
        await self._check_consultant(call, draft.handover.consultant_id, store)
        delivery, customer = await service.record(call.session, self._vault, store.id, draft, call.now)
        return self._masked(delivery, customer)

    async def get_delivery(self, call: Call, request: GetDeliveryRequest) -> deliveries_pb2.Delivery:
        """Return one delivery."""
        return self._masked(*await service.load(call.session, call.store_id, names.parse_id(request.name)))

    async def list_deliveries(self, call: Call, request: ListDeliveriesRequest) -> ListDeliveriesResponse:
        """Return one page, newest hand-over first."""
        vehicle = vin.parse(request.vin)[0] if request.vin else None
        size = page_size(request.page_size, largest=LARGEST_PAGE)
        query = query_hash("deliveries", call.store_id, vehicle)
        found, last = await service.page(
            call.session, call.store_id, vin=vehicle, after=decode_token(request.page_token, query), size=size
        )
        return ListDeliveriesResponse(
            deliveries=[self._masked(delivery, customer) for delivery, customer in found],
            next_page_token=encode_token((last.delivery_time, last.id), query) if last else "",
        )

    async def update_delivery(self, call: Call, request: UpdateDeliveryRequest) -> deliveries_pb2.Delivery:
        """Correct a delivery; the rules of the fields hold for the result."""
        name = names.parse(request.delivery.name, NAME, field="delivery.name")
        delivery, customer = await service.load(
            call.session, call.store_id, names.parse_id(name["delivery"]), lock=True
        )
        rules.require_open(delivery.state)
        check_etag(request.delivery.etag, delivery.version)
        store = await get_store(call.session, self._gateway, call.store_id)
        current = self._clear(delivery, customer)
        merged = deliveries_pb2.Delivery()
        merged.CopyFrom(current)
        patch = self._unmasked(request.delivery, current)
        masks.merge(merged, patch, request.update_mask, prefix=_RESOURCE)
        _validate(merged, current)
        before = Before(None if customer is None else customer.buyer(self._vault), delivery.consultant_id)
        draft = rules.read(merged, store=store, now=call.now, before=before)
        if draft.handover.consultant_id != before.consultant_id:
            await self._check_consultant(call, draft.handover.consultant_id, store)
        found = (delivery, customer)
        customer = await service.correct(call.session, self._vault, found, draft, by=call.principal.id, now=call.now)
        return self._masked(delivery, customer)

    async def cancel_delivery(self, call: Call, request: CancelDeliveryRequest) -> deliveries_pb2.Delivery:
        """Cancel a delivery that did not take place."""
        delivery, customer = await service.cancel(
            call.session,
            (call.store_id, names.parse_id(request.name)),
            reason=request.reason,
            etag=request.etag,
            by=call.principal.id,
            now=call.now,
        )
        return self._masked(delivery, customer)

    async def list_deliveries_for_projection(
        self, call: Call, _request: ListDeliveriesForProjectionRequest
    ) -> AsyncIterator[ListDeliveriesForProjectionResponse]:
        """Yield every delivery as its latest event would tell it."""
        async for delivery in service.every(call.session):
            yield ListDeliveriesForProjectionResponse(delivery=service.facts(delivery))

    async def _check_consultant(self, call: Call, staff_id: str, store: Store) -> None:
        await staff.require(call.session, self._gateway, staff_id, store=store, field=_CONSULTANT)

    def _masked(self, delivery: Delivery, customer: Customer | None) -> deliveries_pb2.Delivery:
        plate = mask_plate(delivery.plate(self._vault))
        shown = None if customer is None else customers.masked(customer, self._vault)
        return _message(delivery, customer=shown, plate=plate)

    def _clear(self, delivery: Delivery, customer: Customer | None) -> deliveries_pb2.Delivery:
        shown = None if customer is None else customers.message(customer, customer.person(self._vault))
        return _message(delivery, customer=shown, plate=delivery.plate(self._vault))

    def _unmasked(self, patch: deliveries_pb2.Delivery, current: deliveries_pb2.Delivery) -> deliveries_pb2.Delivery:
        """Return the patch with what a client sends back as it read it put right: masked values and the VIN's case.

        Without this, reading a delivery and sending it back would overwrite a name with its mask.
        """
        clean = deliveries_pb2.Delivery()
        clean.CopyFrom(patch)
        if clean.vin:
            clean.vin = vin.normalise(clean.vin)
        if clean.plate and clean.plate == mask_plate(current.plate):
            clean.plate = current.plate
        if clean.HasField("customer"):
            given, known = clean.customer, current.customer
            if given.display_name and given.display_name == mask_name(known.display_name):
                given.display_name = known.display_name
            if given.phone and given.phone == mask_phone(known.phone):
                given.phone = known.phone
        return clean


def _message(delivery: Delivery, **personal: object) -> deliveries_pb2.Delivery:
    staff = delivery.consultant_id
    return carry(
        delivery,
        deliveries_pb2.Delivery,
        name=names.format_name(NAME, store=delivery.store_id, delivery=delivery.id),
        consultant=names.format_name(CONSULTANT, store=delivery.store_id, staff=staff) if staff else "",
        etag=etag_of(delivery.version),
        **personal,
    )


def _validate(merged: deliveries_pb2.Delivery, current: deliveries_pb2.Delivery) -> None:
    # What did not change may be what no caller could send: an erased customer is empty, a list knew no telephone.
    same = {f"{_CUSTOMER}.{name}" for name in _PERSON if _person(merged, name) == _person(current, name)}
    if merged.customer == current.customer:
        same.add(_CUSTOMER)
    counted = [one for one in validation.violations(merged, _RESOURCE) if one.field not in same]
    if counted:
        raise InvalidArgument(counted[0].description, violations=counted)


def _person(delivery: deliveries_pb2.Delivery, field: str) -> str | None:
    return getattr(delivery.customer, field) if delivery.HasField("customer") else None
