"""A dissatisfied answer opens a case the same day, linked both ways and exactly once (CARE-07)."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta

import pytest

from dealerloop.customer_care.events.v1 import events_pb2
from dealerloop.customer_care.v1 import complaints_pb2, surveys_pb2
from dealerloop.customer_care.v1.complaints_pb2 import Complaint
from dealerloop.customer_care.v1.surveys_pb2 import Answer, Survey
from kit.errors import Conflict
from tests.support.care_desk import CareDesk, overall
from tests.support.deliveries import NOW, STORE, recorded, vin_of
from tests.support.statements import counted

LATE = Answer(question="SSI.DLV.ON_TIME", mark=2)
LOW_TIME = Answer(question="SSI.DLV.DURATION", mark=3)
TICKED = Answer(question="SSI.COMPLAIN", mark=1)
WORDS = Answer(question="SSI.COMMENT", text="王先生等了三个小时")


@pytest.fixture
async def survey(care: CareDesk) -> Survey:
    await care.deliveries(recorded())
    [survey] = await care.surveys()
    return survey


def token_of(survey: Survey) -> str:
    return survey.public_path.removeprefix("/s/")


async def cases(care: CareDesk) -> list[Complaint]:
    """The store's cases, each with its history."""
    request = complaints_pb2.ListComplaintsRequest(parent=f"stores/{STORE}")
    method = "ComplaintService/ListComplaints"
    found = await care.ask(method, request, complaints_pb2.ListComplaintsResponse)
    return [
        await care.ask("ComplaintService/GetComplaint", complaints_pb2.GetComplaintRequest(name=it.name), Complaint)
        for it in found.complaints
    ]


async def case(care: CareDesk) -> Complaint:
    [found] = await cases(care)
    return found


async def again(care: CareDesk, survey: Survey) -> Survey:
    return await care.ask("SurveyService/GetSurvey", surveys_pb2.GetSurveyRequest(name=survey.name), Survey)


@pytest.mark.parametrize(
    ("answers", "level"),
    [
        ([overall(), LATE], complaints_pb2.COMPLAINT_LEVEL_DISSATISFACTION),
        ([overall(), Answer(question="SSI.NPS", mark=6)], complaints_pb2.COMPLAINT_LEVEL_DISSATISFACTION),
        ([overall(), LATE, LOW_TIME], complaints_pb2.COMPLAINT_LEVEL_GRIEVANCE),
        ([overall(4)], complaints_pb2.COMPLAINT_LEVEL_GRIEVANCE),
        ([overall(), TICKED], complaints_pb2.COMPLAINT_LEVEL_COMPLAINT),
    ],
)
@pytest.mark.parametrize("by_link", [True, False], ids=["by link", "by telephone"])
async def test_the_answers_decide_on_the_level_however_they_came(
    care: CareDesk, survey: Survey, answers: list[Answer], level: int, *, by_link: bool
) -> None:
    if by_link:
        await care.submit_link(token_of(survey), *answers)
    else:
        await care.submit(survey.name, *answers)

    found = await case(care)

    assert (found.level, found.channel) == (level, complaints_pb2.COMPLAINT_CHANNEL_SURVEY)
    assert [action.actor for action in found.actions] == ["system" if by_link else "staff/tester"]
    assert found.actions[0].verb == complaints_pb2.COMPLAINT_VERB_OPEN


async def test_a_case_says_what_it_is_about_and_belongs_to_the_delivery(care: CareDesk, survey: Survey) -> None:
    await care.submit_link(token_of(survey), overall(3), LATE, WORDS)

    found = await case(care)

    assert (found.kind, found.department) == (complaints_pb2.COMPLAINT_KIND_DELIVERY, complaints_pb2.DEPARTMENT_SALES)
    assert found.severity == complaints_pb2.COMPLAINT_SEVERITY_MEDIUM
    assert found.description.splitlines() == [
        "客户在满意度调查中表示明显不满。",
        "总体而言，您对本次购车经历的满意程度如何？ 3/7",
        "车辆是否在承诺的日期交付？ 2/7",
        "客户留言：王先生等了三个小时",
    ]
    assert (found.delivery, found.vin) == (survey.delivery, vin_of(1))
    assert found.customer == f"stores/{STORE}/customers/{recorded().delivery.customer_id}"
    assert found.open_time.ToDatetime(tzinfo=UTC) == NOW


