"""The edge of the tiny service; what a test wants to happen inside a call, it puts into `during`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

from sqlalchemy import text

from kit.errors import AlreadyExists, Conflict, NotFound
from kit.ids import new_id
from kit.rpc import names
from kit.rpc.server import Call
from tests.support.things import (
    CountThingsRequest,
    CountThingsResponse,
    CreateThingRequest,
    GetMineRequest,
    GetThingRequest,
    ListThingsRequest,
    ListThingsResponse,
    OpenThingRequest,
    RenameAllRequest,
    RevealThingRequest,
    StreamThingsRequest,
    Thing,
    UpdateThingRequest,
)

NAME = "stores/{store}/things/{thing}"
During = Callable[[Call], Awaitable[None]]


class WornOut(Conflict):
    reason = "THING_WORN_OUT"


class TitleTaken(AlreadyExists):
    reason = "TITLE_TAKEN"


class NoThing(NotFound):
    reason = "THING_NOT_FOUND"


class ThingEdge:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.during: During | None = None
        self.stream_ended = asyncio.Event()

    async def create_thing(self, call: Call, request: CreateThingRequest) -> Thing:
        identity = new_id(call.now)
        insert = text("INSERT INTO thing (id, store_id, title) VALUES (:id, :store, :title)")
        row = {"id": identity, "store": call.store_id, "title": request.thing.title}
        await call.session.execute(insert, row)
        await self._happen(call)
        return Thing(name=names.format(NAME, store=call.store_id, thing=identity), title=request.thing.title)

    async def get_thing(self, call: Call, request: GetThingRequest) -> Thing:
        await self._happen(call)
        return await self._load(call, request.name)

    async def update_thing(self, call: Call, request: UpdateThingRequest) -> Thing:
        await self._happen(call)
        return await self._load(call, request.thing.name)

    async def reveal_thing(self, call: Call, request: RevealThingRequest) -> Thing:
        await self._happen(call)
        return await self._load(call, request.name)

    async def list_things(self, call: Call, _request: ListThingsRequest) -> ListThingsResponse:
        await self._happen(call)
        return await self._all(call)

    async def rename_all(self, call: Call, request: RenameAllRequest) -> ListThingsResponse:
        await call.session.execute(text("UPDATE thing SET title = :title"), {"title": request.title})
        await self._happen(call)
        return await self._all(call)

    async def get_mine(self, call: Call, _request: GetMineRequest) -> Thing:
        await self._happen(call)
        return Thing(name=call.principal.id)

    async def open_thing(self, call: Call, request: OpenThingRequest) -> Thing:
        await self._happen(call)
        return Thing(title=request.token)

    async def count_things(self, call: Call, _request: CountThingsRequest) -> CountThingsResponse:
        await self._happen(call)
        return CountThingsResponse(count=await call.session.scalar(text("SELECT count(*) FROM thing")) or 0)

    async def stream_things(self, call: Call, request: StreamThingsRequest) -> AsyncIterator[Thing]:
        try:
            for number in range(request.count):
                yield Thing(title=str(number))
            await self._happen(call)
            if request.fail:
                raise WornOut(request.fail)
        finally:
            self.stream_ended.set()

    async def _happen(self, call: Call) -> None:
        self.calls.append(call)
        if self.during is not None:
            await self.during(call)

    async def _load(self, call: Call, name: str) -> Thing:
        query = text("SELECT store_id, title FROM thing WHERE id = :id")
        row = (await call.session.execute(query, {"id": names.parse_id(name)})).first()
        if row is None:
            raise NoThing(metadata={"name": name})
        return Thing(name=name, title=row.title)

    async def _all(self, call: Call) -> ListThingsResponse:
        rows = await call.session.execute(text("SELECT id, store_id, title FROM thing ORDER BY id"))
        return ListThingsResponse(things=[_thing(row.id, row.store_id, row.title) for row in rows])


def _thing(identity: UUID, store: str, title: str) -> Thing:
    return Thing(name=names.format(NAME, store=store, thing=identity), title=title)
