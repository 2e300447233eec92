"""What our migration helpers need of Alembic: satisfied by the module `alembic.op` and by `Operations`."""

from typing import Protocol

from sqlalchemy import Connection


class MigrationOperations(Protocol):
    """The running migration."""

    def execute(self, sqltext: str) -> None:
        """Run one SQL statement."""
        ...

    def get_bind(self) -> Connection:
        """Return the connection of the migration."""
        ...
