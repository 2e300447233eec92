"""Workshop visits for the engine of imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from aftersales.imports import rules, values
from aftersales.vehicles.values import VisitKind
from aftersales.visits import service
from aftersales.visits.values import Draft as Visit
from dealership.stores import get_store
from kit.errors import DomainError
from kit.imports.values import Draft, Remark, Row
from kit.rpc.client import Peer

CLOCK_SKEW: Final = timedelta(minutes=5)


class VisitImporter:
    """One store's list of finished visits."""

    imports = "visitImports"
    mappings = "visitMappings"
    fields = values.FIELDS
    duplicate = rules.DUPLICATE

    def __init__(self, gateway: Peer) -> None:
        self._gateway = gateway

    async def prepare(self, session: AsyncSession, store_id: str, now: datetime) -> VisitChecker:
        """Load the store's calendar."""
        store = await get_store(session, self._gateway, store_id)
        return VisitChecker(store_id, store.local_date(now + CLOCK_SKEW))

    async def refused(self, session: AsyncSession, drafts: Sequence[Draft]) -> Mapping[int, Remark]:
        """Look up what is recorded: visits that are there, and odometers that would run backwards."""
        return _remarks(drafts, await service.examine(session, _visits(drafts)))

    async def take(
        self,
        session: AsyncSession,
        drafts: Sequence[Draft],
        source: str,  # noqa: ARG002 - a visit does not say where it came from
        now: datetime,
    ) -> Mapping[int, Remark]:
        """Record the visits, each with its event."""
        return _remarks(drafts, await service.record_many(session, _visits(drafts), now))


class VisitChecker:
    """The rules of one file; `today` is the store's date."""

    def __init__(self, store_id: str, today: date) -> None:
        self._store_id = store_id
        self._today = today

    def check(self, row: Row) -> tuple[Draft | None, list[Remark]]:
        """Decide about a row by itself."""
        visit, remarks = rules.read(row, today=self._today)
        if visit is None:
            return None, remarks
        return Draft(row.number, self._store_id, rules.key(visit), "", encode(visit)), remarks


def encode(visit: Visit) -> bytes:
    """Return a visit as it waits for its confirmation."""
    return orjson.dumps(
        (visit.vin, visit.visit_date, visit.odometer_km, visit.kind, visit.next_due_date, visit.next_due_km)
    )


def decode(payload: bytes) -> Visit:
    """Return the visit that waited."""
    vin, day, odometer_km, kind, next_due, next_due_km = orjson.loads(payload)
    next_due_date = date.fromisoformat(next_due) if next_due else None
    return Visit(vin, date.fromisoformat(day), odometer_km, VisitKind(kind), next_due_date, next_due_km)


def _visits(drafts: Sequence[Draft]) -> list[tuple[str, Visit]]:
    return [(draft.store_id, decode(draft.payload)) for draft in drafts]


def _remarks(drafts: Sequence[Draft], errors: Sequence[DomainError | None]) -> dict[int, Remark]:
    return {
        draft.row: rules.remarks_of(error)[0] for draft, error in zip(drafts, errors, strict=True) if error is not None
    }
