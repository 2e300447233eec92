"""The row scope as a value."""

import pytest
from sqlalchemy import ColumnElement, column

from kit.db.scope import Scope


def test_each_scope_has_its_setting() -> None:
    assert Scope.store("bj-01").setting == "stores:bj-01"
    assert Scope.stores(["sh-01", "bj-01"]).setting == "stores:bj-01,sh-01"
    assert Scope.stores([]).setting == "stores:"
    assert Scope.group().setting == Scope.system("relay").setting == "group"


def test_a_scope_knows_what_it_covers() -> None:
    assert Scope.store("bj-01").covers("bj-01")
    assert not Scope.store("bj-01").covers("sh-01")
    assert Scope.group().covers("sh-01")
    assert Scope.system("relay").covers("sh-01")


@pytest.mark.parametrize("store_id", ["", "a,b", "a'b", "a b", "*", "a\\b", "x" * 65, "店", "a\n"])
def test_what_cannot_be_a_stores_id_is_refused(store_id: str) -> None:
    with pytest.raises(ValueError, match="id of a store"):
        Scope.stores(["bj-01", store_id])


def test_the_limit_is_a_plain_comparison_for_the_planner() -> None:
    store_id: ColumnElement[str] = column("store_id")

    assert str(Scope.store("bj-01").limit(store_id)) == "store_id = :store_id_1"
    assert str(Scope.stores(["a", "b"]).limit(store_id)).startswith("store_id IN")
    assert str(Scope.group().limit(store_id)) == "true"
