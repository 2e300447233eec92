"""The HTML of the survey page."""

from __future__ import annotations

import base64
import hashlib
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from dealerloop.customer_care.v1.surveys_pb2 import PublicSurvey, Question, QuestionType
from gateway.survey_page.form import PREFIX, SCALES, Sent
from gateway.survey_page.texts import LANGUAGES, TEXTS, pick

_TEMPLATES = Path(__file__).parent / "templates"
_CSS = (_TEMPLATES / "page.css").read_text(encoding="utf-8").replace("\n", "")
_CSS_HASH = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_CSS_HASH}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Vary": "Accept, Accept-Language",
    "X-Robots-Tag": "noindex, nofollow",
}
_HINTS = {
    QuestionType.QUESTION_TYPE_SCALE_7: "scale_7_ends",
    QuestionType.QUESTION_TYPE_SCALE_10: "scale_10_ends",
    QuestionType.QUESTION_TYPE_NPS: "nps_ends",
}


class Shown(NamedTuple):
    """One question as the template shows it; `marks` is empty for a free text."""

    at: int
    name: str
    text: str
    hint: str
    required: bool
    marks: list[tuple[str, str]]
    given: str
    fault: str


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals["css"] = Markup(_CSS)  # noqa: S704 - our own file, whose hash is in the policy
    return environment


_JINJA = _environment()


def survey(found: PublicSurvey, lang: str, sent: Sent, status: int = 200) -> HTMLResponse:
    """The questions, with what was given and what is wrong with it."""
    questionnaire = found.questionnaire
    questions = [_shown(at, question, lang, sent) for at, question in enumerate(questionnaire.questions, 1)]
    titles = {factor.code: pick(factor.titles, lang) for factor in questionnaire.factors}
    parts = [
        (titles.get(factor, ""), [questions[at] for at, _ in group])
        for factor, group in groupby(enumerate(questionnaire.questions), key=lambda pair: pair[1].factor)
    ]
    return _html(
        "survey.html",
        lang,
        status,
        title=pick(questionnaire.titles, lang),
        store=found.store_display_name,
        series=found.series,
        delivery_date=found.delivery_date,
        other=next(other for other in LANGUAGES if other != lang),
        questions=questions,
        parts=parts,
        faults=sent.faults,
    )


def message(kind: str, lang: str, status: int) -> HTMLResponse:
    """A page that says one thing: a kind of the texts, such as `thanks` or `expired`."""
    return _html("message.html", lang, status, kind=kind)


def _shown(at: int, question: Question, lang: str, sent: Sent) -> Shown:
    texts = TEXTS[lang]
    hint = _HINTS.get(question.type, "")
    fault = sent.faults.get(question.code, "")
    return Shown(
        at=at,
        name=PREFIX + question.code,
        text=pick(question.texts, lang),
        hint=texts[hint] if hint else "",
        required=question.required,
        marks=_marks(question, lang),
        given=sent.given.get(question.code, ""),
        fault=texts[fault] if fault else "",
    )


def _marks(question: Question, lang: str) -> list[tuple[str, str]]:
    texts = TEXTS[lang]
    scale = SCALES.get(question.type)
    if scale is None:
        return []
    if question.type == QuestionType.QUESTION_TYPE_YES_NO:
        marks = [(str(value), texts["yes"] if value else texts["no"]) for value in scale]
    else:
        marks = [(str(value), str(value)) for value in scale]
    # Only an answer that need not be given can be taken back.
    return marks if question.required else [*marks, ("", texts["not_applicable"])]


def _html(template: str, lang: str, status: int, **values: Any) -> HTMLResponse:
    html = _JINJA.get_template(template).render(lang=lang, t=TEXTS[lang], **values)
    return HTMLResponse(html, status, {**_HEADERS, "Content-Language": lang})
