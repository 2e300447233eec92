"""What sales publishes, and which stream of a neighbour it reads."""

from __future__ import annotations

from typing import Final

from kit.messaging.streams import StreamSpec

SALES: Final = StreamSpec("SALES", "sales")
CARE: Final = StreamSpec("CARE", "customer_care")
