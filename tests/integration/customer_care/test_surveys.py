"""Surveys: one answer per invitation, on the telephone or by the signed link (CARE-05)."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta

import pytest

from dealerloop.customer_care.events.v1 import events_pb2
from dealerloop.customer_care.v1 import surveys_pb2 as pb
from dealerloop.customer_care.v1.follow_ups_pb2 import FollowUp
from kit.errors import Conflict, InvalidArgument, NotFound, StaleEtag
from tests.support.care_desk import CareDesk, overall
from tests.support.deliveries import NOW, STORE, cancelled, recorded
from tests.support.statements import counted

FULL = (
    overall(5),
    pb.Answer(question="SSI.INIT.GREETED", mark=7),
    pb.Answer(question="SSI.INIT.APPROACHED"),
)


@pytest.fixture
async def survey(care: CareDesk) -> pb.Survey:
    await care.deliveries(recorded())
    [survey] = await care.surveys()
    return survey


def token_of(survey: pb.Survey) -> str:
    return survey.public_path.removeprefix("/s/")


async def text_question(care: CareDesk) -> str:
    """Code of the questionnaire's free-text question."""
    request = pb.GetQuestionnaireVersionRequest(name="questionnaires/ssi-five-factor/versions/1")
    version = await care.ask("SurveyService/GetQuestionnaireVersion", request, pb.QuestionnaireVersion)
    return next(it.code for it in version.questions if it.type == pb.QUESTION_TYPE_TEXT)


async def get(care: CareDesk, name: str) -> pb.Survey:
    return await care.ask("SurveyService/GetSurvey", pb.GetSurveyRequest(name=name), pb.Survey)


async def test_a_new_survey_is_open_for_two_weeks_after_its_window(care: CareDesk, survey: pb.Survey) -> None:
    assert survey.state == pb.Survey.STATE_OPEN
    assert survey.questionnaire_version == "questionnaires/ssi-five-factor/versions/1"
    # D+3 and 14 days, to the midnight of the store.
    assert survey.expire_time.ToDatetime(tzinfo=UTC) == NOW + timedelta(days=17, hours=12)
    assert 40 <= len(token_of(survey)) <= 50


async def test_a_specialist_keys_in_the_answers_and_the_call_is_done(care: CareDesk, survey: pb.Survey) -> None:
    question = await text_question(care)
    text = pb.Answer(question=question, text="王先生说试驾时间太短")

    done = await care.submit(survey.name, *FULL, text, request_id="one")
    again = await care.submit(survey.name, *FULL, text, request_id="one")

    assert again == done
    assert (done.state, done.mode) == (pb.Survey.STATE_SUBMITTED, pb.INTERVIEW_MODE_PHONE)
    assert {it.question: it.mark or it.text for it in done.answers} == {
        "SSI.OVERALL": 5,
        "SSI.INIT.GREETED": 7,
        question: "王先生说试驾时间太短",
    }
    assert done.public_path == ""
    call = (await care.follow_ups())["CAD-02/1"]
    assert call.state == FollowUp.STATE_REACHED
    assert [attempt.actor for attempt in call.attempts] == ["staff/tester"]


async def test_scoring_hears_the_marks_and_no_free_text(care: CareDesk, survey: pb.Survey) -> None:
    text = pb.Answer(question=await text_question(care), text="王先生")
    await care.submit(survey.name, *FULL, text, mode="INTERVIEW_MODE_IN_STORE")

    [event] = await care.told(events_pb2.ResponseSubmitted)

    assert {(it.question, it.type, it.mark) for it in event.marks} == {
        ("SSI.OVERALL", pb.QUESTION_TYPE_SCALE_7, 5),
        ("SSI.INIT.GREETED", pb.QUESTION_TYPE_SCALE_7, 7),
    }
    assert event.response_id == survey.name.rpartition("/")[2]
    assert (event.consultant_id, event.customer_id) == ("li-lei", recorded().delivery.customer_id)
    assert (event.satisfaction_model, event.version) == ("ssi-five-factor", 1)
    assert event.mode == pb.INTERVIEW_MODE_IN_STORE
    for table in ("response", "outbox"):
        [row] = await care.rows(f"select string_agg(t::text, ' ') as content from {table} t")
        assert "王先生".encode().hex() not in row["content"]
        assert "王先生" not in row["content"]


async def test_the_customer_answers_by_the_link_and_the_call_is_done(care: CareDesk, survey: pb.Survey) -> None:
    request = pb.GetPublicSurveyRequest(token=token_of(survey))
    shown = await care.call("SurveyService/GetPublicSurvey", request, pb.PublicSurvey)
    after = await care.submit_link(token_of(survey), *FULL)

    assert shown.state == pb.Survey.STATE_OPEN
    assert (shown.store_display_name, shown.series, shown.delivery_date) == (f"Store {STORE}", "Paladin", "2026-05-20")
    assert len(shown.questionnaire.questions) > 35
    assert after.state == pb.Survey.STATE_SUBMITTED
    assert (await get(care, survey.name)).mode == pb.INTERVIEW_MODE_LINK
    call = (await care.follow_ups())["CAD-02/1"]
    assert call.state == FollowUp.STATE_REACHED
    assert list(call.attempts) == []


