"""Responses become live grades exactly once, in any order, in the month of the store's own calendar."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import cast

import pytest
import sqlalchemy as sa

from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from dealerloop.customer_care.events.v1.projections_pb2 import ListResponsesForProjectionResponse
from dealership import stores
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.rpc.client import Peer
from scoring.frame import service as frame
from scoring.grades import handlers, rules
from scoring.grades.rows import stored
from scoring.grades.service import Counting
from scoring.grades.tallies import LiveSums
from scoring.grades.values import Tally
from scoring.models.service import ModelCatalogue
from tests.support.one_service import Nobody
from tests.support.postgres import Cloner
from tests.support.scoring import NOON, STORE, a_delivery, a_response, a_store

SSI = ("ssi-five-factor", 1)


class Desk:
    """Scoring's use cases on a database of their own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.counting = Counting(ModelCatalogue(), Peer("127.0.0.1:1", Nobody(), service="gateway"))

    async def count(self, *responses: ResponseSubmitted) -> None:
        async with self.database.transaction(Scope.system("test")) as session:
            await self.counting.count(session, responses, NOON)

    async def tallies(self, month: str = "2026-11") -> dict[str, Tally]:
        async with self.database.transaction(Scope.store(STORE)) as session:
            return (await LiveSums(STORE, month).by_model(session)).get(SSI, {})

    async def scalar(self, query: str) -> object:
        async with self.database.transaction(Scope.system("test")) as session:
            return (await session.execute(sa.text(query))).scalar_one()


@pytest.fixture
async def desk(database_urls: Cloner) -> AsyncIterator[Desk]:
    database = Database(database_urls("scoring").database_url)
    async with database.transaction(Scope.system("test")) as session:
        await stores.save(session, [a_store(), a_store("ny-01", "America/New_York")])
    yield Desk(database)
    await database.close()


def points(tallies: dict[str, Tally], code: str = "SSI") -> float | None:
    return rules.mean(tallies[code])


async def test_a_response_is_counted_once_however_often_it_comes(desk: Desk) -> None:
    response = a_response(1, {"SSI.INIT.GREETED": 7})

    await desk.count(response, response)
    await desk.count(response)

    tallies = await desk.tallies()
    assert tallies["SSI"].n == 1
    assert points(tallies) == 100
    assert await desk.scalar("select count(*) from outbox") == 1


async def test_a_later_version_replaces_an_earlier_one_in_any_order(desk: Desk) -> None:
    first = a_response(1, {"SSI.INIT.GREETED": 1, "SSI.DEAL.CONTRACT": 7})
    second = a_response(1, {"SSI.INIT.GREETED": 4}, version=2)

    await desk.count(second)
    await desk.count(first)
    backwards = await desk.tallies()
    await desk.count(a_response(2, {"SSI.INIT.GREETED": 1}))
    await desk.count(a_response(2, {"SSI.INIT.GREETED": 4}, version=2))

    assert points(backwards) == 50
    tallies = await desk.tallies()
    assert tallies["SSI"].n == 2
    assert points(tallies) == 50
    assert "SSI.DEAL" not in tallies


async def test_after_a_restored_backup_an_older_version_is_taken_as_it_is(desk: Desk) -> None:
    await desk.count(a_response(1, {"SSI.INIT.GREETED": 7}, version=5))

    async with desk.database.transaction(Scope.system("test")) as session:
        await desk.counting.count(session, [a_response(1, {"SSI.INIT.GREETED": 1}, version=2)], NOON, as_is=True)
        await frame.keep(session, [a_delivery(1, version=9)])
        await frame.keep(session, [a_delivery(1, version=2, cancelled=True)], as_is=True)

    tallies = await desk.tallies()
    assert (tallies["SSI"].n, points(tallies)) == (1, 0)
    assert await desk.scalar("select cancelled from sample_frame") is True


class Care:
    """Customer care's snapshot: so many responses, and how many locks their reader held meanwhile, at the most."""

    def __init__(self, responses: int, locks: Callable[[], Awaitable[int]]) -> None:
        self._responses = responses
        self._locks = locks
        self.held = 0

    async def stream(self, *_call: object, **_how: object) -> AsyncIterator[ListResponsesForProjectionResponse]:
        for number in range(1, self._responses + 1):
            self.held = max(self.held, await self._locks()) if number % 100 == 0 else self.held
            yield ListResponsesForProjectionResponse(response=a_response(number, {"SSI.INIT.GREETED": 7}))


async def test_a_rebuild_counts_every_response_without_holding_the_locks_of_all(desk: Desk) -> None:
    async def locks() -> int:
        ours = "database = (select oid from pg_database where datname = current_database())"
        return int(str(await desk.scalar(f"select count(*) from pg_locks where locktype = 'advisory' and {ours}")))

    care = Care(1_200, locks)
    await handlers.rebuild(desk.database, cast(Peer, care), desk.counting, NOON)

    assert (await desk.tallies())["SSI"].n == 1_200
    assert care.held <= 501


