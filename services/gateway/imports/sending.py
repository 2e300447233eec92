"""An import over gRPC: opened, filled piece by piece, and waited for."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final

from dealerloop.imports.v1 import imports_pb2
from dealerloop.imports.v1.imports_pb2 import Import
from gateway.imports.form import Sent
from gateway.imports.uploads import Upload
from kit.errors import DomainError, Unavailable
from kit.ids import new_id
from kit.log import log
from kit.rpc.client import Peer
from kit.rpc.status import PeerFailed

PIECE: Final = 1024 * 1024
_CALL_SECONDS: Final = 10.0
_PIECE_SECONDS: Final = 30.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 0.5
_PAUSE_GROWTH: Final = 1.5
_ENDED: Final = {Import.STATE_DONE, Import.STATE_REFUSED, Import.STATE_CANCELLED, Import.STATE_EXPIRED}


@dataclass(frozen=True)
class Sender:
    """One import on its way, in the name of the person who brings it."""

    upload: Upload
    peer: Peer
    token: str

    async def send(self, parent: str, sent: Sent, key: str) -> Import:
        """Opens the import and fills it; `key` is the client's own for a repetition, or empty.

        A repetition with the same key opens nothing new and is told the same; with another file or other settings it is
        refused with IDEMPOTENCY_KEY_REUSED, since each piece has its key too.

        Raises:
            DomainError: as the service raised it.
        """
        base = key or str(new_id())
        made = await self._create(parent, sent, base)
        try:
            return await self._fill(made, sent, base)
        except (DomainError, PeerFailed):
            if not key:  # nobody could go on with it
                await self._give_up(made)
            raise

    async def wait(self, found: Import, seconds: float) -> Import:
        """The import when its work has ended, or as it stands after that many seconds."""
        until = asyncio.get_running_loop().time() + seconds
        pause = _FIRST_PAUSE
        while True:
            try:
                found = await self._get(found.name)
            except Unavailable:
                # The file is in good hands: a service that is just being restarted goes on with it.
                log.warning("import.unseen", service=self.upload.service)
            left = until - asyncio.get_running_loop().time()
            if has_ended(found) or left <= 0:
                return found
            await asyncio.sleep(min(pause, left))
            pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE)

    async def _create(self, parent: str, sent: Sent, key: str) -> Import:
        wanted = Import(
            file_name=sent.file_name,
            mapping=sent.mapping,
            validate_only=sent.validate_only,
            all_or_nothing=sent.all_or_nothing,
        )
        if sent.kept_mapping:
            wanted.mapping_profile = self.upload.mapping_name(parent, sent.kept_mapping)
        request = imports_pb2.CreateImportRequest(parent=parent, request_id=key)
        getattr(request, "import").CopyFrom(wanted)
        return await self.peer.call(
            self.upload.rpc("CreateImport"), request, Import, timeout=_CALL_SECONDS, token=self.token
        )

    async def _fill(self, made: Import, sent: Sent, key: str) -> Import:
        offset = 0
        while True:
            data = await sent.file.read(PIECE)
            last = offset + len(data) >= sent.size
            request = imports_pb2.AppendImportDataRequest(
                name=made.name, offset=offset, data=data, last=last, request_id=_piece_key(key, offset)
            )
            made = await self.peer.call(
                self.upload.rpc("AppendImportData"), request, Import, timeout=_PIECE_SECONDS, token=self.token
            )
            if last:
                return made
            offset += len(data)

    async def _give_up(self, made: Import) -> None:
        request = imports_pb2.CancelImportRequest(name=made.name, request_id=str(new_id()))
        try:
            await self.peer.call(
                self.upload.rpc("CancelImport"), request, Import, timeout=_CALL_SECONDS, token=self.token
            )
        except (DomainError, PeerFailed):
            log.warning("import.left_behind", service=self.upload.service)

    async def _get(self, name: str) -> Import:
        request = imports_pb2.GetImportRequest(name=name)
        return await self.peer.call(
            self.upload.rpc("GetImport"), request, Import, timeout=_CALL_SECONDS, token=self.token
        )


def has_ended(found: Import) -> bool:
    """Whether nothing more happens to it by itself."""
    return found.state in _ENDED or (found.state == Import.STATE_CHECKED and found.validate_only)


def _piece_key(key: str, offset: int) -> str:
    """A key for each piece, as long as a key may be."""
    return hashlib.sha256(f"{key} {offset}".encode()).hexdigest()
