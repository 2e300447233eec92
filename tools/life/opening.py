"""The first morning: the administrator opens regions, stores and accounts."""

from __future__ import annotations

from tools.life.api import Api
from tools.life.group import Colleague, GroupPlan, StorePlan

ADMIN = "admin"


def open_group(api: Api, group: GroupPlan, password: str) -> None:
    """Everything that must be there before the first customer comes."""
    for region, name in group.regions.items():
        api.post(ADMIN, "/v1/regions", {"displayName": name}, regionId=region)
    for store in group.stores:
        _open_store(api, store, password)
    for colleague in group.above():
        api.post(ADMIN, "/v1/staff", _account(colleague, password), staffId=colleague.account)


def _open_store(api: Api, store: StorePlan, password: str) -> None:
    body = {"displayName": store.name, "region": f"regions/{store.region}", "timeZone": store.zone.key}
    api.post(ADMIN, "/v1/stores", body, storeId=store.id)
    for colleague in store.everybody():
        api.post(ADMIN, f"/v1/{store.resource}/staff", _account(colleague, password), staffId=colleague.account)


def _account(colleague: Colleague, password: str) -> dict[str, object]:
    role = {"role": colleague.role} | ({"place": colleague.place} if colleague.place else {})
    return {"displayName": colleague.name, "password": password, "roles": [role]}