async def test_a_cell_that_nobody_fills_any_more_is_not_shown(desk: Desk) -> None:
    await desk.count(a_response(1, {"SSI.DEAL.CONTRACT": 7, "SSI.INIT.GREETED": 7}))
    await desk.count(a_response(1, {"SSI.INIT.GREETED": 7}, version=2))

    assert "SSI.DEAL.CONTRACT" not in await desk.tallies()


async def test_running_sums_are_those_of_a_recomputation(desk: Desk) -> None:
    source = random.Random(7)
    codes = ["SSI.INIT.GREETED", "SSI.CONS.HONESTY", "SSI.DLV.ON_TIME"]
    stream = [
        a_response(
            number % 20, {code: source.randint(1, 7) for code in codes}, version=version, consultant=f"c{number % 3}"
        )
        for number in range(40)
        for version in (1, 2)
    ]
    source.shuffle(stream)

    for start in range(0, len(stream), 7):
        await desk.count(*stream[start : start + 7])

    newest: dict[str, ResponseSubmitted] = {}
    for one in stream:
        known = newest.get(one.response_id)
        if known is None or known.version < one.version:
            newest[one.response_id] = one
    tallies = await desk.tallies()
    assert tallies["SSI"].n == 20
    assert tallies == await recomputed(desk)


async def recomputed(desk: Desk) -> dict[str, Tally]:
    """The same sums from the stored responses alone."""
    catalogue = ModelCatalogue()
    found: dict[str, Tally] = {}
    async with desk.database.transaction(Scope.store(STORE)) as session:
        model, _ = await catalogue.get(session, *SSI)
        ids = (await session.execute(sa.text("select response_id from response"))).scalars().all()
        for response in (await stored(session, ids)).values():
            for key, tally in rules.tallies(model, response):
                found[key.code] = found.get(key.code, Tally()) + tally
    return found


async def test_an_answer_belongs_to_the_month_of_the_stores_own_calendar(desk: Desk) -> None:
    """23:30 on 31 October in Beijing, and half past midnight on 1 November: half an hour apart, two months."""
    await desk.count(a_response(1, {"SSI.INIT.GREETED": 7}, submit_time=datetime(2026, 10, 31, 15, 59, 59, tzinfo=UTC)))
    await desk.count(a_response(2, {"SSI.INIT.GREETED": 1}, submit_time=datetime(2026, 10, 31, 16, 0, 0, tzinfo=UTC)))

    assert points(await desk.tallies("2026-10")) == 100
    assert points(await desk.tallies("2026-11")) == 0


async def test_another_store_in_another_zone_has_another_month(desk: Desk) -> None:
    new_year = datetime(2027, 1, 1, 3, 0, tzinfo=UTC)

    await desk.count(a_response(1, {"SSI.INIT.GREETED": 7}, submit_time=new_year, store_id="ny-01"))

    assert await desk.scalar("select distinct month from grade_cell where store_id = 'ny-01'") == "2026-12"


async def test_consultants_are_kept_apart(desk: Desk) -> None:
    await desk.count(
        a_response(1, {"SSI.INIT.GREETED": 7}), a_response(2, {"SSI.INIT.GREETED": 1}, consultant="wang.li")
    )

    async with desk.database.transaction(Scope.store(STORE)) as session:
        model, _ = await ModelCatalogue().get(session, *SSI)
        tallies = await LiveSums(STORE, "2026-11").by_consultant(session, model)

    assert {consultant: rules.mean(tally) for consultant, tally in tallies.items()} == {"li.wei": 100, "wang.li": 0}


async def test_a_mark_off_the_scale_counts_nothing(desk: Desk) -> None:
    with pytest.raises(rules.MarkOutOfScale):
        await desk.count(a_response(1, {"SSI.INIT.GREETED": 7}), a_response(2, {"SSI.INIT.GREETED": 8}))

    assert await desk.tallies() == {}


async def test_the_frame_has_every_delivery_once_and_none_that_was_cancelled(desk: Desk) -> None:
    await keep(desk, [a_delivery(1), a_delivery(2), a_delivery(2, version=2, cancelled=True), a_delivery(1)])
    await keep(desk, [a_delivery(2), a_delivery(3, day="2026-10-31")])
    await desk.count(a_response(1, {"SSI.INIT.GREETED": 7}), a_response(2, {"SSI.INIT.GREETED": 7}))

    async with desk.database.transaction(Scope.store(STORE)) as session:
        assert await frame.coverage(session, STORE, "2026-11") == (1, 1)
        assert await frame.coverage(session, STORE, "2026-10") == (1, 0)
        assert await frame.coverage(session, STORE, "2026-09") == (0, 0)


async def keep(desk: Desk, deliveries: Iterable[object]) -> None:
    async with desk.database.transaction(Scope.system("test")) as session:
        await frame.keep(session, deliveries)  # type: ignore[arg-type]
