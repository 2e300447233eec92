"""Care plans and first services from the snapshots of their owners, after one of them came back from a backup."""

from __future__ import annotations

from customer_care.cadences.service import lock_planning
from customer_care.care_plans.facts import delivery_of, first_service_of
from customer_care.care_plans.service import CarePlans
from customer_care.clients import Aftersales, Sales
from kit.clock import Clock
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.log import log

_AT_ONCE = 500


class Rebuild:
    """Reads a whole snapshot in one transaction that nobody plans beside.

    The owner may have lost its last changes, so that its versions went back: the snapshot is taken as it is, and not
    compared. Under the planning lock it is newer than every event that was handled before, and older than all after.
    What people did stays in any case, and so do plans of deliveries that the owner has lost.
    """

    def __init__(self, database: Database, care_plans: CarePlans, clock: Clock) -> None:
        self._database = database
        self._care_plans = care_plans
        self._clock = clock

    async def deliveries(self, sales: Sales) -> int:
        """Read every delivery; returns how many there are. Raises Unavailable."""
        count = 0
        async with self._database.transaction(Scope.system("rebuild of care plans")) as session:
            await lock_planning(session)
            async for chunk in sales.all_deliveries(_AT_ONCE):
                states = [delivery_of(facts) for facts in chunk]
                await self._care_plans.apply_deliveries(session, states, self._clock.now(), as_is=True)
                session.expunge_all()
                count += len(chunk)
        log.info("care_plans.rebuilt", deliveries=count)
        return count

    async def first_services(self, aftersales: Aftersales) -> int:
        """Read every first service; returns how many there are. Raises Unavailable."""
        count = 0
        async with self._database.transaction(Scope.system("rebuild of first services")) as session:
            await lock_planning(session)
            async for chunk in aftersales.all_first_services(_AT_ONCE):
                states = [first_service_of(facts) for facts in chunk]
                await self._care_plans.apply_first_services(session, states, {}, self._clock.now(), as_is=True)
                session.expunge_all()
                count += len(chunk)
        log.info("first_services.rebuilt", vehicles=count)
        return count
