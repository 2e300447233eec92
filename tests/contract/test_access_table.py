"""The hand-written table of roles and methods against the decision that every service enforces."""

from __future__ import annotations

import csv
import importlib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from dealerloop import options_pb2
from dealership.roles import GRANTS, GROUP_ROLES, REGION_ROLES, STORE_ROLES
from kit.errors import PermissionDenied
from kit.rpc.access import AccessRule, ContractError, Decision, Place, authorise, method_name, rules_of
from kit.rpc.principal import PUBLIC, Assignment, Principal

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("access.csv")
STORE, FOREIGN = "bj-01", "sh-01"
CODES = {
    "GM": "ROLE_GENERAL_MANAGER",
    "SM": "ROLE_SALES_MANAGER",
    "SC": "ROLE_SALES_CONSULTANT",
    "IC": "ROLE_INFORMATION_CLERK",
    "SV": "ROLE_SHOWROOM_SUPERVISOR",
    "CM": "ROLE_CARE_MANAGER",
    "CS": "ROLE_CARE_SPECIALIST",
    "AM": "ROLE_AFTERSALES_MANAGER",
    "SA": "ROLE_SERVICE_ADVISOR",
    "SD": "ROLE_SERVICE_DESK_SUPERVISOR",
    "TE": "ROLE_TECHNICIAN",
    "WC": "ROLE_WARRANTY_CLERK",
    "PK": "ROLE_PARTS_KEEPER",
    "IN": "ROLE_INSURANCE_SPECIALIST",
    "UC": "ROLE_USED_CAR_APPRAISER",
    "FM": "ROLE_FINANCE_MANAGER",
    "PY": "ROLE_PAYROLL",
    "RM": "ROLE_REGIONAL_MANAGER",
    "QM": "ROLE_GROUP_QUALITY_MANAGER",
    "RP": "ROLE_REPORTING_CLIENT",
    "AD": "ROLE_ADMINISTRATOR",
}
PLACED = STORE_ROLES | REGION_ROLES


class Cell(NamedTuple):
    """One row and one column of the table."""

    rule: AccessRule
    request: Message
    role: str
    mark: str

    def decide(self, principal: Principal) -> Decision | None:
        try:
            return authorise(self.rule, principal, self.request, GRANTS)
        except PermissionDenied:
            return None


@cache
def services() -> tuple[ServiceDescriptor, ...]:
    found: list[ServiceDescriptor] = []
    for file in sorted((ROOT / "gen" / "dealerloop").rglob("*_pb2.py")):
        module = importlib.import_module(".".join(file.relative_to(ROOT / "gen").with_suffix("").parts))
        found += module.DESCRIPTOR.services_by_name.values()
    return tuple(found)


@cache
def table() -> dict[str, dict[str, str]]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    rows = [{(key or "").strip(): value.strip() for key, value in row.items()} for row in csv.DictReader(lines)]
    names = [row.pop("method") for row in rows]
    assert len(set(names)) == len(names), "a method stands in the table twice"
    return {full_name(name): row for name, row in zip(names, rows, strict=True)}


def full_name(name: str) -> str:
    package, _, method = name.rpartition(".")
    return f"dealerloop.{package}.v1.{method}"


def about(rule: AccessRule, store: str) -> Message:
    """A request that names this store wherever the method looks for it."""
    (method,) = (m for service in services() for m in service.methods if method_name(m) == rule.method)
    request = GetMessageClass(method.input_type)()
    *parents, last = rule.address.split(".")
    target = request
    for parent in parents:
        target = getattr(target, parent)
    if last:
        setattr(target, last, f"stores/{store}/things/1")
    return request


@cache
def cells() -> tuple[Cell, ...]:
    rules = rules_of(services())
    return tuple(
        Cell(rules[method], about(rules[method], STORE), CODES[code], mark)
        for method, row in table().items()
        for code, mark in row.items()
        if code in CODES
    )


def holding(role: str, *stores: str) -> Principal:
    return Principal.staff("somebody", Assignment(role, frozenset(stores) if stores else None))


def wrong(found: list[Cell]) -> list[str]:
    return [f"{cell.rule.method} as {cell.role}, the table says {cell.mark!r}" for cell in found]


