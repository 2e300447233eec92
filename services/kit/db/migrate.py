"""Migrations: Alembic without an env.py, one migrator at a time, never waiting long for a lock."""

import asyncio
import importlib
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from kit.clock import SharedClock
from kit.db.operations import MigrationOperations
from kit.db.scope import SETTING

log = structlog.get_logger()

ROLE_SETTING = "dealerloop.service_role"
SIMULATION_SETTING = "dealerloop.simulation_start"
"""The instant at which a simulation begins, for the migration that makes its databases; not set otherwise."""
# "deal" in ASCII: one number for the advisory lock, the same in every service's own database.
_LOCK = 0x6465616C
_WAIT_FOR_OTHER_MIGRATOR = "120s"
_WAIT_FOR_TABLE = "5s"


class MigrationError(Exception):
    """The package has no migrations, or the database's revision is unknown."""


def upgrade(
    migration_url: str,
    package: str,
    *,
    revision: str = "head",
    service_role: str = "",
    clock_file: Path | None = None,
) -> None:
    """Bring the database of this service up to `revision`, as the owner role; safe to run twice or at once.

    Blocks; may be called inside a running event loop too (it then works in a thread of its own).
    `service_role` names the role that gets the grants when the convention does not fit. With a `clock_file` an empty
    database becomes that of a simulation; one that has its tables already stays what it is. Raises ClockFileError.
    """
    start = SharedClock(clock_file).now() if clock_file is not None else None
    _run_blocking(
        lambda: asyncio.run(upgrade_async(migration_url, package, revision, service_role, simulation_start=start))
    )


async def upgrade_async(
    migration_url: str,
    package: str,
    revision: str = "head",
    service_role: str = "",
    *,
    simulation_start: datetime | None = None,
) -> None:
    """Do the same inside an event loop."""
    scripts = _scripts(package)
    engine = create_async_engine(_driver_url(migration_url), poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT set_config('lock_timeout', :wait, false)"), _wait_for_other())
            await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            settings = {
                "lock_timeout": _WAIT_FOR_TABLE,
                # Row-level security is forced on the owner too: back-fills see every store.
                SETTING: "group",
                "client_min_messages": "warning",
            }
            if service_role:
                settings[ROLE_SETTING] = service_role
            if simulation_start is not None:
                settings[SIMULATION_SETTING] = simulation_start.isoformat()
            for name, value in settings.items():
                await connection.execute(
                    text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value}
                )
            await connection.commit()
            await connection.run_sync(_upgrade, scripts, revision)
            await connection.commit()
    finally:
        # The advisory lock ends with its connection.
        await engine.dispose()


def head_of(package: str) -> str:
    """Return the newest revision that the package's code knows."""
    head = _scripts(package).get_current_head()
    if head is None:
        raise MigrationError(f"{package} has no migrations")
    return head


def knows(package: str, revision: str) -> bool:
    """Whether the package's code has that revision; an older program meets newer ones during a rollout."""
    return any(script.revision == revision for script in _scripts(package).walk_revisions())


def service_role(op: MigrationOperations) -> str:
    """Return the role under which the service works: what the setting says, else `<service>_app`.

    By convention the owner role is `<service>_owner`; with another owner the name follows the database's.
    """
    row = op.get_bind().execute(
        text("SELECT current_setting(:setting, true), current_user, current_database()"), {"setting": ROLE_SETTING}
    )
    configured, owner, database = row.one()
    if configured:
        return str(configured)
    if owner.endswith("_owner"):
        return str(owner).removesuffix("_owner") + "_app"
    return f"{database}_app"


def _upgrade(connection: Connection, scripts: ScriptDirectory, revision: str) -> None:
    config = Config()
    context = EnvironmentContext(config, scripts)

    def steps(current: Any, _context: Any) -> list[Any]:
        # What alembic's own upgrade command calls; it has no public name.
        return scripts._upgrade_revs(revision, current)

    def applied(ctx: Any, step: Any, heads: Any, run_args: Any, **_: Any) -> None:  # noqa: ARG001 - passed by name
        log.info("migration.applied", revision=step.up_revision_id)

    context.configure(connection=connection, transaction_per_migration=True, fn=steps, on_version_apply=applied)
    with context.begin_transaction():
        context.run_migrations()
    role = _role_now(connection)
    connection.execute(text(f'GRANT SELECT ON alembic_version TO "{role}"'))


def _role_now(connection: Connection) -> str:
    from alembic.runtime.migration import MigrationContext

    return service_role(Operations(MigrationContext.configure(connection)))


def _scripts(package: str) -> ScriptDirectory:
    try:
        module = importlib.import_module(f"{package}.migrations")
    except ModuleNotFoundError:
        raise MigrationError(f"{package} has no package {package}.migrations") from None
    directory = Path(next(iter(module.__path__)))
    return ScriptDirectory(str(directory), version_locations=[str(directory / "versions")])


def _wait_for_other() -> dict[str, str]:
    return {"wait": _WAIT_FOR_OTHER_MIGRATOR}


def _driver_url(url: str) -> str:
    from kit.db.engine import driver_url

    return driver_url(url)


def _run_blocking(work: Callable[[], None]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        work()
        return
    failure: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            # Carried to the calling thread.
            failure.append(error)

    thread = threading.Thread(target=guarded, name="migrate")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
