"""Signing in over HTTP, one's own account over gRPC."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from dealerloop.gateway.v1 import organisation_pb2 as pb
from kit.db.scope import Scope
from kit.errors import InvalidArgument, TooMany, Unauthenticated
from kit.rpc.principal import Assignment, Principal
from tests.support.organisation import ADMIN_PASSWORD, Gateway, gateway
from tests.support.postgres import Cloner

NEW_PASSWORD = "another-horse-2026"


@pytest.fixture
async def it(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(database_urls("gateway"), tmp_path / "keys", web=True) as running:
        yield running


@pytest.fixture
async def rpc(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[Gateway]:
    """Without the web application, where a test does not need it."""
    async with gateway(database_urls("gateway"), tmp_path / "keys") as running:
        yield running


async def principal_of(it: Gateway, username: str, password: str = ADMIN_PASSWORD) -> Principal:
    answer = await it.sign_in(username, password)
    assert answer.status_code == 200, answer.text
    return it.context.verifier.verify(answer.json()["access_token"])


async def test_the_first_administrator_signs_in_with_the_password_from_the_settings(it: Gateway) -> None:
    answer = await it.sign_in("admin")

    body = answer.json()
    assert answer.status_code == 200
    assert (body["token_type"], body["expires_in"]) == ("bearer", 900)
    assert answer.headers["cache-control"] == "no-store"
    principal = it.context.verifier.verify(body["access_token"])
    assert principal == Principal.staff("admin", Assignment("ROLE_ADMINISTRATOR", None))
    me = await it.web.get("/v1/me", headers={"Authorization": f"Bearer {body['access_token']}"})
    assert me.status_code == 200
    assert me.json()["staffMember"]["name"] == "staff/admin"


async def test_a_token_is_good_for_a_quarter_of_an_hour(it: Gateway) -> None:
    token = (await it.sign_in("admin")).json()["access_token"]

    it.clock.advance(timedelta(minutes=14, seconds=59))
    assert it.context.verifier.verify(token)
    it.clock.advance(timedelta(seconds=1))
    with pytest.raises(Unauthenticated):
        it.context.verifier.verify(token)


async def test_a_token_carries_the_stores_of_a_region_as_they_are_now(it: Gateway) -> None:
    await it.create_region("north")
    await it.create_store("bj-01", region="regions/north")
    await it.create_store("sh-01")
    roles = [
        pb.RoleAssignment(role=pb.ROLE_REGIONAL_MANAGER, place="regions/north"),
        pb.RoleAssignment(role=pb.ROLE_TECHNICIAN, place="stores/sh-01"),
    ]
    member = pb.StaffMember(display_name="赵敏", roles=roles, password=ADMIN_PASSWORD, username="zhao")
    request = pb.CreateGroupStaffMemberRequest(staff_id="zhao.min", staff_member=member)
    await it.call("CreateGroupStaffMember", request, pb.StaffMember)

    before = await principal_of(it, "zhao")
    await it.create_store("bj-02", region="regions/north")
    after = await principal_of(it, " ZHAO ")

    assert before == Principal.staff(
        "zhao.min",
        Assignment("ROLE_REGIONAL_MANAGER", frozenset({"bj-01"})),
        Assignment("ROLE_TECHNICIAN", frozenset({"sh-01"})),
    )
    assert after.assignments[0].stores == frozenset({"bj-01", "bj-02"})


async def test_whatever_is_wrong_the_answer_is_the_same(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_staff("gone", "ROLE_TECHNICIAN", store="bj-01", disabled=True)
    await it.create_staff("never", "ROLE_TECHNICIAN", store="bj-01", password="")

    answers = [
        await it.sign_in("admin", "wrong-password"),
        await it.sign_in("nobody", ADMIN_PASSWORD),
        await it.sign_in("gone", ADMIN_PASSWORD),
        await it.sign_in("never", ADMIN_PASSWORD),
    ]

    bodies = [{key: value for key, value in answer.json().items() if key != "trace_id"} for answer in answers]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert all(answer.headers["content-type"].startswith("application/problem+json") for answer in answers)
    assert all(body == bodies[0] for body in bodies)


async def test_an_unknown_user_name_takes_as_long_as_a_wrong_password(it: Gateway) -> None:
    async def seconds(username: str) -> float:
        durations = []
        for attempt in range(4):
            started = time.perf_counter()
            assert (await it.sign_in(username, f"wrong-password-{attempt}")).status_code == 401
            durations.append(time.perf_counter() - started)
        return min(durations)

    known, unknown = await seconds("admin"), await seconds("nobody")

    # Without a hash the answer would come at least five times sooner.
    assert unknown > known / 3


@pytest.mark.parametrize("username", ["admin", "nobody"])
async def test_five_failures_lock_a_user_name_whether_it_exists_or_not(it: Gateway, username: str) -> None:
    for _ in range(5):
        assert (await it.sign_in(username, "wrong-password")).status_code == 401

    locked = await it.sign_in(username, ADMIN_PASSWORD)

    assert locked.status_code == 429
    assert locked.headers["retry-after"] == "900"
    it.clock.advance(timedelta(minutes=15))
    assert (await it.sign_in(username, ADMIN_PASSWORD)).status_code == (200 if username == "admin" else 401)


async def test_a_success_forgets_the_failures_before(it: Gateway) -> None:
    for _ in range(3):
        for _ in range(4):
            await it.sign_in("admin", "wrong-password")
        assert (await it.sign_in("admin")).status_code == 200

    assert await it.rows("select * from failed_sign_in") == []


async def test_guesses_at_the_same_time_are_counted_too(it: Gateway) -> None:
    answers = await asyncio.gather(*(it.sign_in("admin", f"guess-number-{number}") for number in range(12)))

    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 7


async def test_counts_that_have_run_out_do_not_pile_up(it: Gateway) -> None:
    for number in range(6):
        await it.sign_in(f"nobody-{number}", "wrong-password")
    it.clock.advance(timedelta(minutes=16))
    await it.sign_in("somebody", "wrong-password")

    ((kept,),) = await it.rows("select count(*) from failed_sign_in")
    assert kept == 1


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ({}, {"username", "password"}),
        ({"username": "admin"}, {"password"}),
        ({"username": "admin", "password": "x", "grant_type": "client_credentials"}, {"grant_type"}),
        ({"username": "a" * 2000, "password": "x"}, {"username"}),
    ],
)
async def test_an_incomplete_form_names_its_fields(it: Gateway, form: dict[str, str], fields: set[str]) -> None:
    answer = await it.web.post("/v1/auth/token", data=form)

    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == fields


async def test_no_second_administrator_is_made_and_none_without_a_password(
    database_urls: Cloner, tmp_path: Path
) -> None:
    urls = database_urls("gateway")
    async with gateway(urls, tmp_path / "keys", admin_password=None) as it:
        assert await it.rows("select staff_id from staff") == []
    async with gateway(urls, tmp_path / "keys") as it:
        first = await it.rows("select staff_id, password_hash from staff")
    async with gateway(urls, tmp_path / "keys", admin_password="some-other-password") as it:
        assert await it.rows("select staff_id, password_hash from staff") == first
    assert [row[0] for row in first] == ["admin"]
    assert first[0][1].startswith("$argon2id$")


async def test_everybody_sees_himself_and_what_he_may_do_wherever_his_roles_are(rpc: Gateway) -> None:
    await rpc.create_store("bj-01")
    await rpc.create_store("sh-01")
    abroad = [pb.RoleAssignment(role=pb.ROLE_TECHNICIAN, place="stores/sh-01")]
    await rpc.create_staff("li.wei", "ROLE_TECHNICIAN", store="bj-01", roles=abroad)

    me = await rpc.call("GetMe", pb.GetMeRequest(), pb.Me, token=rpc.token("ROLE_TECHNICIAN", "sh-01", staff="li.wei"))

    assert me.staff_member.name == "stores/bj-01/staff/li.wei"
    assert not me.staff_member.password
    assert {(grant.permission, grant.place) for grant in me.grants} == {
        ("aftersales.vehicles.read", "stores/sh-01"),
        ("aftersales.visits.read", "stores/sh-01"),
        ("organisation.stores.read", "stores/sh-01"),
    }


async def test_whoever_is_gone_or_disabled_does_not_see_himself_any_more(rpc: Gateway) -> None:
    await rpc.create_store("bj-01")
    await rpc.create_staff("li.wei", "ROLE_TECHNICIAN", store="bj-01", disabled=True)

    for staff in ("li.wei", "never.was"):
        with pytest.raises(Unauthenticated):
            await rpc.call("GetMe", pb.GetMeRequest(), pb.Me, token=rpc.token("ROLE_TECHNICIAN", "bj-01", staff=staff))


async def test_a_password_is_changed_with_the_one_in_use(it: Gateway) -> None:
    await it.create_store("bj-01")
    await it.create_staff("li.wei", "ROLE_TECHNICIAN", store="bj-01")
    token = it.token("ROLE_TECHNICIAN", "bj-01", staff="li.wei")
    request = pb.ChangePasswordRequest(current_password=ADMIN_PASSWORD, new_password=NEW_PASSWORD)

    me = await it.call("ChangePassword", request, pb.Me, token=token)

    assert me.staff_member.name == "stores/bj-01/staff/li.wei"
    assert (await it.sign_in("li.wei", ADMIN_PASSWORD)).status_code == 401
    assert (await it.sign_in("li.wei", NEW_PASSWORD)).status_code == 200
    async with it.context.database.transaction(Scope.system("test")) as session:
        from sqlalchemy import text

        actions = await session.scalars(text("select payload from outbox where type like '%ActionRecorded'"))
        told = b"".join(bytes(payload) for payload in actions)
    assert b"new_password" in told
    assert NEW_PASSWORD.encode() not in told


async def test_a_stolen_token_cannot_be_used_to_guess_the_password(rpc: Gateway) -> None:
    await rpc.create_store("bj-01")
    await rpc.create_staff("li.wei", "ROLE_TECHNICIAN", store="bj-01")
    token = rpc.token("ROLE_TECHNICIAN", "bj-01", staff="li.wei")
    guess = pb.ChangePasswordRequest(current_password="a-wrong-guess", new_password=NEW_PASSWORD)

    for _ in range(5):
        with pytest.raises(InvalidArgument) as refused:
            await rpc.call("ChangePassword", guess, pb.Me, token=token)
        assert [(v.field, v.rule) for v in refused.value.violations] == [("current_password", "PASSWORD_WRONG")]
    right = pb.ChangePasswordRequest(current_password=ADMIN_PASSWORD, new_password=NEW_PASSWORD)
    with pytest.raises(TooMany):
        await rpc.call("ChangePassword", right, pb.Me, token=token)


async def test_an_administrator_resets_a_password_and_takes_one_away(it: Gateway) -> None:
    from google.protobuf.field_mask_pb2 import FieldMask

    await it.create_store("bj-01")
    await it.create_staff("li.wei", "ROLE_TECHNICIAN", store="bj-01")
    name = "stores/bj-01/staff/li.wei"
    mask = FieldMask(paths=["password"])

    reset = pb.UpdateStaffMemberRequest(staff_member=pb.StaffMember(name=name, password=NEW_PASSWORD), update_mask=mask)
    await it.call("UpdateStaffMember", reset, pb.StaffMember)
    assert (await it.sign_in("li.wei", NEW_PASSWORD)).status_code == 200
    take = pb.UpdateStaffMemberRequest(staff_member=pb.StaffMember(name=name), update_mask=mask)
    await it.call("UpdateStaffMember", take, pb.StaffMember)
    assert (await it.sign_in("li.wei", NEW_PASSWORD)).status_code == 401
