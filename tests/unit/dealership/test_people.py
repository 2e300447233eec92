"""Who works for a store, and whom a name means."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealerloop.gateway.v1.organisation_pb2 import StaffFacts
from dealership import people
from dealership.people import Names, StaffMember
from dealership.staff import staff_of
from kit.errors import InvalidArgument
from tests.support.people import CONSULTANT, colleague, member

REGIONAL = "ROLE_REGIONAL_MANAGER"
QUALITY = "ROLE_GROUP_QUALITY_MANAGER"


@dataclass(frozen=True)
class Place:
    """A store."""

    id: str
    region_id: str = ""


BEIJING = Place("bj-01", "north")
SHANGHAI = Place("sh-01")


@pytest.mark.parametrize(
    ("who", "stores"),
    [
        (colleague("li-lei", "bj-01"), {"bj-01"}),
        (member("both", (CONSULTANT, "stores/sh-01"), home="bj-01"), {"bj-01", "sh-01"}),
        (member("elsewhere", (CONSULTANT, "stores/sh-01"), home="gz-01"), {"sh-01"}),
        (member("north", (REGIONAL, "regions/north")), {"bj-01"}),
        (member("south", (REGIONAL, "regions/south")), set()),
        (member("group", (QUALITY, "group")), {"bj-01", "sh-01"}),
        (member("a-region-like-a-store", (REGIONAL, "regions/bj-01")), set()),
    ],
)
def test_somebody_is_one_of_his_own_store_and_of_those_that_his_roles_reach(who: StaffFacts, stores: set[str]) -> None:
    found = staff_of(who)

    assert {store.id for store in (BEIJING, SHANGHAI) if found.is_one_of(store)} == stores


@pytest.mark.parametrize(
    ("who", "rule"),
    [
        (colleague("li-lei", "bj-01", active=False), "STAFF_INACTIVE"),
        (colleague("li-lei", "sh-01"), "STAFF_OF_OTHER_STORE"),
        # Whether somebody left another store is not told.
        (colleague("li-lei", "sh-01", active=False), "STAFF_OF_OTHER_STORE"),
    ],
)
def test_whoever_does_not_work_for_the_store_is_refused_by_field(who: StaffFacts, rule: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        people.check(staff_of(who), BEIJING, "responsible")

    assert [(one.field, one.rule) for one in refused.value.violations] == [("responsible", rule)]


def names(*who: StaffFacts) -> Names:
    """Whom the people of bj-01 mean."""
    return Names("bj-01", [staff_of(one) for one in who])


@pytest.mark.parametrize("written", ["王芳", "王 芳", "王　芳", " 王芳 ", "wang.fang"])
def test_a_chinese_name_is_found_however_wide_it_is_written(written: str) -> None:
    assert names(colleague("wang.fang", "bj-01", name="王芳")).find(written) == "wang.fang"


@pytest.mark.parametrize("written", ["Ann  Lee", "ANN LEE", "Ａｎｎ　Ｌｅｅ"])
def test_capitals_width_and_several_blanks_make_no_difference(written: str) -> None:
    found = names(colleague("ann", "bj-01", name="Ann Lee"))

    assert found.find(written) == "ann"
    assert found.find("AnnLee") is None


def test_a_name_that_two_have_means_neither_and_their_ids_mean_them() -> None:
    found = names(colleague("fang-1", "bj-01", name="王芳"), colleague("fang-2", "bj-01", name="王 芳"))

    assert found.is_ambiguous("王芳")
    assert found.find("王芳") is None
    assert (found.find("fang-1"), found.find("fang-2")) == ("fang-1", "fang-2")


def test_whoever_left_is_nobody_and_leaves_his_name_to_the_other_one() -> None:
    found = names(colleague("old", "bj-01", name="王芳", active=False), colleague("new", "bj-01", name="王芳"))

    assert (found.find("王芳"), found.find("old")) == ("new", None)


def test_a_wider_person_is_meant_by_id_alone_and_shares_no_name_with_the_store() -> None:
    found = names(colleague("here", "bj-01", name="王芳"), member("north", (REGIONAL, "regions/north"), name="王芳"))

    assert (found.find("王芳"), found.find("north")) == ("here", "north")


def test_an_id_goes_before_a_name_that_is_written_like_it() -> None:
    found = names(colleague("ann", "bj-01", name="Bob"), colleague("bob", "bj-01", name="ann"))

    assert (found.find("ann"), found.find("bob")) == ("ann", "bob")


@given(st.lists(st.tuples(st.sampled_from("甲乙丙丁"), st.booleans()), max_size=8))
def test_a_name_is_found_exactly_when_one_active_person_has_it(everyone: list[tuple[str, bool]]) -> None:
    staff: list[StaffMember] = [
        staff_of(colleague(f"id-{place}", "bj-01", name=name, active=active))
        for place, (name, active) in enumerate(everyone)
    ]
    found = Names("bj-01", staff)

    for name in "甲乙丙丁":
        here = [one.id for one in staff if one.active and one.display_name == name]
        assert found.find(name) == (here[0] if len(here) == 1 else None)
        assert found.is_ambiguous(name) == (len(here) > 1)
