"""Settings of customer care."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from customer_care.complaints.policy import BREACH, Link
from customer_care.complaints.values import Level
from kit.settings import KitSettings


def _with_complaints(levels: frozenset[Level]) -> frozenset[Level]:
    if Level.COMPLAINT not in levels:
        raise ValueError("must include COMPLAINT: who asked for it gets the whole loop")
    return levels


def _upwards(chain: tuple[tuple[int, Link], ...]) -> tuple[tuple[int, Link], ...]:
    percents = [percent for percent, _ in chain]
    if percents[:1] != [BREACH] or percents != sorted(set(percents)):
        raise ValueError("must begin with 100 percent, the breach, and go upwards")
    return chain


class Settings(KitSettings):
    """Figures that a group may set; the defaults are the product's own."""

    survey_link_days: int = Field(
        default=14, ge=1, le=365, description="days after the window of the follow-up in which a survey takes answers"
    )
    low_indicator_mark: int = Field(
        default=3, ge=0, le=7, description="marks of 7 up to this one are low for an indicator; 0: none is (CARE-07)"
    )
    low_overall_mark: int = Field(default=4, ge=0, le=7, description="marks of 7 up to this one are low as a whole")
    low_recommendation_mark: int = Field(
        default=6, ge=-1, le=10, description="likelihoods to recommend up to this one are low, of 0 to 10; -1: none is"
    )
    several_low_marks: int = Field(default=2, ge=2, le=100, description="so many low indicators are a grievance")
    case_language: Literal["zh-CN", "en"] = Field(
        default="zh-CN", description="language of the words in a case that the answers of a survey open"
    )
    complaint_whole_loop: Annotated[frozenset[Level], AfterValidator(_with_complaints)] = Field(
        default=frozenset({Level.GRIEVANCE, Level.COMPLAINT}),
        description="levels that walk the whole loop with the GM; the others end with the call-back (CARE-07)",
    )
    complaint_contact_minutes: int = Field(
        default=120, ge=1, le=10_080, description="calling time in which the customer of a complaint is spoken to"
    )
    complaint_return_minutes: int = Field(
        default=720, ge=1, le=100_000, description="time in which the department returns a complaint"
    )
    complaint_close_minutes: int = Field(
        default=1440, ge=1, le=100_000, description="time in which a complaint is closed"
    )
    complaint_call_back_minutes: int = Field(
        default=120, ge=1, le=10_080, description="calling time for a call-back that could not be made on the same day"
    )
    complaint_progress_hours: int = Field(
        default=72, ge=1, le=2_000, description="time in which the customer of an extended complaint hears of it"
    )
    complaint_opening_hours: frozenset[Literal["RETURN", "CLOSE", "PROGRESS"]] = Field(
        default=frozenset(), description="clocks that count the store's opening hours only (CMP-11)"
    )
    complaint_warn_percent: int = Field(default=75, ge=1, le=99, description="when the clock of a complaint warns")
    complaint_chain: Annotated[tuple[tuple[Annotated[int, Field(le=1_000)], Link], ...], AfterValidator(_upwards)] = (
        Field(
            default=(
                (100, Link.DEPARTMENT_MANAGER),
                (125, Link.CARE_MANAGER),
                (150, Link.GENERAL_MANAGER),
                (200, Link.QUALITY_MANAGER),
            ),
            description="who hears of a clock that ran out, by percent of its time: [[100, DEPARTMENT_MANAGER], …]",
        )
    )
    complaint_repeat_days: int = Field(
        default=30, ge=1, le=3_650, description="complaints about one vehicle within these days are linked (CMP-12)"
    )
    complaint_extension_days: int = Field(
        default=365, ge=1, le=3_650, description="the latest day to which the GM may extend a complaint"
    )
