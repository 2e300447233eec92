"""Answers to deliveries of which a list named no consultant (GRP-05, SCR-06)."""

from __future__ import annotations

from tests.support.grade_desk import BEIJING, MID_OCTOBER, GradeDesk
from tests.support.scoring import a_response


async def test_they_count_for_the_store_and_for_no_consultant(desk: GradeDesk) -> None:
    marks = {"SSI.INIT.GREETED": 7}
    await desk.hears(
        *(a_response(number, marks, submit_time=MID_OCTOBER) for number in range(1, 7)),
        *(a_response(number, marks, submit_time=MID_OCTOBER, consultant="") for number in range(7, 13)),
    )

    (model,) = [one for one in (await desk.grade()).models if one.index.n]

    assert model.index.n == 12
    assert [(one.consultant, one.index.n) for one in model.consultants] == [(f"stores/{BEIJING}/staff/li.wei", 6)]
