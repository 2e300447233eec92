"""The customer as it is stored: personal data sealed, found again by blind indexes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from kit.vault import Vault
from sales.customers.values import NOBODY, Buyer, Person
from sales.model import SalesTable

NAME: Final = "customer.display_name"
PHONE: Final = "customer.phone"


class Customer(SalesTable):
    """A store row. `consents` maps a channel such as `PHONE` to yes or no; a channel that is absent was not asked.

    Who came from a list may have no telephone, or a doubtful one that is not verified (GRP-05).
    """

    __tablename__ = "customer"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    name_sealed: Mapped[bytes | None]
    name_blind: Mapped[bytes | None]
    phone_sealed: Mapped[bytes | None]
    phone_blind: Mapped[bytes | None]
    phone_verified: Mapped[bool]
    consents: Mapped[dict[str, Any]]
    version: Mapped[int]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    erase_time: Mapped[datetime | None]

    def person(self, vault: Vault) -> Person:
        """Open the personal data; empty once erased."""
        if self.name_sealed is None:
            return NOBODY
        number = "" if self.phone_sealed is None else vault.open(PHONE, self.phone_sealed)
        return Person(vault.open(NAME, self.name_sealed), number)

    def buyer(self, vault: Vault) -> Buyer:
        """Return the customer as the rules see the one who buys."""
        return Buyer(self.person(vault), self.phone_verified, self.consents)

    def write(self, person: Person, vault: Vault) -> None:
        """Seal this person's data into the row."""
        for column, value in sealed(person, vault).items():
            setattr(self, column, value)


def sealed(person: Person, vault: Vault) -> dict[str, bytes | None]:
    """Return the columns that hold a person's data."""
    return {
        "name_sealed": vault.seal(NAME, person.display_name),
        "phone_sealed": vault.seal(PHONE, person.phone) if person.phone else None,
        **blind(person, vault),
    }


def blind(person: Person, vault: Vault) -> dict[str, bytes | None]:
    """Return the columns by which a person is found again; nobody is found again without a telephone."""
    return {
        "name_blind": vault.blind(NAME, person.name_key),
        "phone_blind": vault.blind(PHONE, person.phone) if person.phone else None,
    }
