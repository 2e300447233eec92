"""A desk at which a test brings lists of parcels in, over the real edge and a real database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from dealerloop.imports.v1 import imports_pb2 as pb
from kit.clock import ManualClock
from kit.db.engine import raw_connection
from kit.db.scope import Scope
from kit.imports.rpc import ImportEdge
from kit.imports.runner import ImportRunner
from kit.imports.values import Limits
from kit.rpc.edge import Call
from kit.rpc.principal import Principal
from kit.service import KitContext
from tests.integration.kit.imports.parcels.importer import ParcelImporter

STORE = "bj-01"
LIMITS = Limits(batch_rows=3, remarks=50)
R = TypeVar("R")
Request = TypeVar("Request")


class Desk:
    """Calls the edge as somebody of one store, or of the group when `store_id` is empty, and runs the work."""

    def __init__(self, context: KitContext, clock: ManualClock, store_id: str = STORE) -> None:
        self.context = context
        self.clock = clock
        self.store_id = store_id
        self.importer = ParcelImporter()
        self.edge = ImportEdge(self.importer, context.vault, LIMITS)
        self.runner = self.another_runner()

    @property
    def parent(self) -> str:
        return f"stores/{self.store_id}" if self.store_id else ""

    def another_runner(self) -> ImportRunner:
        return ImportRunner(self.context, [self.importer], LIMITS)

    async def call(self, method: Callable[[Call, Request], Awaitable[R]], request: Request) -> R:
        scope = Scope.store(self.store_id) if self.store_id else Scope.group()
        async with self.context.database.transaction(scope) as session:
            call = Call(session, Principal.staff("li.wei"), scope, self.clock.now(), "test", self.store_id)
            return await method(call, request)

    async def open(self, **wanted: Any) -> pb.Import:
        request = pb.CreateImportRequest(parent=self.parent)
        getattr(request, "import").MergeFrom(pb.Import(**wanted))
        return await self.call(self.edge.create_import, request)

    async def append(self, name: str, data: bytes, offset: int = 0, *, last: bool = True) -> pb.Import:
        request = pb.AppendImportDataRequest(name=name, offset=offset, data=data, last=last)
        return await self.call(self.edge.append_import_data, request)

    async def bring(self, content: str | bytes, **wanted: Any) -> pb.Import:
        """Brings a file in and has all the work done that follows."""
        made = await self.open(**wanted)
        await self.append(made.name, content.encode() if isinstance(content, str) else content)
        await self.work()
        return await self.get(made.name)

    async def dry_run(self, content: str | bytes, **wanted: Any) -> pb.Import:
        return await self.bring(content, validate_only=True, **wanted)

    async def get(self, name: str) -> pb.Import:
        return await self.call(self.edge.get_import, pb.GetImportRequest(name=name))

    async def confirm(self, name: str, etag: str = "") -> pb.Import:
        return await self.call(self.edge.confirm_import, pb.ConfirmImportRequest(name=name, etag=etag))

    async def cancel(self, name: str) -> pb.Import:
        return await self.call(self.edge.cancel_import, pb.CancelImportRequest(name=name))

    async def work(self) -> None:
        while await self.runner.work_once():
            pass

    async def rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        async with self.context.database.transaction(Scope.system("test")) as session:
            return [tuple(row) for row in await (await raw_connection(session)).fetch(query, *arguments)]

    async def codes(self) -> list[str]:
        return [row[0] for row in await self.rows("SELECT code FROM parcel ORDER BY code")]

    async def left_behind(self) -> int:
        """Rows that may hold personal data of files."""
        counts = [await self.rows(f"SELECT count(*) FROM import_{part}") for part in ("piece", "batch", "key")]
        return sum(int(rows[0][0]) for rows in counts)
