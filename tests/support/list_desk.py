"""Lists of deliveries and customers, brought in by the people of sales through the real server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dealerloop.gateway.v1 import organisation_pb2
from dealerloop.imports.v1.imports_pb2 import (
    AppendImportDataRequest,
    ConfirmImportRequest,
    CreateImportRequest,
    GetImportRequest,
    Import,
    ListImportRowsRequest,
    ListImportRowsResponse,
    Mapping,
)
from dealership import stores
from kit.db.scope import Scope
from tests.support.deliveries import STORE
from tests.support.imports import text
from tests.support.one_service import OneService

PIECE = 1024 * 1024
Remark = tuple[int, str, str]


@dataclass(frozen=True)
class Desk:
    """Who brings lists of one kind, for a store or, without one, for the group."""

    sales: OneService
    kind: str = "Delivery"
    store: str = STORE

    @property
    def _service(self) -> str:
        return f"{self.kind}ImportService" if self.store else f"Group{self.kind}ImportService"

    @property
    def _parent(self) -> str:
        return f"stores/{self.store}" if self.store else ""

    def _token(self) -> str:
        if self.store:
            return self.sales.token("ROLE_INFORMATION_CLERK", self.store)
        return self.sales.token("ROLE_GROUP_QUALITY_MANAGER")

    async def _call(self, method: str, request: Any, response: Any = Import) -> Any:
        return await self.sales.call(f"{self._service}/{method}", request, response, token=self._token())

    async def bring(self, content: bytes, *, mapping: Mapping | None = None, **wanted: Any) -> Import:
        """Send a file, let it be worked on, and return what became of it; taken over at once unless told otherwise."""
        asked = Import(file_name="list.csv", mapping=mapping or Mapping(), **wanted)
        made = await self._call("CreateImport", _creation(self._parent, asked))
        for offset in range(0, len(content), PIECE):
            piece = content[offset : offset + PIECE]
            request = AppendImportDataRequest(
                name=made.name, offset=offset, data=piece, last=offset + PIECE >= len(content)
            )
            await self._call("AppendImportData", request)
        return await self.worked(made.name)

    async def rows(self, *table: Sequence[object], **wanted: Any) -> Import:
        """Send a small list, its headers first."""
        return await self.bring(text(table), **wanted)

    async def confirm(self, name: str) -> Import:
        """Take over what the dry run showed."""
        await self._call("ConfirmImport", ConfirmImportRequest(name=name))
        return await self.worked(name)

    async def worked(self, name: str) -> Import:
        """The import when there is nothing left to do."""
        for job in self.sales.service.jobs:
            while await job.work_once():
                pass
        found = await self._call("GetImport", GetImportRequest(name=name))
        assert isinstance(found, Import)
        return found

    async def remarks(self, found: Import) -> list[Remark]:
        """Row, field and reason of every remark."""
        request = ListImportRowsRequest(parent=found.name, page_size=1000)
        answer = await self._call("ListImportRows", request, ListImportRowsResponse)
        assert answer.next_page_token == ""
        return [(row.row, row.field, row.reason) for row in answer.rows]


def counts(found: Import) -> tuple[int, int, int]:
    """How many rows were taken, were there already, and cannot be taken."""
    assert found.state == Import.STATE_DONE, (found.refusal_reason, found.refusal_message)
    return found.taken, found.unchanged, found.rejected


async def open_stores(sales: OneService, names: dict[str, str]) -> None:
    """Let sales know stores by id and display name."""
    facts = [
        organisation_pb2.StoreFacts(store_id=one, version=2, display_name=name, time_zone="Asia/Shanghai")
        for one, name in names.items()
    ]
    async with sales.database.transaction(Scope.system("test")) as session:
        await stores.save(session, facts)


async def snapshot(sales: OneService) -> dict[str, list[dict[str, Any]]]:
    """Everything that an import may write, to see that nothing changed."""
    tables = {
        "delivery": "id",
        "customer": "id",
        "data_correction": "id",
        "outbox": "position",
    }
    told = "where type not like '%ActionRecorded'"
    return {
        table: await sales.rows(f"select * from {table} {told if table == 'outbox' else ''} order by {order}")
        for table, order in tables.items()
    }


def _creation(parent: str, asked: Import) -> CreateImportRequest:
    # The field is called as the statement is.
    fields: dict[str, Any] = {"parent": parent, "import": asked}
    return CreateImportRequest(**fields)
