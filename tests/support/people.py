"""The people of the stores in tests, as the gateway tells of them."""

from __future__ import annotations

from collections.abc import Iterable

from dealerloop.gateway.events.v1.events_pb2 import StaffChanged
from dealerloop.gateway.v1.organisation_pb2 import RoleAssignment, StaffFacts

CONSULTANT = "ROLE_SALES_CONSULTANT"
# Who works in every store of a test unless it says otherwise.
PEOPLE = {
    "li-lei": CONSULTANT,
    "han-mei": CONSULTANT,
    "lucy": CONSULTANT,
    "wang-gm": "ROLE_GENERAL_MANAGER",
    "zhao-care": "ROLE_CARE_MANAGER",
    "sun-care": "ROLE_CARE_SPECIALIST",
    "qian-sales": "ROLE_SALES_MANAGER",
    "li-workshop": "ROLE_AFTERSALES_MANAGER",
    "wu-finance": "ROLE_FINANCE_MANAGER",
}
OF_THE_GROUP = {"zhou-group": "ROLE_GROUP_QUALITY_MANAGER"}


def member(
    staff_id: str,
    *held: tuple[str, str],
    home: str = "",
    name: str = "",
    active: bool = True,
    version: int = 1,
) -> StaffFacts:
    """Somebody with these roles, each with its place; of a store, or of the group or a region without a home."""
    return StaffFacts(
        staff_id=staff_id,
        version=version,
        store_id=home,
        display_name=name or staff_id,
        active=active,
        roles=[RoleAssignment(role=role, place=place) for role, place in held],
    )


def colleague(staff_id: str, store_id: str, role: str = CONSULTANT, **fields: object) -> StaffFacts:
    """Somebody who belongs to a store and holds one role there."""
    return member(staff_id, (role, f"stores/{store_id}"), home=store_id, **fields)  # type: ignore[arg-type]


def everybody(*store_ids: str, people: Iterable[str] = PEOPLE) -> list[StaffFacts]:
    """These people, at home in the first store and with the same role in every one, and those of the group."""
    if not store_ids:
        return []
    home = store_ids[0]
    here = [member(one, *((PEOPLE[one], f"stores/{store}") for store in store_ids), home=home) for one in people]
    return [*here, *(member(one, (role, "group")) for one, role in OF_THE_GROUP.items())]


def changed(facts: StaffFacts) -> StaffChanged:
    """The event of a change."""
    return StaffChanged(staff_id=facts.staff_id, staff=facts)
