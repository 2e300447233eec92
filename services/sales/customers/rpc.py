"""gRPC edge of customers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from uuid import UUID

from dealerloop.sales.v1 import customers_pb2
from dealerloop.sales.v1.customers_pb2 import (
    BatchGetContactsRequest,
    BatchGetContactsResponse,
    Contact,
    EraseCustomerRequest,
    GetCustomerRequest,
    ListContactsForProjectionRequest,
    RevealCustomerRequest,
)
from dealership.phone import mask_name, mask_phone
from kit.rpc import names
from kit.rpc.carry import carry
from kit.rpc.server import Call
from kit.vault import Vault
from sales.customers import service
from sales.customers.model import Customer
from sales.customers.values import Person

NAME = "stores/{store}/customers/{customer}"


class CustomerEdge:
    """`CustomerService`."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def get_customer(self, call: Call, request: GetCustomerRequest) -> customers_pb2.Customer:
        """Return a customer with masked personal data."""
        return masked(await self._load(call, request.name), self._vault)

    async def reveal_customer(self, call: Call, request: RevealCustomerRequest) -> customers_pb2.Customer:
        """Return a customer in the clear; the server writes the audit entry (GRP-02)."""
        customer = await self._load(call, request.name)
        return message(customer, customer.person(self._vault))

    async def erase_customer(self, call: Call, request: EraseCustomerRequest) -> customers_pb2.Customer:
        """Pseudonymise a customer."""
        customer_id = names.parse_id(request.name)
        customer = await service.erase(call.session, call.store_id, customer_id, by=call.principal.id, now=call.now)
        return masked(customer, self._vault)

    async def batch_get_contacts(self, call: Call, request: BatchGetContactsRequest) -> BatchGetContactsResponse:
        """Return the contact data of many customers; what is no id of a customer is left out."""
        found = await service.by_ids(call.session, _ids(request.customer_ids))
        return BatchGetContactsResponse(contacts=[contact(customer, self._vault) for customer in found])

    async def list_contacts_for_projection(
        self, call: Call, _request: ListContactsForProjectionRequest
    ) -> AsyncIterator[Contact]:
        """Yield every customer's contact data."""
        async for customer in service.every(call.session):
            yield contact(customer, self._vault)

    async def _load(self, call: Call, name: str) -> Customer:
        return await service.load(call.session, call.store_id, names.parse_id(name))


def message(customer: Customer, person: Person) -> customers_pb2.Customer:
    """Return the resource with this personal data in it."""
    return carry(
        customer,
        customers_pb2.Customer,
        name=names.format_name(NAME, store=customer.store_id, customer=customer.id),
        display_name=person.display_name,
        phone=person.phone,
        consents=_consents(customer),
    )


def masked(customer: Customer, vault: Vault) -> customers_pb2.Customer:
    """Return the resource as everyone may see it."""
    person = customer.person(vault)
    return message(customer, Person(mask_name(person.display_name), mask_phone(person.phone)))


def contact(customer: Customer, vault: Vault) -> Contact:
    """Return what a service may hold, encrypted, to call the customer; an erased one has no data left."""
    person = customer.person(vault)
    return carry(
        customer,
        Contact,
        customer_id=customer.id,
        display_name=person.display_name,
        phone=person.phone,
        consents=_consents(customer),
        erased=customer.erase_time is not None,
    )


def _consents(customer: Customer) -> list[customers_pb2.ChannelConsent]:
    return [
        customers_pb2.ChannelConsent(channel=f"CHANNEL_{channel}", granted=granted)
        for channel, granted in sorted(customer.consents.items())
    ]


def _ids(texts: Iterable[str]) -> list[UUID]:
    ids = []
    for text in texts:
        try:
            ids.append(UUID(text))
        except ValueError:
            continue
    return ids
