"""The neighbours that customer care asks, and how long it waits for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

from dealerloop.aftersales.v1 import vehicles_pb2
from dealerloop.sales.v1 import customers_pb2, deliveries_pb2
from kit.rpc.client import Peer

_BATCH_SECONDS: Final = 5.0
_SNAPSHOT_SECONDS: Final = 600.0
_CONTACTS: Final = "dealerloop.sales.v1.CustomerService/BatchGetContacts"
_ALL_CONTACTS: Final = "dealerloop.sales.v1.CustomerService/ListContactsForProjection"
_ALL_DELIVERIES: Final = "dealerloop.sales.v1.DeliveryService/ListDeliveriesForProjection"
_ALL_FIRST_SERVICES: Final = "dealerloop.aftersales.v1.VehicleService/ListFirstServicesForProjection"

T = TypeVar("T")


class Sales:
    """What sales is asked for. Every call may raise Unavailable; whoever called comes again."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def contacts(self, customer_ids: Sequence[str]) -> Sequence[customers_pb2.Contact]:
        """Return the contacts of these customers, at most 1,000; unknown ones are left out."""
        request = customers_pb2.BatchGetContactsRequest(customer_ids=customer_ids)
        response = await self._peer.call(
            _CONTACTS, request, customers_pb2.BatchGetContactsResponse, timeout=_BATCH_SECONDS
        )
        return response.contacts

    async def all_contacts(self, at_once: int) -> AsyncIterator[list[customers_pb2.Contact]]:
        """Return every contact, so many at once."""
        request = customers_pb2.ListContactsForProjectionRequest()
        stream = self._peer.stream(_ALL_CONTACTS, request, customers_pb2.Contact, timeout=_SNAPSHOT_SECONDS)
        async for contacts in _chunks(stream, at_once):
            yield contacts

    async def all_deliveries(self, at_once: int) -> AsyncIterator[list[deliveries_pb2.DeliveryFacts]]:
        """Return every delivery as its latest event told it, so many at once."""
        request = deliveries_pb2.ListDeliveriesForProjectionRequest()
        answer = deliveries_pb2.ListDeliveriesForProjectionResponse
        stream = self._peer.stream(_ALL_DELIVERIES, request, answer, timeout=_SNAPSHOT_SECONDS)
        async for deliveries in _chunks(stream, at_once):
            yield [one.delivery for one in deliveries]


class Aftersales:
    """What after-sales is asked for."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def all_first_services(self, at_once: int) -> AsyncIterator[list[vehicles_pb2.FirstService]]:
        """Return the first service of every vehicle that has one, so many at once."""
        request = vehicles_pb2.ListFirstServicesForProjectionRequest()
        stream = self._peer.stream(_ALL_FIRST_SERVICES, request, vehicles_pb2.FirstService, timeout=_SNAPSHOT_SECONDS)
        async for services in _chunks(stream, at_once):
            yield services


async def _chunks(stream: AsyncIterator[T], size: int) -> AsyncIterator[list[T]]:
    chunk: list[T] = []
    async for item in stream:
        chunk.append(item)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
