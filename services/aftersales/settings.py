"""Settings of after-sales."""

from __future__ import annotations

from kit.settings import KitSettings


class Settings(KitSettings):
    """What after-sales needs beside what every service needs: nothing yet."""
