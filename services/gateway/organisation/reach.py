"""Looking past the row scope of a call, for the two questions that are about the whole group."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.scope import SETTING, Scope


@asynccontextmanager
async def whole_group(session: AsyncSession, reason: str) -> AsyncIterator[None]:
    """See every store's rows inside the block, then what the call may see again.

    For the caller's own account, which may belong to no store or to another one, and for the existence of the places
    that an administrator of the group names. What is changed inside must be flushed inside.
    """
    before = await session.scalar(sa.select(sa.func.current_setting(SETTING)))
    await session.execute(sa.select(sa.func.set_config(SETTING, Scope.system(reason).setting, True)))
    yield
    # After an error the transaction is rolled back, and the setting with it.
    await session.execute(sa.select(sa.func.set_config(SETTING, before, True)))
