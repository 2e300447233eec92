"""The survey page: small, without scripts, in two languages, and forgiving with what was filled in."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dealerloop.customer_care.v1.surveys_pb2 import PublicSurvey, QuestionPurpose, QuestionType, Survey
from gateway.survey_page import form, page, texts
from gateway.survey_page.form import Sent
from kit.errors import FieldViolation

_DATA = Path(__file__).resolve().parents[3] / "services/customer_care/surveys/data/ssi-five-factor.v1.json"


@cache
def survey() -> PublicSurvey:
    """The page of the real questionnaire."""
    found = json.loads(_DATA.read_text(encoding="utf-8"))
    public = PublicSurvey(
        state=Survey.STATE_OPEN, store_display_name="北京一店", series="Paladin", delivery_date="2026-03-01"
    )
    public.questionnaire.titles.update(found["titles"])
    for each in found["questions"]:
        question = public.questionnaire.questions.add(
            code=each["code"],
            type=QuestionType.Value(f"QUESTION_TYPE_{each['type']}"),
            required=each["required"],
            factor=each["factor"],
            purpose=QuestionPurpose.Value(f"QUESTION_PURPOSE_{each['purpose']}"),
        )
        question.texts.update(each["texts"])
    return public


def html(lang: str = "zh-CN", sent: Sent | None = None, status: int = 200) -> str:
    return bytes(page.survey(survey(), lang, sent or Sent(), status).body).decode()


def read(**answers: str) -> Sent:
    pairs = [(f"q.SSI.{code}", value) for code, value in answers.items()]
    return form.read(survey().questionnaire.questions, pairs)


@pytest.mark.parametrize("lang", texts.LANGUAGES)
def test_the_page_is_small_and_needs_no_script(lang: str) -> None:
    found = html(lang)

    assert len(found.encode()) < 50_000
    assert "<script" not in found
    assert "http" not in found
    assert f'<html lang="{lang}">' in found
    assert 'name="viewport"' in found
    assert found.count("<fieldset") == found.count("<legend") == 42


def test_the_policy_allows_its_own_style_only() -> None:
    policy = page.survey(survey(), "en", Sent()).headers["Content-Security-Policy"]

    assert re.search(r"default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'", policy)
    assert "unsafe" not in policy


def test_both_languages_say_the_same_things() -> None:
    assert set(texts.TEXTS["zh-CN"]) == set(texts.TEXTS["en"])
    assert "How promptly were you greeted" in html("en")
    assert "您进店后是否很快有人接待" in html("zh-CN")


@pytest.mark.parametrize(
    ("chosen", "accept", "lang"),
    [
        (None, "", "zh-CN"),
        ("en", "zh-CN", "en"),
        ("fr", "en-GB,en;q=0.9", "en"),
        (None, "en;q=0.5,zh;q=0.9", "zh-CN"),
        (None, "fr,de", "zh-CN"),
        (None, "en-US,zh-CN;q=0.8", "en"),
        (None, "en;q=x,zh;q=0.1", "zh-CN"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_most_wanted(chosen: str | None, accept: str, lang: str) -> None:
    assert texts.language(chosen, accept) == lang


def test_answers_are_read_by_their_kind() -> None:
    sent = read(OVERALL="7", NPS="0", COMPLAIN="1", COMMENT=" fine\r\nthanks ")

    assert sent.faults == {}
    assert [(each.question, each.mark, each.text) for each in sent.answers] == [
        ("SSI.OVERALL", 7, ""),
        ("SSI.NPS", 0, ""),
        ("SSI.COMPLAIN", 1, ""),
        ("SSI.COMMENT", 0, "fine\nthanks"),
    ]


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ({}, {"SSI.OVERALL": "missing"}),
        ({"OVERALL": ""}, {"SSI.OVERALL": "missing"}),
        ({"OVERALL": "8"}, {"SSI.OVERALL": "bad_mark"}),
        ({"OVERALL": "٣"}, {"SSI.OVERALL": "bad_mark"}),
        ({"OVERALL": "7", "NPS": "11"}, {"SSI.NPS": "bad_mark"}),
        ({"OVERALL": "7", "COMMENT": "x" * 4001}, {"SSI.COMMENT": "too_long"}),
        ({"OVERALL": "7", "COMMENT": "a\0b"}, {"SSI.COMMENT": "bad_text"}),
    ],
)
def test_what_is_wrong_is_told_at_its_question(answers: dict[str, str], fault: dict[str, str]) -> None:
    assert read(**answers).faults == fault


@pytest.mark.parametrize("second", ["1", "7"])
@pytest.mark.parametrize("lang", texts.LANGUAGES)
def test_a_question_that_was_answered_twice_is_asked_again(second: str, lang: str) -> None:
    first, other = (question.code for question in survey().questionnaire.questions[:2])

    sent = form.read(
        survey().questionnaire.questions, [(f"q.{first}", "7"), (f"q.{other}", "6"), (f"q.{first}", second)]
    )

    assert sent.faults[first] == "twice"
    assert [answer.question for answer in sent.answers] == [other]
    assert first not in sent.given
    assert texts.TEXTS[lang]["twice"] in html(lang, sent, 400)


def test_what_was_filled_in_is_kept() -> None:
    found = html("en", read(NPS="9", COMMENT="<b>nice</b> & good"), 400)

    assert re.search(r'name="q.SSI.NPS" value="9" checked', found)
    assert "&lt;b&gt;nice&lt;/b&gt; &amp; good" in found
    assert 'role="alert"' in found
    assert texts.TEXTS["en"]["missing"] in found
    assert '<a href="#q1">' in found


def test_what_the_service_refuses_is_shown_at_its_question() -> None:
    sent = read(OVERALL="7", NPS="9")

    refused = form.refused(
        sent,
        [
            FieldViolation("answers[1].mark", "MARK_RANGE", "must be a mark from 0 to 8"),
            FieldViolation("answers", "ANSWERS_LATE", "not now"),
        ],
    )

    assert refused.faults == {"SSI.NPS": "refused", "": "refused"}
    assert refused.given == sent.given


@pytest.mark.parametrize(("answer", "ticked"), [("1", True), ("0", False), ("", False)])
def test_who_wants_to_complain_is_told_that_he_will_be_called(answer: str, ticked: bool) -> None:
    sent = read(OVERALL="1", NPS="1", COMPLAIN=answer)

    assert form.complains(survey().questionnaire.questions, sent) is ticked
    assert "2 小时" in bytes(page.message("complained", "zh-CN", 200).body).decode()


@pytest.mark.parametrize("kind", ["thanks", "complained", "used", "expired", "cancelled", "unknown", "invalid", "busy"])
@pytest.mark.parametrize("lang", texts.LANGUAGES)
def test_every_end_has_a_page(kind: str, lang: str) -> None:
    answer = page.message(kind, lang, 410)

    assert answer.status_code == 410
    assert texts.TEXTS[lang][f"{kind}_title"] in bytes(answer.body).decode()


def _luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("background", ["f3f5f8", "ffffff", "fff5f5"])
def test_every_text_colour_can_be_read(background: str) -> None:
    css = (Path(page.__file__).parent / "templates/page.css").read_text(encoding="utf-8")
    colours: set[Any] = set(re.findall(r"[{;]color:#([0-9a-f]+)", css)) - {"fff"}

    assert colours
    assert all(_contrast(colour, background) >= 4.5 for colour in colours)
    assert _contrast("fff", "1f4f8f") >= 4.5
