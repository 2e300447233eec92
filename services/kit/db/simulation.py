"""Whether the clock of a process and the time in its database belong together (ADR 16).

A shared clock in front of real data would date real work wrongly, and data from a time that has not come yet would
make the machine's clock go backwards for everything that waits. Both are refused before anything is served.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from kit.clock import Clock, SharedClock
from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.log import log

TOLERANCE: Final = timedelta(minutes=5)
"""By how much the machines of one system may differ."""
# Ids of the outbox carry their time: the newest row is the largest id.
_REACHED: Final = """
SELECT greatest(start_time, (SELECT create_time FROM outbox ORDER BY id DESC LIMIT 1)) FROM simulation
"""


class WrongClockError(Exception):
    """This process must not work on this database with this clock; the message says what to do."""


async def require_clock(database: Database, clock: Clock, service: str) -> None:
    """Refuse a shared clock on a database that is not a simulation's, and any clock that is behind its data.

    Raises WrongClockError.
    """
    async with database.transaction(Scope.system("clock check"), read_only=True) as session:
        reached: datetime | None = await (await raw_connection(session)).fetchval(_REACHED)
    shared, now = isinstance(clock, SharedClock), clock.now()
    if shared and reached is None:
        raise WrongClockError(
            f"DEALERLOOP_CLOCK_FILE is set, but the database of {service} is not a simulation's. "
            "Unset it, or migrate an empty database while it is set."
        )
    if reached is not None and reached > now + TOLERANCE:
        raise WrongClockError(
            f"The database of {service} belongs to a simulation that has reached {_words(reached)}, and "
            f"{'its clock stands at' if shared else 'the time is'} {_words(now)}. "
            "Start it with the clock file of that simulation (DEALERLOOP_CLOCK_FILE), or begin with an empty database."
        )
    if shared:
        log.warning("clock.shared", now=now.isoformat(timespec="seconds"))


def _words(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
