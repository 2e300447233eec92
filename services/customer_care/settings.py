"""Settings of customer care."""

from __future__ import annotations

from pydantic import Field

from kit.settings import KitSettings


class Settings(KitSettings):
    """Figures that a group may set; the defaults are the product's own."""

    survey_link_days: int = Field(
        default=14, ge=1, le=365, description="days after the window of the follow-up in which a survey takes answers"
    )
