"""The contact projection as rows."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from kit.db.model import Base

NAME: Final = "customer_care.contact.display_name"
PHONE: Final = "customer_care.contact.phone"


class ContactRow(Base):
    """What a call needs of a customer, encrypted; `version` is the customer record's. Erased ones keep the id only."""

    __tablename__ = "contact"

    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    version: Mapped[int]
    sealed_display_name: Mapped[bytes | None]
    sealed_phone: Mapped[bytes | None]
    phone_verified: Mapped[bool]
    erased: Mapped[bool]
