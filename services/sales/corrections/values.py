"""What the rules about data corrections speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final
from uuid import UUID

CUSTOMER_PHONE: Final = "customer.phone"


class State(Enum):
    """Where a correction stands; the names are those of the contract without its prefix."""

    OPEN = "OPEN"
    RESOLVED = "RESOLVED"


@dataclass(frozen=True, slots=True)
class Opening:
    """A correction that is to be made: of a delivery, a customer, or both.

    `field` is a path such as `customer.phone`, `reason` a code such as `PHONE_MISSING`, `source` the name of the import
    or the follow-up in which it came up. `came_up` is when; None means now.
    """

    store_id: str
    delivery_id: UUID | None
    customer_id: UUID | None
    field: str
    reason: str
    source: str
    came_up: datetime | None = None

    @property
    def subject(self) -> tuple[str, UUID | None, UUID | None, str, str]:
        """What is open at most once at a time: store, delivery, customer, field and reason."""
        return self.store_id, self.delivery_id, self.customer_id, self.field, self.reason


@dataclass(frozen=True, slots=True)
class Known:
    """A correction of the same subject that is kept already."""

    came_up: datetime
    resolved: datetime | None
