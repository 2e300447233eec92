"""What after-sales publishes, and whose events it reads."""

from __future__ import annotations

from typing import Final

from kit.messaging.streams import StreamSpec

AFTERSALES: Final = StreamSpec("AFTERSALES", "aftersales", gather_seconds=0.05)
SALES: Final = StreamSpec("SALES", "sales")
