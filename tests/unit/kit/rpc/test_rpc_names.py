from __future__ import annotations

from uuid import UUID

import pytest

from kit.errors import InvalidArgument, NotFound
from kit.rpc import names

DELIVERY = "stores/{store}/deliveries/{delivery}"
ID = "018f4d2e-7b8a-7c11-9a55-0242ac120002"


def test_a_name_comes_apart_into_its_variables() -> None:
    assert names.parse(f"stores/bj-01/deliveries/{ID}", DELIVERY) == {"store": "bj-01", "delivery": ID}


@pytest.mark.parametrize(
    "name", ["", "stores/bj-01", "stores//deliveries/x", f"stores/bj-01/deliveries/{ID}/x", "stores/a/b/deliveries/c"]
)
def test_a_name_of_another_form_is_refused_with_the_field_that_held_it(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        names.parse(name, DELIVERY, field="delivery.name")

    assert [(found.field, found.rule) for found in refused.value.violations] == [("delivery.name", "RESOURCE_NAME")]


def test_special_characters_of_a_pattern_stand_for_themselves() -> None:
    with pytest.raises(InvalidArgument):
        names.parse("aXb/1", "a.b/{id}")


def test_a_name_is_put_together_from_its_variables() -> None:
    assert names.format(DELIVERY, store="bj-01", delivery=UUID(ID)) == f"stores/bj-01/deliveries/{ID}"


@pytest.mark.parametrize(
    "variables", [{"store": "bj-01"}, {"store": "", "delivery": 1}, {"store": "a/b", "delivery": 1}]
)
def test_a_variable_that_would_break_the_name_is_our_mistake(variables: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        names.format(DELIVERY, **variables)


def test_the_id_is_taken_from_the_end_of_a_name() -> None:
    assert names.parse_id(f"stores/bj-01/deliveries/{ID}") == UUID(ID)


@pytest.mark.parametrize("text", ["", "x", ID.replace("-", ""), ID[:-1], "{" + ID + "}"])
def test_what_is_no_id_names_nothing_that_exists(text: str) -> None:
    with pytest.raises(NotFound):
        names.parse_id(text)


@pytest.mark.parametrize(("name", "store"), [("stores/bj-01/x/y", "bj-01"), ("stores/bj-01", "bj-01"), ("staff/x", "")])
def test_the_store_is_the_second_segment_of_a_stores_name(name: str, store: str) -> None:
    assert names.store_of(name) == store
