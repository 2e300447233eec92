"""Settings of sales."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from kit.settings import KitSettings

_TIME_OF_DAY: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def _time_of_day(given: object) -> object:
    # Left to itself the library would take `1830` for seconds since midnight.
    if isinstance(given, str) and not _TIME_OF_DAY.fullmatch(given):
        raise ValueError("must look like 18:30")
    return given


class Settings(KitSettings):
    """Figures that a group may set; the defaults are the product's own."""

    handover_cut_off: Annotated[time, BeforeValidator(_time_of_day)] = Field(
        default=time(18, 30), description="until when, store time, the day's deliveries are to be confirmed"
    )
