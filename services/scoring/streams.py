"""What scoring publishes, and which streams it reads."""

from __future__ import annotations

from kit.messaging.streams import StreamSpec

SCORING = StreamSpec(name="SCORING", service="scoring", gather_seconds=0.25)
SALES = "SALES"
CARE = "CARE"
