"""Settings of scoring."""

from __future__ import annotations

from kit.settings import KitSettings


class Settings(KitSettings):
    """Figures that a group may set; the defaults are the product's own."""

    # A consultant with fewer answers is not shown at all (SCR-06a).
    consultant_minimum: int = 5
    # A consultant with fewer answers is marked as a small sample (SCR-06a).
    consultant_small: int = 30
