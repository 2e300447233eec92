from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealership.roles import GRANTS, STORE_ROLES
from gateway.organisation.rules import (
    Held,
    OwnAccount,
    RoleRefused,
    RolesInvalid,
    WeakPassword,
    Writer,
    check_change,
    check_create,
    check_password,
    may_assign,
    placed,
    time_zone,
)
from kit.errors import InvalidArgument

GROUP_ADMINISTRATOR = Writer("admin", None)
STORE_ADMINISTRATOR = Writer("wang.lei", frozenset({"bj-01"}))
PLACES = ["group", "regions/north", "stores/bj-01", "stores/sh-01"]
held = st.builds(Held, st.sampled_from(sorted(GRANTS)), st.sampled_from(PLACES))


def broken(roles: list[Held], home: str | None = "bj-01") -> list[tuple[str, str]]:
    with pytest.raises(RolesInvalid) as refused:
        placed(roles, home=home, field="staff_member.roles")
    return [(violation.field, violation.rule) for violation in refused.value.violations]


def test_a_role_without_a_place_is_held_in_the_own_store() -> None:
    roles = [Held("ROLE_SALES_CONSULTANT", ""), Held("ROLE_SALES_CONSULTANT", "stores/sh-01")]

    assert placed(roles, home="bj-01", field="roles") == [
        Held("ROLE_SALES_CONSULTANT", "stores/bj-01"),
        Held("ROLE_SALES_CONSULTANT", "stores/sh-01"),
    ]


def test_a_member_of_the_group_says_where_each_role_is_held() -> None:
    assert broken([Held("ROLE_ADMINISTRATOR", "")], home=None) == [
        ("staff_member.roles[0].place", "ROLE_PLACE_MISSING")
    ]


@pytest.mark.parametrize(
    ("role", "place"),
    [
        ("ROLE_SALES_CONSULTANT", "group"),
        ("ROLE_GENERAL_MANAGER", "regions/north"),
        ("ROLE_REGIONAL_MANAGER", "stores/bj-01"),
        ("ROLE_REGIONAL_MANAGER", "group"),
        ("ROLE_GROUP_QUALITY_MANAGER", "stores/bj-01"),
        ("ROLE_ADMINISTRATOR", "regions/north"),
    ],
)
def test_a_role_is_held_only_where_it_means_something(role: str, place: str) -> None:
    assert broken([Held(role, place)]) == [("staff_member.roles[0].place", "ROLE_PLACE")]


def test_the_same_role_twice_in_one_place_is_refused() -> None:
    twice = [Held("ROLE_TECHNICIAN", ""), Held("ROLE_TECHNICIAN", "stores/bj-01")]

    assert broken(twice) == [("staff_member.roles[1]", "ROLE_TWICE")]


@given(st.lists(held, max_size=4))
def test_an_administrator_of_a_store_gives_roles_of_his_store_only(roles: list[Held]) -> None:
    inside = all(entry.place == "stores/bj-01" and entry.role in STORE_ROLES for entry in roles)

    assert may_assign(STORE_ADMINISTRATOR, roles) is inside
    assert may_assign(GROUP_ADMINISTRATOR, roles)


def test_a_store_administrator_cannot_create_an_account_that_reaches_further() -> None:
    with pytest.raises(RoleRefused):
        check_create(STORE_ADMINISTRATOR, [Held("ROLE_ADMINISTRATOR", "group")])


def test_an_account_that_reaches_further_is_not_his_to_change() -> None:
    wide, narrow = [Held("ROLE_ADMINISTRATOR", "group")], [Held("ROLE_TECHNICIAN", "stores/bj-01")]

    with pytest.raises(RoleRefused):
        check_change(STORE_ADMINISTRATOR, "zhao.min", wide, narrow)
    with pytest.raises(RoleRefused):
        check_change(STORE_ADMINISTRATOR, "zhao.min", narrow, wide)
    check_change(GROUP_ADMINISTRATOR, "zhao.min", wide, narrow)


@pytest.mark.parametrize("writer", [STORE_ADMINISTRATOR, GROUP_ADMINISTRATOR])
def test_nobody_changes_his_own_account(writer: Writer) -> None:
    with pytest.raises(OwnAccount):
        check_change(writer, writer.staff_id, [], [])


def test_the_default_zone_is_shanghai_and_only_real_zones_are_taken() -> None:
    assert time_zone("", field="store.time_zone") == "Asia/Shanghai"
    assert time_zone("Europe/Berlin", field="store.time_zone") == "Europe/Berlin"


@pytest.mark.parametrize("name", ["Mars/Olympus", "Asia", "../etc/passwd", "+08:00", "asia/shanghai", " "])
def test_an_unknown_zone_is_refused_by_field(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        time_zone(name, field="store.time_zone")

    assert [(v.field, v.rule) for v in refused.value.violations] == [("store.time_zone", "TIME_ZONE_UNKNOWN")]


@pytest.mark.parametrize(
    ("password", "rule"), [("aaaaaaaaaaaa", "PASSWORD_TOO_SIMPLE"), ("ZHANG.sanfeng", "PASSWORD_IS_NAME")]
)
def test_a_password_that_says_nothing_new_is_refused(password: str, rule: str) -> None:
    with pytest.raises(WeakPassword) as refused:
        check_password(password, known=["zhang.sanfeng"], field="new_password")

    assert [(v.field, v.rule) for v in refused.value.violations] == [("new_password", rule)]
    assert password not in str(refused.value.violations)
