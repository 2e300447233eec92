"""What the gateway publishes, and which streams it reads."""

from __future__ import annotations

from typing import Final

from dealership.directory import DIRECTORY as DIRECTORY_NAME
from kit.messaging.streams import StreamSpec

DIRECTORY: Final = StreamSpec(name=DIRECTORY_NAME, service="gateway")

# Every service tells its audit trail on its own stream, the gateway too.
AUDITED: Final = {
    "sales": "SALES",
    "customer_care": "CARE",
    "aftersales": "AFTERSALES",
    "scoring": "SCORING",
    "gateway": DIRECTORY_NAME,
}
