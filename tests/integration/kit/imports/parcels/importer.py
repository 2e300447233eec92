"""The list of parcels: a code that is there once, a day, a weight, an owner; in the group's files also the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import raw_connection
from kit.imports.values import Draft, Field, FieldKind, Remark, Row, rejected, warning

TAKEN = rejected("code", "CODE_TAKEN", "This parcel is here already.")
_HEAVY = 1_000


class ParcelChecker:
    def __init__(self, store_id: str) -> None:
        self._store_id = store_id

    def check(self, row: Row) -> tuple[Draft | None, list[Remark]]:
        store = self._store_id or row.text("store")
        if store not in {"bj-01", "sh-01"}:
            return None, [rejected("store", "STORE_UNKNOWN", "There is no such store.")]
        weight = row.values.get("weight")
        remarks = [warning("weight", "HEAVY", "This is heavy.")] if isinstance(weight, int) and weight > _HEAVY else []
        day = row.values["day"]
        assert isinstance(day, date)
        payload = orjson.dumps({"code": row.text("code"), "day": day, "weight": weight})
        return Draft(row.number, store, row.text("code"), day.isoformat(), payload), remarks


class ParcelImporter:
    imports = "parcelImports"
    mappings = "parcelMappings"
    fields: Sequence[Field] = (
        Field("code", synonyms=("单号",), required=True),
        Field("day", FieldKind.DAY, ("日期",), required=True),
        Field("weight", FieldKind.WHOLE_NUMBER, ("重量",), units=("kg",)),
        Field("owner", synonyms=("姓名",), personal=True),
        Field("store", synonyms=("门店",), required_for_group=True),
    )
    duplicate = rejected("code", "CODE_TWICE", "The parcel stands in another row of this file too.")

    def __init__(self) -> None:
        self.fail_at_code = ""
        self.while_preparing: Callable[[], Awaitable[object]] | None = None

    async def prepare(self, session: AsyncSession, store_id: str, now: datetime) -> ParcelChecker:  # noqa: ARG002 - the protocol's shape
        if self.while_preparing is not None:
            await self.while_preparing()
        return ParcelChecker(store_id)

    async def refused(self, session: AsyncSession, drafts: Sequence[Draft]) -> Mapping[int, Remark]:
        raw = await raw_connection(session)
        rows = await raw.fetch("SELECT code FROM parcel WHERE code = ANY ($1)", [one.key for one in drafts])
        taken = {row[0] for row in rows}
        return {one.row: TAKEN for one in drafts if one.key in taken}

    async def take(
        self,
        session: AsyncSession,
        drafts: Sequence[Draft],
        source: str,
        now: datetime,  # noqa: ARG002 - the protocol's shape
    ) -> Mapping[int, Remark]:
        contents = [orjson.loads(one.payload) for one in drafts]
        if self.fail_at_code and any(one["code"] == self.fail_at_code for one in contents):
            raise RuntimeError("the importer broke")
        raw = await raw_connection(session)
        rows = await raw.fetch(
            "INSERT INTO parcel (code, store_id, day, weight, source)"
            " SELECT *, $5 FROM unnest($1::text[], $2::text[], $3::date[], $4::bigint[]) ORDER BY 1"
            " ON CONFLICT DO NOTHING RETURNING code",
            [one["code"] for one in contents],
            [one.store_id for one in drafts],
            [date.fromisoformat(one["day"]) for one in contents],
            [one["weight"] for one in contents],
            source,
        )
        new = {row[0] for row in rows}
        return {one.row: TAKEN for one in drafts if one.key not in new}
