"""Accounts of stores, the group and its regions, over real gRPC and a real database."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from dealerloop.gateway.v1 import organisation_pb2 as pb
from kit.errors import AlreadyExists, DomainError, InvalidArgument, NotFound, PermissionDenied, StaleEtag
from tests.support.organisation import ADMIN_PASSWORD, Gateway, gateway
from tests.support.postgres import Cloner


@pytest.fixture
async def it(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(database_urls("gateway"), tmp_path / "keys") as running:
        yield running


def broken(error: DomainError) -> list[tuple[str, str]]:
    return [(violation.field, violation.rule) for violation in error.violations]


async def test_the_refusal_of_a_user_name_does_not_tell_where_it_is_taken(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_store("sh-01")
    await it.create_staff("li.wei", "ROLE_TECHNICIAN", store="sh-01")
    token = it.token("ROLE_ADMINISTRATOR", "bj-01")

    with pytest.raises(AlreadyExists) as refused:
        await it.create_staff("li.wei", "ROLE_TECHNICIAN", store="bj-01", token=token)

    assert "sh-01" not in f"{refused.value}{refused.value.metadata}"
    await it.create_staff("li.na", "ROLE_TECHNICIAN", store="bj-01", token=token)
    patch = pb.StaffMember(name="stores/bj-01/staff/li.na", username="li.wei")
    with pytest.raises(AlreadyExists):
        await it.call("UpdateStaffMember", pb.UpdateStaffMemberRequest(staff_member=patch), pb.StaffMember, token=token)


async def test_staff_are_created_listed_and_changed_without_ever_showing_a_password(it: Gateway) -> None:
    await it.create_store("bj-01")
    created = await it.create_staff("li.wei", "ROLE_SALES_CONSULTANT", store="bj-01")
    name = "stores/bj-01/staff/li.wei"
    patch = pb.StaffMember(
        name=name, display_name="李伟", roles=[pb.RoleAssignment(role=pb.ROLE_SALES_MANAGER)], etag=created.etag
    )

    changed = await it.call("UpdateStaffMember", pb.UpdateStaffMemberRequest(staff_member=patch), pb.StaffMember)
    got = await it.call("GetStaffMember", pb.GetStaffMemberRequest(name=name), pb.StaffMember)
    listed = await it.call(
        "ListStaffMembers", pb.ListStaffMembersRequest(parent="stores/bj-01"), pb.ListStaffMembersResponse
    )

    assert created.name == name
    assert created.username == "li.wei"
    assert created.roles[0].place == "stores/bj-01"
    assert changed == got == listed.staff_members[0]
    assert (got.display_name, got.roles[0].role) == ("李伟", pb.ROLE_SALES_MANAGER)
    assert got.etag != created.etag
    assert not created.password
    assert not got.password


async def test_a_password_is_kept_nowhere_in_the_clear(it: Gateway) -> None:
    await it.create_store("bj-01")
    old, new = "first-of-two-passwords", "second-of-two-passwords"
    member = pb.StaffMember(display_name="王小明", password=old, roles=[pb.RoleAssignment(role=pb.ROLE_TECHNICIAN)])
    create = pb.CreateStaffMemberRequest(
        parent="stores/bj-01", staff_id="li.wei", staff_member=member, request_id="create"
    )
    patch = pb.StaffMember(name="stores/bj-01/staff/li.wei", password=new)
    change = pb.UpdateStaffMemberRequest(staff_member=patch, request_id="change")
    own = pb.ChangePasswordRequest(current_password=ADMIN_PASSWORD, new_password=new, request_id="own")

    for _ in range(2):
        assert not (await it.call("CreateStaffMember", create, pb.StaffMember)).password
        assert not (await it.call("UpdateStaffMember", change, pb.StaffMember)).password
        assert not (await it.call("ChangePassword", own, pb.Me)).staff_member.password

    plain = {
        request.request_id: hashlib.sha256(request.SerializeToString(deterministic=True))
        for request in (create, change, own)
    }
    claims = await it.rows("select key, request_hash from idempotency")
    assert {key for key, _ in claims} == set(plain)
    # Whoever reads the table could try out passwords against a hash without a key.
    assert all(kept not in {plain[key].digest(), plain[key].hexdigest().encode()} for key, kept in claims)
    responses = await it.rows("select response from idempotency")
    events = await it.rows("select payload from outbox")
    accounts = await it.rows("select convert_to(staff::text, 'UTF8') from staff")
    kept = b"".join(bytes(row[0]) for row in responses + events + accounts)
    assert b"li.wei" in kept
    for password in (old, new, ADMIN_PASSWORD):
        assert password.encode() not in kept


async def test_members_of_the_group_are_kept_apart(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_region("north")
    roles = [pb.RoleAssignment(role=pb.ROLE_REGIONAL_MANAGER, place="regions/north")]
    member = pb.StaffMember(display_name="赵敏", roles=roles)
    request = pb.CreateGroupStaffMemberRequest(staff_id="zhao.min", staff_member=member)

    created = await it.call("CreateGroupStaffMember", request, pb.StaffMember)
    listed = await it.call("ListGroupStaffMembers", pb.ListGroupStaffMembersRequest(), pb.ListGroupStaffMembersResponse)

    assert created.name == "staff/zhao.min"
    assert [staff.name for staff in listed.staff_members] == ["staff/admin", "staff/zhao.min"]
    with pytest.raises(NotFound):
        await it.call("GetStaffMember", pb.GetStaffMemberRequest(name="stores/bj-01/staff/zhao.min"), pb.StaffMember)


async def zhao_min(it: Gateway) -> pb.StaffMember:
    """A regional manager."""
    await it.create_region("north")
    roles = [pb.RoleAssignment(role=pb.ROLE_REGIONAL_MANAGER, place="regions/north")]
    member = pb.StaffMember(display_name="赵敏", roles=roles, password=ADMIN_PASSWORD)
    request = pb.CreateGroupStaffMemberRequest(staff_id="zhao.min", staff_member=member)
    return await it.call("CreateGroupStaffMember", request, pb.StaffMember)


async def test_a_member_of_the_group_is_read_and_changed(it: Gateway) -> None:
    created = await zhao_min(it)
    get = pb.GetGroupStaffMemberRequest(name="staff/zhao.min")
    patch = pb.StaffMember(name="staff/zhao.min", disabled=True, display_name="ignored", etag=created.etag)
    mask = FieldMask(paths=["disabled"])
    change = pb.UpdateGroupStaffMemberRequest(staff_member=patch, update_mask=mask, request_id="leaves")

    before = await it.call("GetGroupStaffMember", get, pb.StaffMember)
    changed = await it.call("UpdateGroupStaffMember", change, pb.StaffMember)
    repeated = await it.call("UpdateGroupStaffMember", change, pb.StaffMember)
    after = await it.call("GetGroupStaffMember", get, pb.StaffMember)

    assert before == created
    assert changed == repeated == after
    assert (after.disabled, after.display_name) == (True, "赵敏")
    assert after.roles == created.roles
    with pytest.raises(StaleEtag):
        await it.call("UpdateGroupStaffMember", pb.UpdateGroupStaffMemberRequest(staff_member=patch), pb.StaffMember)


async def test_the_rules_of_accounts_hold_for_members_of_the_group(it: Gateway) -> None:
    await zhao_min(it)

    async def change(token: str | None = None, **fields: Any) -> pb.StaffMember:
        patch = pb.StaffMember(**{"name": "staff/zhao.min", **fields})
        request = pb.UpdateGroupStaffMemberRequest(staff_member=patch)
        return await it.call("UpdateGroupStaffMember", request, pb.StaffMember, token=token)

    with pytest.raises(InvalidArgument) as refused:
        await change(roles=[pb.RoleAssignment(role=pb.ROLE_REGIONAL_MANAGER)])
    assert broken(refused.value) == [("staff_member.roles[0].place", "ROLE_PLACE_MISSING")]
    with pytest.raises(InvalidArgument) as refused:
        await change(password="aaaaaaaaaaaa")
    assert broken(refused.value) == [("staff_member.password", "PASSWORD_TOO_SIMPLE")]
    with pytest.raises(PermissionDenied) as denied:
        await change(name="staff/admin", disabled=True)
    assert denied.value.reason == "OWN_ACCOUNT"
    with pytest.raises(PermissionDenied) as denied:
        await change(token=it.token("ROLE_ADMINISTRATOR", "bj-01"), disabled=True)
    assert denied.value.reason == "ACCESS_DENIED"
    with pytest.raises(AlreadyExists):
        await change(username="admin")


async def test_whoever_acts_under_a_name_is_found_within_the_callers_reach(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_store("tj-01")
    await zhao_min(it)
    for staff, store in (("li.wei", "bj-01"), ("wu.tao", "tj-01")):
        await it.create_staff(staff, "ROLE_TECHNICIAN", store=store)
    manager = it.token("ROLE_GENERAL_MANAGER", "bj-01")

    async def find(staff: str, token: str | None = None) -> pb.StaffMember:
        request = pb.GetGroupStaffMemberRequest(name=f"staff/{staff}")
        return await it.call("GetGroupStaffMember", request, pb.StaffMember, token=token)

    assert (await find("li.wei", manager)).name == "stores/bj-01/staff/li.wei"
    of_the_group = await find("zhao.min", manager)
    assert (of_the_group.name, of_the_group.display_name, of_the_group.username) == ("staff/zhao.min", "赵敏", "")
    assert (await find("zhao.min")).username == "zhao.min"
    assert (await find("wu.tao")).name == "stores/tj-01/staff/wu.tao"
    for nobody in ("wu.tao", "nobody"):
        with pytest.raises(NotFound):
            await find(nobody, manager)


async def test_a_stores_member_is_not_changed_among_those_of_the_group(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_staff("li.wei", "ROLE_TECHNICIAN", store="bj-01")
    patch = pb.UpdateGroupStaffMemberRequest(staff_member=pb.StaffMember(name="staff/li.wei", display_name="x"))
    of_a_store = pb.GetGroupStaffMemberRequest(name="stores/bj-01/staff/li.wei")

    with pytest.raises(NotFound):
        await it.call("UpdateGroupStaffMember", patch, pb.StaffMember)
    with pytest.raises(InvalidArgument):
        await it.call("GetGroupStaffMember", of_a_store, pb.StaffMember)


@pytest.mark.parametrize(
    ("role", "place", "rule"),
    [
        ("ROLE_TECHNICIAN", "stores/no-such", "ROLE_PLACE_UNKNOWN"),
        ("ROLE_REGIONAL_MANAGER", "regions/no-such", "ROLE_PLACE_UNKNOWN"),
        ("ROLE_TECHNICIAN", "group", "ROLE_PLACE"),
    ],
)
async def test_a_role_needs_a_place_that_exists_and_fits(it: Gateway, role: str, place: str, rule: str) -> None:
    await it.create_store("bj-01")

    with pytest.raises(InvalidArgument) as refused:
        await it.create_staff("li.wei", role, store="bj-01", roles=[pb.RoleAssignment(role=role, place=place)])

    assert broken(refused.value) == [("staff_member.roles[0].place", rule)]


async def test_an_administrator_of_a_store_gives_no_rights_beyond_it(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_store("sh-01")
    mine = it.token("ROLE_ADMINISTRATOR", "bj-01", staff="wang.lei")
    await it.create_staff("wang.lei", "ROLE_ADMINISTRATOR", store="bj-01")
    wide = [pb.RoleAssignment(role=pb.ROLE_ADMINISTRATOR, place="group")]
    await it.create_staff("zhao.min", "ROLE_ADMINISTRATOR", store="bj-01", roles=wide)

    for place in ("group", "stores/sh-01"):
        roles = [pb.RoleAssignment(role=pb.ROLE_ADMINISTRATOR, place=place)]
        with pytest.raises(PermissionDenied):
            await it.create_staff("new.one", "ROLE_ADMINISTRATOR", store="bj-01", token=mine, roles=roles)
    attempts = [
        # His own roles, and the password of somebody whose rights go further than his.
        pb.StaffMember(name="stores/bj-01/staff/wang.lei", roles=wide),
        pb.StaffMember(name="stores/bj-01/staff/wang.lei", roles=[pb.RoleAssignment(role=pb.ROLE_GENERAL_MANAGER)]),
        pb.StaffMember(name="stores/bj-01/staff/zhao.min", password="taken-over-now"),
        pb.StaffMember(name="stores/bj-01/staff/zhao.min", disabled=True),
    ]
    for patch in attempts:
        with pytest.raises(PermissionDenied):
            await it.call(
                "UpdateStaffMember", pb.UpdateStaffMemberRequest(staff_member=patch), pb.StaffMember, token=mine
            )
    assert await it.create_staff("li.wei", "ROLE_GENERAL_MANAGER", store="bj-01", token=mine)