def test_the_table_has_a_row_for_every_method_and_a_column_for_every_role() -> None:
    assert set(table()) == set(rules_of(services()))
    assert sorted(CODES.values()) == sorted(GRANTS)
    for method, row in table().items():
        assert set(row) == {*CODES, "service", "public"}, method
        assert set(row.values()) <= {"x", "g", "."}, method


def test_a_role_held_in_a_store_may_do_there_what_the_table_says() -> None:
    placed = [cell for cell in cells() if cell.role in PLACED]

    assert not wrong([c for c in placed if (c.decide(holding(c.role, STORE)) is not None) is not (c.mark == "x")])


def test_a_role_held_for_the_group_may_do_everywhere_what_the_table_says() -> None:
    grouped = [cell for cell in cells() if cell.role in GROUP_ROLES]

    assert not wrong([c for c in grouped if (c.decide(holding(c.role)) is not None) is not (c.mark in {"x", "g"})])


def test_nobody_may_do_anything_in_a_foreign_store() -> None:
    for cell in cells():
        decision = cell.decide(holding(cell.role, FOREIGN))
        if cell.rule.place is Place.PUBLIC:
            continue
        if cell.rule.place in {Place.REACH, Place.SELF}:
            # Answers are limited to the caller's own stores: the database itself shows no other row.
            assert decision is None or not decision.scope.covers(STORE), cell
        else:
            assert decision is None, cell


def test_a_refusal_is_the_same_whether_the_store_exists_or_not() -> None:
    for cell in cells():
        if cell.rule.place is not Place.STORE:
            continue
        refusals = set()
        for store in (STORE, "no-such-store"):
            with pytest.raises(PermissionDenied) as refused:
                authorise(cell.rule, holding(cell.role, FOREIGN), about(cell.rule, store), GRANTS)
            refusals.add((refused.value.reason, str(refused.value), tuple(refused.value.metadata)))
        assert len(refusals) == 1


def test_somebody_without_any_role_may_do_nothing_but_see_himself() -> None:
    nobody = Principal.staff("somebody")
    allowed = {cell.rule.place for cell in cells() if cell.decide(nobody) is not None}

    assert allowed == {Place.SELF, Place.PUBLIC}


def test_a_role_that_nobody_knows_carries_nothing() -> None:
    invented = holding("ROLE_EMPEROR")
    allowed = {cell.rule.place for cell in cells() if cell.decide(invented) is not None}

    assert allowed == {Place.SELF, Place.PUBLIC}


def test_services_and_the_public_may_do_what_the_table_says() -> None:
    rules = rules_of(services())
    for method, row in table().items():
        request = about(rules[method], STORE)
        service = Cell(rules[method], request, "service", row["service"])
        public = Cell(rules[method], request, "public", row["public"])

        assert (service.decide(Principal.service("sales")) is not None) is (service.mark == "x"), method
        assert (public.decide(PUBLIC) is not None) is (public.mark == "x"), method
        # Somebody who is not signed in arrives with the gateway's own token, and opens no more than that.
        if rules[method].place is Place.PUBLIC:
            decision = public.decide(Principal.service("gateway"))
            assert decision is not None
            assert decision.principal is PUBLIC


@pytest.mark.parametrize("service", services(), ids=lambda service: service.full_name)
def test_a_method_without_an_access_option_is_found(service: ServiceDescriptor) -> None:
    for method in service.methods:
        copy = without_access(service, method.name)

        with pytest.raises(ContractError, match=method_name(method)):
            rules_of([copy])


def without_access(service: ServiceDescriptor, method: str) -> ServiceDescriptor:
    """The service from a copy of its descriptors in which one method has lost its access option."""
    pool = DescriptorPool()
    added: set[str] = set()

    def load(descriptor: FileDescriptor) -> None:
        if descriptor.name in added:
            return
        for dependency in descriptor.dependencies:
            load(dependency)
        file = FileDescriptorProto()
        descriptor.CopyToProto(file)
        for each in file.service:
            for one in each.method:
                if (descriptor.name, each.name, one.name) == (service.file.name, service.name, method):
                    extension: Any = options_pb2.access
                    one.options.ClearExtension(extension)
        pool.Add(file)
        added.add(file.name)

    load(service.file)
    return pool.FindServiceByName(service.full_name)
