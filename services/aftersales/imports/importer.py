"""Workshop visits for the engine of imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from aftersales.imports import rules, values
from aftersales.imports.checkers import VisitChecker
from aftersales.imports.values import unpack_visit
from aftersales.visits import service
from aftersales.visits.values import Draft as Visit
from dealership.stores import get_store
from kit.errors import DomainError
from kit.imports.values import Draft, Remark
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


def _visits(drafts: Sequence[Draft]) -> list[tuple[str, Visit]]:
    return [(draft.store_id, unpack_visit(draft.payload)) for draft in drafts]


def _remarks(drafts: Sequence[Draft], errors: Sequence[DomainError | None]) -> dict[int, Remark]:
    return {
        draft.row: rules.remarks_of(error)[0] for draft, error in zip(drafts, errors, strict=True) if error is not None
    }
