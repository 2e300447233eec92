"""What the services hear about the staff, over real gRPC and a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from dealerloop.gateway.events.v1.events_pb2 import StaffChanged
from dealerloop.gateway.v1 import organisation_pb2 as pb
from kit.errors import AlreadyExists, NotFound, PermissionDenied
from tests.support.organisation import ADMIN_PASSWORD, Gateway, gateway
from tests.support.people import CONSULTANT, colleague
from tests.support.postgres import Cloner

NAME = "stores/bj-01/staff/li-lei"


@pytest.fixture
async def it(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(database_urls("gateway"), tmp_path / "keys") as running:
        await running.create_store("bj-01")
        yield running


async def told(it: Gateway) -> list[pb.StaffFacts]:
    """Everything but the first administrator."""
    rows = await it.rows("select payload, key from outbox where type like '%StaffChanged' order by position")
    events = [(StaffChanged.FromString(row[0]), row[1]) for row in rows]
    assert all(key == f"staff/{event.staff_id}" and event.staff_id == event.staff.staff_id for event, key in events)
    return [event.staff for event, _ in events if event.staff_id != "admin"]


async def change(it: Gateway, *paths: str, **fields: object) -> pb.StaffMember:
    member = pb.StaffMember(name=NAME, **fields)  # type: ignore[arg-type]
    request = pb.UpdateStaffMemberRequest(staff_member=member, update_mask=FieldMask(paths=paths))
    return await it.call("UpdateStaffMember", request, pb.StaffMember)


async def test_a_new_member_is_told_with_his_store_and_his_roles_in_their_places(it: Gateway) -> None:
    await it.create_staff("li-lei", CONSULTANT, store="bj-01", display_name="李雷")

    assert await told(it) == [colleague("li-lei", "bj-01", name="李雷")]


async def test_the_first_administrator_is_told_too(it: Gateway) -> None:
    [row] = await it.rows("select payload from outbox where type like '%StaffChanged'")

    first = StaffChanged.FromString(row[0]).staff
    assert (first.staff_id, first.store_id, first.active) == ("admin", "", True)
    assert [(one.role, one.place) for one in first.roles] == [(pb.ROLE_ADMINISTRATOR, "group")]


async def test_every_change_of_name_roles_or_state_is_told_with_a_larger_version(it: Gateway) -> None:
    await it.create_staff("li-lei", CONSULTANT, store="bj-01", display_name="李雷")

    await change(it, display_name="李蕾")
    await change(it, roles=[pb.RoleAssignment(role=pb.ROLE_SALES_MANAGER)])
    await change(it, disabled=True)
    await change(it, "disabled")

    facts = await told(it)
    manager = "ROLE_SALES_MANAGER"
    assert facts == [
        colleague("li-lei", "bj-01", name="李雷"),
        colleague("li-lei", "bj-01", name="李蕾", version=2),
        colleague("li-lei", "bj-01", manager, name="李蕾", version=3),
        colleague("li-lei", "bj-01", manager, name="李蕾", active=False, version=4),
        colleague("li-lei", "bj-01", manager, name="李蕾", version=5),
    ]


async def test_user_name_and_password_are_nobody_elses_business(it: Gateway) -> None:
    await it.create_staff("li-lei", CONSULTANT, store="bj-01")

    await change(it, username="another.name")
    await change(it, password="another-password-2")

    assert len(await told(it)) == 1
    stored = await it.rows("select encode(payload, 'escape') from outbox where type like '%StaffChanged'")
    assert ADMIN_PASSWORD not in str(stored)


async def test_what_is_refused_is_not_told(it: Gateway) -> None:
    await it.create_staff("li-lei", CONSULTANT, store="bj-01")
    before = await told(it)

    with pytest.raises(AlreadyExists):
        await it.create_staff("li-lei", CONSULTANT, store="bj-01")

    assert await told(it) == before


async def test_services_read_the_staff_and_people_do_not(it: Gateway) -> None:
    for number in range(3):
        await it.create_staff(f"li-{number}", CONSULTANT, store="bj-01", display_name=f"李{number}")
    await it.create_staff("gone", CONSULTANT, store="bj-01", disabled=True)
    service = it.context.signer.service_token()

    method = "dealerloop.gateway.v1.OrganisationService/ListStaffForProjection"
    stream = it.peer.stream(method, pb.ListStaffForProjectionRequest(), pb.StaffFacts, timeout=5)
    facts = [one async for one in stream]
    get = pb.GetStaffForProjectionRequest(staff_id="li-1")
    one = await it.call("GetStaffForProjection", get, pb.StaffFacts, token=service)

    assert [(found.staff_id, found.active) for found in facts] == [
        *(("admin", True), ("gone", False), ("li-0", True), ("li-1", True), ("li-2", True))
    ]
    assert one == facts[3] == colleague("li-1", "bj-01", name="李1")
    unknown = pb.GetStaffForProjectionRequest(staff_id="no-such")
    with pytest.raises(NotFound):
        await it.call("GetStaffForProjection", unknown, pb.StaffFacts, token=service)
    with pytest.raises(PermissionDenied):
        await it.call("GetStaffForProjection", get, pb.StaffFacts)
