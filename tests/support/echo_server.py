"""A running service behind `echo.proto`: what it answers is what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from google.protobuf import text_format
from google.protobuf.message import Message

from kit import telemetry
from kit.errors import (
    AlreadyExists,
    Conflict,
    DomainError,
    FieldViolation,
    InvalidArgument,
    NotFound,
    StaleEtag,
    TooMany,
    Unavailable,
)
from kit.rpc.server import Call
from tests.support.echo import (
    BreakItemRequest,
    CreateItemRequest,
    EchoResponse,
    GetItemRequest,
    GetOpenRequest,
    Item,
    ListItemsRequest,
    UpdateItemRequest,
    WatchItemsRequest,
)


class ItemIsBroken(Conflict):
    reason = "ITEM_IS_BROKEN"


_ERRORS: dict[str, DomainError] = {
    "conflict": ItemIsBroken("it is broken already", metadata={"since": "2026-03-01"}),
    "exists": AlreadyExists(),
    "stale": StaleEtag(),
    "many": TooMany(retry_after=timedelta(seconds=7)),
    "away": Unavailable(),
    "fields": InvalidArgument(
        violations=[
            FieldViolation("how", "HOW_WRONG", "cannot be so"),
            FieldViolation("item.place.level_number", "LEVEL_HIGH", "is too high"),
        ]
    ),
}


class EchoEdge:
    """Answers every method of the contract."""

    async def create_item(self, call: Call, request: CreateItemRequest) -> EchoResponse:
        return self._echo(call, request, item=request.item)

    async def update_item(self, call: Call, request: UpdateItemRequest) -> EchoResponse:
        if request.item.etag == "old":
            raise StaleEtag
        return self._echo(call, request, item=request.item, etag="8")

    async def list_items(self, call: Call, request: ListItemsRequest) -> EchoResponse:
        return self._echo(call, request)

    async def get_item(self, call: Call, request: GetItemRequest) -> Item:  # noqa: ARG002 - an edge has both
        if request.name.endswith("/missing"):
            raise NotFound
        etag = '"7"' if request.name.endswith("/quoted") else "7"
        return Item(name=request.name, title="Lamp", etag=etag, secret="hidden")

    async def break_item(self, call: Call, request: BreakItemRequest) -> EchoResponse:
        if request.how == "crash":
            raise RuntimeError("the secret is 42")
        if request.how == "slowly":
            await asyncio.sleep(5)
        if request.how in _ERRORS:
            raise _ERRORS[request.how]
        return self._echo(call, request)

    async def watch_items(self, call: Call, request: WatchItemsRequest) -> AsyncIterator[Item]:  # noqa: ARG002 - both
        for number in range(request.count):
            if request.break_after and number >= request.break_after:
                raise ItemIsBroken
            yield Item(title=f"item {number}")
        if request.count < 0:
            raise ItemIsBroken

    async def get_open(self, call: Call, request: GetOpenRequest) -> EchoResponse:
        return self._echo(call, request)

    async def get_inside(self, call: Call, request: GetOpenRequest) -> EchoResponse:
        return self._echo(call, request)

    def _echo(self, call: Call, request: Message, **fields: object) -> EchoResponse:
        return EchoResponse(
            request=text_format.MessageToString(request, as_one_line=True, as_utf8=True),
            principal=call.principal.id,
            trace=telemetry.trace_id(),
            **fields,
        )
