"""What customer care publishes, and which streams of the neighbours it reads."""

from __future__ import annotations

from typing import Final

from kit.messaging.streams import StreamSpec

CARE: Final = StreamSpec(name="CARE", service="customer_care", gather_seconds=0.05)
SALES: Final = StreamSpec(name="SALES", service="sales")
AFTERSALES: Final = StreamSpec(name="AFTERSALES", service="aftersales")
