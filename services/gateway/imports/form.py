"""The multipart form of an upload, read without holding the file in memory; every fault names its part."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from dealerloop.imports.v1 import imports_pb2
from gateway.api.decoding import Faults, decode
from gateway.api.requests import BadRequest, fault, parse_json

MEDIA_TYPE: Final = "multipart/form-data"
LONGEST_TEXT: Final = 1024 * 1024
"""Bytes of any part but the file."""
OTHER_PARTS: Final = 2 * LONGEST_TEXT
"""Bytes of everything but the file."""
LONGEST_FILE_NAME: Final = 200
_MOST_PARTS: Final = 20
_FILE, _MAPPING, _VALIDATE_ONLY, _ALL_OR_NOTHING = "file", "mapping", "validateOnly", "allOrNothing"
PARTS: Final = (_FILE, _MAPPING, _VALIDATE_ONLY, _ALL_OR_NOTHING)
_BOOLEANS: Final = {"true": True, "false": False}
_KEPT = re.compile(r"((stores/[a-z][a-z0-9-]{0,38}/)?[a-zA-Z]{1,30}Mappings/)?[a-z][a-z0-9-]{0,62}", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Sent:
    """What the form says: either `mapping` or the name of a kept one, or neither."""

    file: UploadFile
    file_name: str
    mapping: imports_pb2.Mapping | None
    kept_mapping: str
    validate_only: bool
    all_or_nothing: bool

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.file.size or 0


class _Parser(MultiPartParser):
    """Knows whether the form came to its end: one that was cut off must not pass for a whole one."""

    complete = False

    def on_end(self) -> None:
        self.complete = True

    async def parse(self) -> FormData:
        form = await super().parse()
        if not self.complete:
            for file in self._files_to_close_on_error:
                file.close()
            raise MultiPartException("The last boundary is missing.")
        return form


@asynccontextmanager
async def read(request: Request) -> AsyncIterator[Sent]:
    """Reads the whole form; a large file lies on disk until the end of the block.

    Raises:
        BadRequest: with every part that is wrong.
        HTTPException: 415 when it is no multipart form, 400 when the client went away.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise HTTPException(415, f"The body must be {MEDIA_TYPE}.")
    parser = _Parser(
        request.headers, request.stream(), max_files=_MOST_PARTS, max_fields=_MOST_PARTS, max_part_size=LONGEST_TEXT
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise fault("body", "FORM_SYNTAX", f"is not a form that can be read: {error.message}") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The connection ended before the form did.") from error
    try:
        yield await _sent(form)
    finally:
        await form.close()


async def _sent(form: FormData) -> Sent:
    faults = Faults()
    parts: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name not in PARTS:
            faults.add(name[:100], "UNKNOWN_PART", f"is not a part of this form, which has {', '.join(PARTS)}")
        elif name in parts:
            faults.add(name, "REPEATED_PART", "must be given once")
        else:
            parts[name] = value
    file = parts.get(_FILE)
    if file is None:
        faults.add(_FILE, "FILE_REQUIRED", "must be given")
    elif not isinstance(file, UploadFile):
        faults.add(_FILE, "FILE_EXPECTED", "must be a file with a file name, not a text")
    mapping, kept = _mapping(await _text(parts, _MAPPING, faults), faults)
    validate_only = _boolean(await _text(parts, _VALIDATE_ONLY, faults), _VALIDATE_ONLY, faults)
    all_or_nothing = _boolean(await _text(parts, _ALL_OR_NOTHING, faults), _ALL_OR_NOTHING, faults)
    if faults.all or not isinstance(file, UploadFile):
        raise BadRequest(faults.all)
    return Sent(file, _file_name(file.filename or ""), mapping, kept, validate_only, all_or_nothing)


async def _text(parts: Mapping[str, Any], name: str, faults: Faults) -> str | None:
    """A part as text; what came as a file, as curl's `-F mapping=@file` sends it, is read."""
    value = parts.get(name)
    if not isinstance(value, UploadFile):
        return value
    if (value.size or 0) > LONGEST_TEXT:
        faults.add(name, "TOO_LONG", f"must not be larger than {LONGEST_TEXT} bytes")
        return None
    try:
        return (await value.read()).decode("utf-8-sig")
    except UnicodeDecodeError:
        faults.add(name, "TEXT_ENCODING", "must be UTF-8")
        return None


def _boolean(text: str | None, name: str, faults: Faults) -> bool:
    if text is None:
        return False
    if text not in _BOOLEANS:
        faults.add(name, "BOOLEAN", "must be true or false")
    return _BOOLEANS.get(text, False)


def _mapping(text: str | None, faults: Faults) -> tuple[imports_pb2.Mapping | None, str]:
    """A mapping that is given in full, or the name of a kept one."""
    if text is None:
        return None, ""
    text = text.strip()
    if not text.startswith(("{", "[", '"')):
        if _KEPT.fullmatch(text) is None:
            faults.add(_MAPPING, "MAPPING_NAME", "must be a JSON object, or the name of a kept mapping")
        return None, text
    mapping = imports_pb2.Mapping()
    try:
        decode(mapping, parse_json(text.encode()), faults, _MAPPING)
    except BadRequest as error:
        for _, rule, words in error.faults:
            faults.add(_MAPPING, rule, words)
    return mapping, ""


def _file_name(given: str) -> str:
    """The last part of what the client calls it; some send the whole path."""
    return _UNPRINTABLE.sub("", given.replace("\\", "/").rpartition("/")[2])[-LONGEST_FILE_NAME:]
