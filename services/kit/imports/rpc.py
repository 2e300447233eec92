"""The gRPC edge of imports: the same messages for every kind of list, for a store and for the group."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from dealerloop.imports.v1.imports_pb2 import (
    AppendImportDataRequest,
    CancelImportRequest,
    ConfirmImportRequest,
    CreateImportRequest,
    DeleteMappingProfileRequest,
    GetImportRequest,
    GetMappingProfileRequest,
    Import,
    ImportRow,
    ListImportRowsRequest,
    ListImportRowsResponse,
    ListImportsRequest,
    ListImportsResponse,
    ListMappingProfilesRequest,
    ListMappingProfilesResponse,
    MappingProfile,
    SaveMappingProfileRequest,
)
from kit.errors import invalid
from kit.imports.contract import import_message, profile_message, row_message
from kit.imports.importer import Importer
from kit.imports.model import ImportJob
from kit.imports.service import Imports, Piece
from kit.imports.values import Limits, Severity
from kit.rpc import names
from kit.rpc.edge import Call
from kit.vault import Vault

_SEVERITIES: Final = {
    ImportRow.SEVERITY_REJECTED: Severity.REJECTED,
    ImportRow.SEVERITY_WARNING: Severity.WARNING,
}


class ImportEdge:
    """Serves an import service of one kind of list; one object may serve the stores' and the group's.

    Whether it is a store's or the group's is said by the call, which access rules have let through: a name of the other
    kind has the wrong form.
    """

    def __init__(self, importer: Importer, vault: Vault, limits: Limits | None = None) -> None:
        self._imports = Imports(importer, vault, limits or Limits())
        self._profiles = self._imports.profiles
        self._kind = importer.imports
        self._mappings = importer.mappings
        self._vault = vault

    async def create_import(self, call: Call, request: CreateImportRequest) -> Import:
        """Open an import."""
        store_id = _parent(call, request.parent)
        wanted = getattr(request, "import")
        job = await self._imports.create(call.session, store_id, wanted, actor=call.principal.id, now=call.now)
        return import_message(job)

    async def append_import_data(self, call: Call, request: AppendImportDataRequest) -> Import:
        """Add a piece of the file."""
        piece = Piece(request.offset, request.data, request.last)
        return import_message(await self._imports.append(call.session, self._key(call, request.name), piece, call.now))

    async def get_import(self, call: Call, request: GetImportRequest) -> Import:
        """One import with its first remarks."""
        job, rows = await self._imports.get(call.session, *self._key(call, request.name))
        return import_message(job, [row_message(row, self._vault) for row in rows])

    async def list_imports(self, call: Call, request: ListImportsRequest) -> ListImportsResponse:
        """Imports, the newest first."""
        store_id = _parent(call, request.parent)
        jobs, token = await self._imports.page(call.session, store_id, request.page_size, request.page_token)
        return ListImportsResponse(imports=[import_message(job) for job in jobs], next_page_token=token)

    async def list_import_rows(self, call: Call, request: ListImportRowsRequest) -> ListImportRowsResponse:
        """The remarks about an import's rows."""
        rows, token = await self._imports.remarks(
            call.session,
            self._key(call, request.parent, field="parent"),
            _SEVERITIES.get(request.severity),
            size=request.page_size,
            token=request.page_token,
        )
        return ListImportRowsResponse(rows=[row_message(row, self._vault) for row in rows], next_page_token=token)

    async def confirm_import(self, call: Call, request: ConfirmImportRequest) -> Import:
        """Take over what the dry run showed."""
        key = self._key(call, request.name)
        job = await self._imports.confirm(call.session, key, etag=request.etag, actor=call.principal.id, now=call.now)
        return await self._shown(call, job)

    async def cancel_import(self, call: Call, request: CancelImportRequest) -> Import:
        """Decide against an import."""
        job = await self._imports.cancel(call.session, self._key(call, request.name), call.now)
        return await self._shown(call, job)

    async def save_mapping_profile(self, call: Call, request: SaveMappingProfileRequest) -> MappingProfile:
        """Keep a mapping."""
        given = request.mapping_profile
        profile = self._profile(call, given.name, field="mapping_profile.name")
        self._imports.check_mapping(given.mapping, "mapping_profile.mapping")
        return profile_message(await self._profiles.save(call.session, call.store_id, profile, given, call.now))

    async def get_mapping_profile(self, call: Call, request: GetMappingProfileRequest) -> MappingProfile:
        """One kept mapping."""
        profile = self._profile(call, request.name)
        return profile_message(await self._profiles.get(call.session, call.store_id, profile))

    async def list_mapping_profiles(
        self, call: Call, request: ListMappingProfilesRequest
    ) -> ListMappingProfilesResponse:
        """The kept mappings by name."""
        store_id = _parent(call, request.parent)
        rows, token = await self._profiles.page(call.session, store_id, request.page_size, request.page_token)
        return ListMappingProfilesResponse(
            mapping_profiles=[profile_message(row) for row in rows], next_page_token=token
        )

    async def delete_mapping_profile(self, call: Call, request: DeleteMappingProfileRequest) -> MappingProfile:
        """Forget a kept mapping."""
        profile = self._profile(call, request.name)
        return profile_message(await self._profiles.delete(call.session, call.store_id, profile))

    async def _shown(self, call: Call, job: ImportJob) -> Import:
        rows = await self._imports.first_remarks(call.session, job)
        return import_message(job, [row_message(row, self._vault) for row in rows])

    def _key(self, call: Call, name: str, *, field: str = "name") -> tuple[str, UUID]:
        parts = names.parse(name, f"{_prefix(call)}{self._kind}/{{import}}", field=field)
        return call.store_id, names.parse_id(parts["import"])

    def _profile(self, call: Call, name: str, *, field: str = "name") -> str:
        return names.parse(name, f"{_prefix(call)}{self._mappings}/{{mapping}}", field=field)["mapping"]


def _prefix(call: Call) -> str:
    return f"stores/{call.store_id}/" if call.store_id else ""


def _parent(call: Call, parent: str) -> str:
    if parent != _prefix(call).rstrip("/"):
        raise invalid("parent", "RESOURCE_NAME", "files of the group have no parent")
    return call.store_id