async def test_a_survey_is_answered_once_and_a_second_try_is_told_so(care: CareDesk, survey: pb.Survey) -> None:
    await care.submit_link(token_of(survey))

    for second in (care.submit_link(token_of(survey)), care.submit(survey.name)):
        with pytest.raises(Conflict) as caught:
            await second
        assert caught.value.reason == "SURVEY_ALREADY_SUBMITTED"
    request = pb.GetPublicSurveyRequest(token=token_of(survey))
    shown = await care.call("SurveyService/GetPublicSurvey", request, pb.PublicSurvey)
    assert shown.state == pb.Survey.STATE_SUBMITTED


async def test_of_many_submissions_at_once_exactly_one_is_taken(care: CareDesk, survey: pb.Survey) -> None:
    tries = [care.submit_link(token_of(survey)) for _ in range(4)] + [care.submit(survey.name) for _ in range(3)]

    results = await asyncio.gather(*tries, return_exceptions=True)

    assert sum(isinstance(one, Conflict) for one in results) == 6
    assert len(await care.told(events_pb2.ResponseSubmitted)) == 1
    assert await care.rows("select count(*) as n from response") == [{"n": 1}]


async def test_a_link_that_was_altered_leads_nowhere(care: CareDesk, survey: pb.Survey) -> None:
    token = token_of(survey)
    swapped = token[:-2] + ("AA" if not token.endswith("AA") else "BB")
    for altered in (swapped, token[:-1], token + "A", "x"):
        with pytest.raises(NotFound) as caught:
            await care.submit_link(altered)
        assert caught.value.reason == "SURVEY_LINK_INVALID"


async def test_a_survey_expires(care: CareDesk, survey: pb.Survey) -> None:
    care.clock.advance(timedelta(days=17, hours=12))

    with pytest.raises(Conflict) as caught:
        await care.submit_link(token_of(survey))

    assert caught.value.reason == "SURVEY_EXPIRED"
    assert [it.state for it in await care.surveys(state="STATE_EXPIRED")] == [pb.Survey.STATE_EXPIRED]
    assert list(await care.surveys(state="STATE_OPEN")) == []
    assert (await get(care, survey.name)).public_path == ""


async def test_a_cancelled_delivery_takes_no_answers(care: CareDesk, survey: pb.Survey) -> None:
    await care.deliveries(cancelled())

    with pytest.raises(Conflict) as caught:
        await care.submit_link(token_of(survey))
    assert caught.value.reason == "SURVEY_CANCELLED"


async def test_answers_that_do_not_fit_name_their_place(care: CareDesk, survey: pb.Survey) -> None:
    bad = [pb.Answer(question="SSI.MADE.UP", mark=1), pb.Answer(question="SSI.INIT.GREETED", mark=8)]

    with pytest.raises(InvalidArgument) as caught:
        await care.submit(survey.name, *bad)

    assert [(it.field, it.rule) for it in caught.value.violations] == [
        ("answers[0].question", "QUESTION_UNKNOWN"),
        ("answers[1].mark", "MARK_RANGE"),
        ("answers", "ANSWER_REQUIRED"),
    ]
    assert await care.rows("select count(*) as n from response") == [{"n": 0}]


async def test_a_survey_that_has_changed_is_looked_at_again(care: CareDesk, survey: pb.Survey) -> None:
    with pytest.raises(StaleEtag):
        await care.submit(survey.name, etag='"7"')


async def test_a_follow_up_that_was_exhausted_stays_so_when_the_customer_answers_later(
    care: CareDesk, survey: pb.Survey
) -> None:
    care.clock.advance(timedelta(days=1))
    await care.record((await care.follow_ups())["CAD-02/1"].name, "REFUSED")

    await care.submit_link(token_of(survey))

    assert (await care.follow_ups())["CAD-02/1"].state == FollowUp.STATE_EXHAUSTED


async def test_surveys_are_listed_newest_first_with_one_query(care: CareDesk, survey: pb.Survey) -> None:
    care.clock.advance(timedelta(minutes=1))
    await care.deliveries(*(recorded(number) for number in range(2, 6)))
    with counted(care.database) as queries:
        found = await care.surveys()

    assert len(found) == 5
    assert found[-1].name == survey.name
    assert len(queries) == 1
    assert [it.name for it in await care.surveys(delivery=recorded().delivery_id)] == [survey.name]


async def test_questionnaires_that_do_not_exist_are_not_found(care: CareDesk) -> None:
    request = pb.GetQuestionnaireVersionRequest(name="questionnaires/ssi-five-factor/versions/9")
    with pytest.raises(NotFound):
        await care.ask("SurveyService/GetQuestionnaireVersion", request, pb.QuestionnaireVersion)
