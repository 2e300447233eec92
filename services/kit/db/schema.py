"""Whether the database is as new as the program; answered without loading Alembic."""

import importlib
import re
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kit.db.engine import Database
from kit.db.scope import Scope

_REVISION_FILE = re.compile(r"(\d{4})_\w+\.py")
_NO_SUCH_TABLE = "42P01"


class SchemaBehindError(Exception):
    """The database lacks migrations that this program needs; the message says what to run."""


def newest_revision(package: str) -> str:
    """Return the highest number among `<package>/migrations/versions/NNNN_human_name.py`; "" when there is none."""
    module = importlib.import_module(f"{package}.migrations")
    names = (path.name for path in (Path(next(iter(module.__path__))) / "versions").iterdir())
    return max((match[1] for name in names if (match := _REVISION_FILE.fullmatch(name))), default="")


async def require_schema(database: Database, package: str, service: str) -> None:
    """Refuse to work on a database that is older than the program; newer is fine, as in every rollout.

    Raises SchemaBehindError.
    """
    wanted = newest_revision(package)
    found = await _revision(database)
    if found < wanted:
        raise SchemaBehindError(
            f"The database of {service} is at revision {found or 'none'}, and {wanted} is needed: "
            f"run `python -m {service} migrate` first."
        )


async def _revision(database: Database) -> str:
    try:
        async with database.transaction(Scope.system("schema check"), read_only=True) as session:
            return str((await session.execute(text("SELECT max(version_num) FROM alembic_version"))).scalar() or "")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _NO_SUCH_TABLE:
            return ""
        raise
