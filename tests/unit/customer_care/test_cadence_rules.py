"""What makes a cadence template valid."""

from __future__ import annotations

import pytest

from customer_care.cadences.content import content_of, step_of
from customer_care.cadences.rules import CadenceAlreadyPublished, CadenceInvalid, check, publishable
from customer_care.cadences.values import Anchor, Step, VersionState, Window
from tests.support import care
from tests.support.care import step

DUE = Window(Anchor.FIRST_SERVICE_DUE, -30, 0)


def violations(*steps: Step) -> list[tuple[str, str]]:
    with pytest.raises(CadenceInvalid) as caught:
        check(steps, ["ssi-five-factor"], "version.")
    return [(violation.field, violation.rule) for violation in caught.value.violations]


def test_the_shipped_cadence_is_valid_and_speaks_both_languages() -> None:
    steps = care.shipped().steps

    check(steps, ["ssi-five-factor"], "")

    assert [one.code for one in steps] == [
        *("CAD-01", "CAD-02", "CAD-03", "CAD-04", "CAD-05", "CAD-06", "CAD-07", "CAD-07b", "CAD-08", "CAD-09"),
        "CAD-09f",
    ]
    for one in steps:
        assert set(one.titles) == set(one.scripts) == {"zh-CN", "en"}


def test_what_is_stored_of_a_step_is_read_back() -> None:
    for one in care.shipped().steps:
        assert step_of(content_of(one)) == one


def test_a_code_is_used_once() -> None:
    assert violations(step("CAD-01"), step("CAD-01")) == [("version.steps[1].code", "STEP_CODE_UNIQUE")]


def test_a_window_does_not_end_before_it_begins() -> None:
    fallback = step("CAD-07", window=DUE, fallback_window=Window(Anchor.DELIVERY, 9, 8))

    assert violations(step("CAD-01", 2, 1), fallback) == [
        ("version.steps[0].window.last_day", "WINDOW_ORDER"),
        ("version.steps[1].fallback_window.last_day", "WINDOW_ORDER"),
    ]


def test_a_fallback_needs_another_anchor_and_counts_from_the_delivery() -> None:
    useless = step("CAD-01", fallback_window=Window(Anchor.DELIVERY, 1, 2))
    unknown = step("CAD-02", window=DUE, fallback_window=Window(Anchor.FINANCE_END, 1, 2))

    assert violations(useless, unknown) == [
        ("version.steps[0].fallback_window", "FALLBACK_NEEDS_OTHER_ANCHOR"),
        ("version.steps[1].fallback_window.anchor", "FALLBACK_ANCHOR"),
    ]


def test_several_occurrences_are_repeated_by_days_or_by_months() -> None:
    assert violations(
        step("CAD-01", occurrences=2),
        step("CAD-02", occurrences=2, repeat_days=1, repeat_months=1),
        step("CAD-03", repeat_days=30),
    ) == [
        ("version.steps[0].repeat_days", "REPEAT_REQUIRED"),
        ("version.steps[1].repeat_months", "REPEAT_EXCLUSIVE"),
        ("version.steps[2].occurrences", "REPEAT_UNUSED"),
    ]


def test_the_questionnaire_exists() -> None:
    assert violations(step("CAD-01", questionnaire="made-up")) == [
        ("version.steps[0].questionnaire", "QUESTIONNAIRE_UNKNOWN")
    ]


def test_a_version_is_published_once() -> None:
    publishable(VersionState.DRAFT)
    with pytest.raises(CadenceAlreadyPublished):
        publishable(VersionState.PUBLISHED)
