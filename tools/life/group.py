"""Who works where: the group as it is before its first day."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from tools.life import names
from tools.life.chance import Chance

LARGEST: Final = 60
"""Stores that names can be found for."""
_ONE_OF_EACH: Final = {
    "gm": "ROLE_GENERAL_MANAGER",
    "sales-manager": "ROLE_SALES_MANAGER",
    "clerk": "ROLE_INFORMATION_CLERK",
    "care-manager": "ROLE_CARE_MANAGER",
    "specialist": "ROLE_CARE_SPECIALIST",
    "service-manager": "ROLE_AFTERSALES_MANAGER",
    "advisor": "ROLE_SERVICE_ADVISOR",
}
_CONSULTANT: Final = "ROLE_SALES_CONSULTANT"


@dataclass(frozen=True)
class Colleague:
    """A member of the staff; `account` is user name and staff id."""

    account: str
    name: str
    role: str
    place: str = ""


@dataclass(frozen=True)
class StorePlan:
    """A store with its people, and how well it does: the true satisfaction that its customers' marks come from."""

    id: str
    name: str
    region: str
    zone: ZoneInfo
    staff: dict[str, Colleague]
    consultants: list[Colleague]
    satisfaction: dict[str, float]
    weak_factor: str
    deliveries_a_day: float
    chance: Chance = field(compare=False)

    @property
    def resource(self) -> str:
        """`stores/{store}`."""
        return f"stores/{self.id}"

    def staff_name(self, colleague: Colleague) -> str:
        """`stores/{store}/staff/{staff}`."""
        return f"{self.resource}/staff/{colleague.account}"

    def everybody(self) -> list[Colleague]:
        """All people of the store."""
        return [*self.staff.values(), *self.consultants]


@dataclass(frozen=True)
class GroupPlan:
    """Regions, stores and the people above them."""

    seed: int
    regions: dict[str, str]
    stores: list[StorePlan]
    quality_manager: Colleague
    others: list[Colleague]

    def above(self) -> list[Colleague]:
        """Everybody who belongs to no store."""
        return [self.quality_manager, *self.others]


def plan(seed: int, stores: int, *, consultants: int = 3, deliveries_a_day: float = 2.4) -> GroupPlan:
    """The group that follows from a seed."""
    chance = Chance(seed)
    made = [_store(chance, number, consultants, deliveries_a_day) for number in range(stores)]
    regions = {store.region: names.REGIONS[store.region] for store in made}
    managers = [
        Colleague(f"{region}-manager", names.person(chance, region), "ROLE_REGIONAL_MANAGER", f"regions/{region}")
        for region in regions
    ]
    quality = Colleague("quality", names.person(chance, "quality"), "ROLE_GROUP_QUALITY_MANAGER", "group")
    reports = Colleague("reports", "报表系统", "ROLE_REPORTING_CLIENT", "group")
    return GroupPlan(seed, regions, made, quality, [*managers, reports])


def _store(group: Chance, number: int, consultants: int, deliveries_a_day: float) -> StorePlan:
    store_id, name, place = names.store(number)
    chance = group.about(store_id)
    staff = {job: Colleague(f"{job}.{store_id}", names.person(chance, job), role) for job, role in _ONE_OF_EACH.items()}
    sellers = [
        Colleague(f"consultant-{index}.{store_id}", names.person(chance, f"consultant {index}"), _CONSULTANT)
        for index in range(1, consultants + 1)
    ]
    level = chance.normal("satisfaction", 5.95, 0.2)
    return StorePlan(
        id=store_id,
        name=name,
        region=place.region,
        zone=ZoneInfo(place.time_zone),
        staff=staff,
        consultants=sellers,
        satisfaction={one.account: chance.about(one.account).normal("satisfaction", level, 0.3) for one in sellers},
        weak_factor=chance.pick("weak factor", ("SSI.INIT", "SSI.FAC", "SSI.DEAL", "SSI.DLV")),
        deliveries_a_day=deliveries_a_day * chance.normal("size", 1.0, 0.15),
        chance=chance,
    )