async def test_case_and_survey_name_each_other_and_lists_cost_no_more_for_it(care: CareDesk, survey: Survey) -> None:
    done = await care.submit(survey.name, overall(1))
    with counted(care.database) as queries:
        [listed] = await care.surveys()

    found = await case(care)

    assert found.survey == survey.name
    assert [it.complaint for it in (done, await again(care, survey), listed)] == [found.name] * 3
    assert len(queries) == 1


async def test_the_others_hear_which_response_opened_the_case_and_no_word_of_the_customer(
    care: CareDesk, survey: Survey
) -> None:
    await care.submit_link(token_of(survey), overall(), TICKED, WORDS)

    [opened] = await care.told(events_pb2.ComplaintOpened)
    [response] = await care.told(events_pb2.ResponseSubmitted)

    assert opened.response_id == response.response_id == survey.name.rpartition("/")[2]
    assert opened.level == complaints_pb2.COMPLAINT_LEVEL_COMPLAINT
    assert opened.delivery_id == recorded().delivery_id
    for table in ("complaint", "complaint_action", "outbox"):
        [row] = await care.rows(f"select string_agg(t::text, ' ') as content from {table} t")
        assert "王先生" not in (row["content"] or "")
        assert "王先生".encode().hex() not in (row["content"] or "")


async def test_a_satisfied_customer_opens_nothing(care: CareDesk, survey: Survey) -> None:
    done = await care.submit(
        survey.name, overall(5), Answer(question="SSI.NPS", mark=7), Answer(question="SSI.COMPLAIN")
    )

    assert await cases(care) == []
    assert done.complaint == ""
    assert await care.told(events_pb2.ComplaintOpened) == []


async def test_a_survey_that_is_sent_twice_opens_one_case(care: CareDesk, survey: Survey) -> None:
    await care.submit(survey.name, overall(1), request_id="one")

    await care.submit(survey.name, overall(1), request_id="one")
    with pytest.raises(Conflict):
        await care.submit_link(token_of(survey), overall(1), TICKED)

    assert (await case(care)).level == complaints_pb2.COMPLAINT_LEVEL_GRIEVANCE


async def test_of_many_who_answer_at_once_one_opens_one_case(care: CareDesk, survey: Survey) -> None:
    tries = [care.submit_link(token_of(survey), overall(1)) for _ in range(4)]
    tries_by_phone = [care.submit(survey.name, overall(1)) for _ in range(3)]

    results = await asyncio.gather(*tries, *tries_by_phone, return_exceptions=True)

    assert sum(isinstance(one, Conflict) for one in results) == 6
    assert len(await care.told(events_pb2.ComplaintOpened)) == 1
    await case(care)


async def test_two_surveys_open_a_case_each(care: CareDesk, survey: Survey) -> None:
    await care.deliveries(recorded(2))
    for one in await care.surveys():
        await care.submit(one.name, overall(2))

    assert len({one.survey for one in await cases(care)}) == 2
    assert survey.name in {one.survey for one in await cases(care)}


async def test_answers_that_come_in_late_open_their_case_on_the_day_they_come(care: CareDesk, survey: Survey) -> None:
    care.clock.advance(timedelta(days=10, hours=3))

    await care.submit_link(token_of(survey), overall(2))

    assert (await case(care)).open_time.ToDatetime(tzinfo=UTC) == NOW + timedelta(days=10, hours=3)


async def test_the_customers_page_tells_nothing_of_the_case(care: CareDesk, survey: Survey) -> None:
    shown = await care.submit_link(token_of(survey), overall(1), LATE)

    assert (await case(care)).name.rpartition("/")[2] not in str(shown)
