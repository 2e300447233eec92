"""What sales publishes."""

from __future__ import annotations

from typing import Final

from kit.messaging.streams import StreamSpec

SALES: Final = StreamSpec("SALES", "sales")
