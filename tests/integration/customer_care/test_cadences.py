"""Versions of cadence templates."""

from __future__ import annotations

import asyncio

import pytest
from asyncpg.exceptions import IntegrityConstraintViolationError

from dealerloop.customer_care.v1 import cadences_pb2 as pb
from kit.errors import Conflict, InvalidArgument, NotFound, PermissionDenied
from tests.support.care_desk import QUALITY, SPECIALIST, CareDesk, extra_step

TEMPLATE = "cadenceTemplates/post-delivery"


async def test_the_shipped_version_is_published(care: CareDesk) -> None:
    request = pb.GetCadenceTemplateVersionRequest(name=f"{TEMPLATE}/versions/1")
    version = await care.ask("CadenceService/GetCadenceTemplateVersion", request, pb.CadenceTemplateVersion)

    assert version.state == pb.CadenceTemplateVersion.STATE_PUBLISHED
    steps = {step.code: step for step in version.steps}
    assert steps["CAD-07"].fallback_window.last_day == 90
    assert steps["CAD-07"].stop_condition == pb.STOP_CONDITION_FIRST_SERVICE_DONE
    assert steps["CAD-02"].owner_role == pb.OWNER_ROLE_CARE_SPECIALIST
    assert not steps["CAD-01"].HasField("fallback_window")
    assert (steps["CAD-06"].occurrences, steps["CAD-06"].repeat_days) == (2, 30)


async def test_a_draft_is_read_back_as_it_was_written_and_listed_first(care: CareDesk) -> None:
    written = await care.create_version([extra_step(occurrences=3, repeat_months=6, scripts={"zh-CN": "您好"})])
    request = pb.ListCadenceTemplateVersionsRequest(parent=TEMPLATE, page_size=1)
    page = await care.ask("CadenceService/ListCadenceTemplateVersions", request, pb.ListCadenceTemplateVersionsResponse)

    assert written.state == pb.CadenceTemplateVersion.STATE_DRAFT
    assert not written.HasField("publish_time")
    assert list(page.cadence_template_versions) == [written]
    rest = pb.ListCadenceTemplateVersionsRequest(parent=TEMPLATE, page_token=page.next_page_token)
    older = await care.ask("CadenceService/ListCadenceTemplateVersions", rest, pb.ListCadenceTemplateVersionsResponse)
    assert [it.name for it in older.cadence_template_versions] == [f"{TEMPLATE}/versions/1"]
    assert older.next_page_token == ""


async def test_drafts_written_at_once_get_different_numbers(care: CareDesk) -> None:
    drafts = await asyncio.gather(*(care.create_version([extra_step()]) for _ in range(5)))

    assert {it.name.rpartition("/")[2] for it in drafts} == {"2", "3", "4", "5", "6"}


async def test_steps_that_contradict_themselves_are_refused_with_their_places(care: CareDesk) -> None:
    window = pb.Window(anchor="ANCHOR_DELIVERY", first_day=3, last_day=1)
    with pytest.raises(InvalidArgument) as caught:
        await care.create_version([extra_step(), extra_step(window=window, questionnaire="none")])

    assert [(it.field, it.rule) for it in caught.value.violations] == [
        ("cadence_template_version.steps[1].code", "STEP_CODE_UNIQUE"),
        ("cadence_template_version.steps[1].window.last_day", "WINDOW_ORDER"),
        ("cadence_template_version.steps[1].questionnaire", "QUESTIONNAIRE_UNKNOWN"),
    ]


async def test_a_published_version_never_changes(care: CareDesk) -> None:
    version = await care.publish(extra_step())
    request = pb.PublishCadenceTemplateVersionRequest(name=version.name)

    with pytest.raises(Conflict) as caught:
        await care.ask("CadenceService/PublishCadenceTemplateVersion", request, pb.CadenceTemplateVersion, QUALITY)
    assert caught.value.reason == "CADENCE_ALREADY_PUBLISHED"
    for statement in ("update cadence_template_version set steps = '[]'", "delete from cadence_template_version"):
        with pytest.raises(IntegrityConstraintViolationError):
            await care.rows(statement)


async def test_what_does_not_exist_is_not_found(care: CareDesk) -> None:
    request = pb.GetCadenceTemplateVersionRequest(name=f"{TEMPLATE}/versions/99")
    with pytest.raises(NotFound):
        await care.ask("CadenceService/GetCadenceTemplateVersion", request, pb.CadenceTemplateVersion)
    version = pb.CadenceTemplateVersion(steps=[extra_step()])
    create = pb.CreateCadenceTemplateVersionRequest(parent="cadenceTemplates/other", cadence_template_version=version)
    with pytest.raises(NotFound):
        await care.ask("CadenceService/CreateCadenceTemplateVersion", create, pb.CadenceTemplateVersion, QUALITY)


async def test_a_specialist_reads_cadences_and_writes_none(care: CareDesk) -> None:
    request = pb.PublishCadenceTemplateVersionRequest(name=f"{TEMPLATE}/versions/1")
    with pytest.raises(PermissionDenied):
        await care.ask("CadenceService/PublishCadenceTemplateVersion", request, pb.CadenceTemplateVersion, SPECIALIST)
