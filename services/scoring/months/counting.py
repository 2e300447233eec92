"""Where counting and closing meet: a response is in a revision, or it is late; never both, and never neither.

Whoever changes responses of a month shares its lock until the end of the transaction; whoever closes the month takes
it alone. So what is counted was committed before the closing looked, or finds the closed month afterwards. The lock
comes last, after those of the responses: nobody who holds it waits for anything but other months, which are taken in
their order.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.engine import raw_connection
from scoring.grades.values import Response

_MONTHS = 0x6D6F6E  # "mon" in ASCII: the class of these locks, away from those of single responses
_SHARE = "select pg_advisory_xact_lock_shared($1, month) from unnest($2::int[]) as month"
_TAKE = "select pg_advisory_xact_lock($1, $2)"
# A statement of its own, after the lock: it sees the revision of a closing that this transaction waited for.
_TOUCH = """
insert into touched_response (month, store_id, response_id)
select month, store_id, response_id from unnest($1::text[], $2::text[], $3::uuid[]) as one(month, store_id, response_id)
where exists (select 1 from month_revision where month_revision.month = one.month)
order by 1, 2, 3
on conflict do nothing
"""


async def hold_open(session: AsyncSession, months: Iterable[str]) -> None:
    """None of these months is closed or re-opened before this transaction ends; waits for one that is."""
    connection = await raw_connection(session)
    await connection.execute(_SHARE, _MONTHS, sorted({_number(month) for month in months}))


async def take(session: AsyncSession, month: str) -> None:
    """Nothing of this month is counted, closed or re-opened by anybody else before this transaction ends."""
    connection = await raw_connection(session)
    await connection.execute(_TAKE, _MONTHS, _number(month))


async def touch(session: AsyncSession, responses: Iterable[Response]) -> None:
    """Notes those that belong, or belonged, to a closed month; their months are held open by this transaction."""
    places = sorted({(*response.place, response.id) for response in responses})
    connection = await raw_connection(session)
    await connection.execute(
        _TOUCH, [month for month, _, _ in places], [store for _, store, _ in places], [one for _, _, one in places]
    )


def _number(month: str) -> int:
    return int(month.replace("-", ""))
