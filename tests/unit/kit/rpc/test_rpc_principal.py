from __future__ import annotations

from kit.rpc.principal import PUBLIC, Assignment, Principal

GRANTS = {"seller": frozenset({"read", "write"}), "auditor": frozenset({"read"})}


def test_a_permission_holds_in_every_store_where_some_role_carries_it() -> None:
    principal = Principal.staff(
        "li", Assignment("seller", frozenset({"a"})), Assignment("auditor", frozenset({"b", "c"}))
    )

    assert principal.reach("read", GRANTS).stores == {"a", "b", "c"}
    assert principal.reach("write", GRANTS).stores == {"a"}
    assert "b" not in principal.reach("write", GRANTS)


def test_one_role_for_the_group_is_enough_for_every_store() -> None:
    principal = Principal.staff("li", Assignment("seller", frozenset({"a"})), Assignment("auditor", None))

    assert "anywhere" in principal.reach("read", GRANTS)
    assert "anywhere" not in principal.reach("write", GRANTS)


def test_a_role_that_nobody_knows_permits_nothing() -> None:
    assert not Principal.staff("li", Assignment("wizard", None)).reach("read", GRANTS)


def test_services_and_the_public_hold_no_permission() -> None:
    assert not Principal.service("sales").reach("read", GRANTS)
    assert not PUBLIC.reach("read", GRANTS)


def test_a_principal_tells_the_audit_trail_who_it_is() -> None:
    principal = Principal.staff("li.wei", Assignment("b", None), Assignment("a", None), Assignment("a", frozenset()))

    assert (principal.id, principal.staff_id, principal.roles) == ("staff/li.wei", "li.wei", ("a", "b"))
    assert (Principal.service("sales").id, Principal.service("sales").staff_id) == ("service:sales", "")
