"""Reading the catalogue of policies and plans."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from aftersales.warranty.model import Plan, Policy
from aftersales.warranty.values import Catalogue


async def catalogue(session: AsyncSession) -> Catalogue:
    """Return every version of every policy and plan: a few rows of configuration, two queries."""
    policies = (await session.scalars(select(Policy))).unique().all()
    plans = (await session.scalars(select(Plan))).all()
    return Catalogue(tuple(policy.value() for policy in policies), tuple(plan.value() for plan in plans))
