"""Cadence templates: finding, writing and publishing versions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.cadences.content import content_of
from customer_care.cadences.model import CadenceTemplateRow, CadenceVersionRow, version_of
from customer_care.cadences.rules import check, publishable
from customer_care.cadences.values import Step, TemplateVersion, VersionState
from customer_care.surveys.catalogue import QuestionnaireCatalogue
from kit.clock import Clock
from kit.db.paging import decode_token, encode_token, keyset, page_size, query_hash, split
from kit.errors import NotFound

# Taken by everything that plans and by publication, one at a time: a plan sees either the first service or is seen by
# it, and a delivery is planned by the version that was in force when it was recorded. "plan" in ASCII.
_PLANNING_LOCK = 0x706C616E
_LARGEST_PAGE = 200


class CadenceNotFound(NotFound):
    """There is no such template, or no such version of it."""

    reason = "CADENCE_NOT_FOUND"


async def lock_planning(session: AsyncSession) -> None:
    """Wait until nobody else plans or publishes, and keep it so until this transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _PLANNING_LOCK})


class CadenceCatalogue:
    """Versions of cadence templates; published ones are kept in memory, because they never change."""

    def __init__(self, questionnaires: QuestionnaireCatalogue, clock: Clock) -> None:
        self._questionnaires = questionnaires
        self._clock = clock
        self._published: dict[tuple[str, int], TemplateVersion] = {}

    async def published(self, session: AsyncSession, template: str) -> list[TemplateVersion]:
        """Return all published versions of a template, in the order of their publication."""
        row = CadenceVersionRow
        query = select(row.number).where(row.template == template, row.state == VersionState.PUBLISHED.value)
        numbers = (await session.scalars(query.order_by(row.publish_time, row.number))).all()
        return list((await self.get_many(session, [(template, number) for number in numbers])).values())

    async def get_many(
        self, session: AsyncSession, keys: Sequence[tuple[str, int]]
    ) -> dict[tuple[str, int], TemplateVersion]:
        """Return published versions by (template, number); one query for those that were not read before."""
        missing = {key for key in keys if key not in self._published}
        if missing:
            row = CadenceVersionRow
            query = select(row).where(row.template.in_({key[0] for key in missing}), row.state == "PUBLISHED")
            for found in await session.scalars(query):
                self._published[found.template, found.number] = version_of(found)
        return {key: self._published[key] for key in keys}

    async def get(self, session: AsyncSession, template: str, number: int) -> TemplateVersion:
        """Return one version, published or not. Raises CadenceNotFound."""
        row = await session.get(CadenceVersionRow, (template, number))
        if row is None:
            raise CadenceNotFound("there is no such version of a cadence template")
        return version_of(row)

    async def versions(
        self, session: AsyncSession, template: str, size: int, token: str
    ) -> tuple[list[TemplateVersion], str]:
        """Return a page of versions, newest first, and the token of the next one. Raises CadenceNotFound."""
        if await session.get(CadenceTemplateRow, template) is None:
            raise CadenceNotFound("there is no such cadence template")
        digest = query_hash("cadences", template)
        limit = page_size(size, largest=_LARGEST_PAGE)
        query = select(CadenceVersionRow).where(CadenceVersionRow.template == template)
        query = keyset(query, [CadenceVersionRow.number], decode_token(token, digest), limit, descending=True)
        rows, last = split((await session.scalars(query)).all(), limit)
        next_token = encode_token([last.number], digest) if last is not None else ""
        return [version_of(row) for row in rows], next_token

    async def create(
        self, session: AsyncSession, template: str, steps: Sequence[Step], now: datetime
    ) -> TemplateVersion:
        """Write a draft with the next number. Raises CadenceNotFound, CadenceInvalid."""
        check(steps, await self._questionnaires.codes(session), "cadence_template_version.")
        # The row of the template gives out the numbers: two drafts at once get different ones.
        counted = (
            update(CadenceTemplateRow)
            .where(CadenceTemplateRow.template == template)
            .values(last_number=CadenceTemplateRow.last_number + 1)
            .returning(CadenceTemplateRow.last_number)
        )
        number = (await session.execute(counted)).scalar_one_or_none()
        if number is None:
            raise CadenceNotFound("there is no such cadence template")
        row = CadenceVersionRow(
            template=template,
            number=number,
            state=VersionState.DRAFT.value,
            steps=[content_of(step) for step in steps],
            create_time=now,
            publish_time=None,
        )
        session.add(row)
        await session.flush()
        return version_of(row)

    async def publish(self, session: AsyncSession, template: str, number: int) -> TemplateVersion:
        """Bring a draft into force. Raises CadenceNotFound, CadenceAlreadyPublished.

        The time is taken after the planning lock was got: whatever was planned before it was recorded before it too.
        """
        await lock_planning(session)
        row = await session.get(CadenceVersionRow, (template, number), with_for_update=True)
        if row is None:
            raise CadenceNotFound("there is no such version of a cadence template")
        publishable(VersionState(row.state))
        row.state = VersionState.PUBLISHED.value
        row.publish_time = self._clock.now()
        await session.flush()
        return version_of(row)
