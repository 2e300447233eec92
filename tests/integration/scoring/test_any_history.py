"""Whatever comes, in any order and however often: the sums are those of a recomputation, and what was closed stays.

Histories are invented by hypothesis and played against the real database, each in one transaction that is rolled back
in the end. Beside it a model keeps books the slow way: every response as it stands, and a copy of everything whenever a
month is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from dealerloop.customer_care.v1.surveys_pb2 import InterviewMode
from dealership import stores
from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.rpc.client import Peer
from scoring.exclusions.rules import ResponseExcluded, ResponseNotExcluded, ResponseNotFound
from scoring.exclusions.service import Excluding
from scoring.frame import service as frame
from scoring.grades import rules
from scoring.grades.service import Counting
from scoring.grades.tallies import LiveSums
from scoring.grades.values import Mark, Response, Scale, Tally
from scoring.models.service import ModelCatalogue
from scoring.models.values import SatisfactionModel
from scoring.months import reading
from scoring.months.rules import MonthClosed, MonthNotClosed, MonthUnchanged
from scoring.months.service import Closing
from tests.support.grade_desk import ANGELES, BEIJING, DELHI, NOVEMBER, OCTOBER, ZONES
from tests.support.one_service import Nobody
from tests.support.postgres import PostgresServer
from tests.support.scoring import a_delivery, a_response, a_store

STORES = (BEIJING, DELHI, ANGELES)
MONTHS = (OCTOBER, NOVEMBER)
CODES = ("SSI.INIT.GREETED", "SSI.CONS.HONESTY", "SSI.DLV.ON_TIME")
NOW = datetime(2026, 12, 20, tzinfo=UTC)
# From noon in Beijing on 31 October, to after the end of the month in Los Angeles; its clocks go back a day later.
MONTH_END = [datetime(2026, 10, 31, 4, 0, tzinfo=UTC) + timedelta(hours=hours) for hours in range(0, 32, 2)]
MONTH_END += [datetime(2026, 10, 31, 16, 0, tzinfo=UTC), datetime(2026, 11, 1, 7, 0, tzinfo=UTC)]
MONTH_END += [instant - timedelta(seconds=1) for instant in MONTH_END[-2:]]


@dataclass(frozen=True)
class Answer:
    """A version of a response arrives; response n always belongs to the same store."""

    number: int
    version: int
    marks: Mapping[str, int]
    submit_time: datetime
    consultant: str
    mode: InterviewMode

    def message(self) -> ResponseSubmitted:
        return a_response(
            self.number,
            self.marks,
            version=self.version,
            submit_time=self.submit_time,
            consultant=self.consultant,
            store_id=STORES[self.number % 3],
            mode=self.mode,
        )


@dataclass(frozen=True)
class Decide:
    number: int
    excluded: bool


@dataclass(frozen=True)
class Deliver:
    number: int
    version: int
    cancelled: bool


@dataclass(frozen=True)
class Close:
    month: str


@dataclass(frozen=True)
class Reopen:
    month: str


numbers = st.integers(0, 2)
answers = st.builds(
    Answer,
    number=numbers,
    version=st.integers(1, 6),
    # Sometimes only the overall mark, which is no indicator: kept, but without any score.
    marks=st.dictionaries(st.sampled_from([*CODES, "SSI.OVERALL"]), st.integers(1, 7), min_size=1, max_size=3),
    submit_time=st.sampled_from(MONTH_END),
    consultant=st.sampled_from(["li.wei", "wang.li", ""]),
    mode=st.sampled_from([InterviewMode.INTERVIEW_MODE_LINK, InterviewMode.INTERVIEW_MODE_PHONE]),
)
batches = st.lists(answers, min_size=1, max_size=4)
steps = st.one_of(
    # Named twice: most of what happens is answers.
    batches,
    batches,
    st.builds(Decide, numbers, st.booleans()),
    st.builds(Deliver, numbers, st.integers(1, 3), st.booleans()),
    st.builds(Close, st.sampled_from(MONTHS)),
    st.builds(Reopen, st.sampled_from(MONTHS)),
)
closed_early = st.builds(
    lambda before, after: [*before, Close(OCTOBER), Close(NOVEMBER), *after],
    st.lists(steps, max_size=5),
    st.lists(steps, min_size=3, max_size=15),
)
Step = list[Answer] | Decide | Deliver | Close | Reopen
Snapshot = dict[UUID, Response]


@dataclass
class Books:
    """What must be true, the slow way."""

    model: SatisfactionModel
    newest: dict[UUID, Response] = field(default_factory=dict)
    # By month: every revision as what counted in every store, and the deliveries of each store.
    revisions: dict[str, list[tuple[dict[str, Snapshot], dict[str, int]]]] = field(default_factory=dict)
    deliveries: dict[int, Deliver] = field(default_factory=dict)

    def answer(self, answer: Answer) -> None:
        message = answer.message()
        identity = UUID(message.response_id)
        known = self.newest.get(identity)
        if known is None or known.version < answer.version:
            response = _response(message, self.model)
            self.newest[identity] = replace(response, excluded=known is not None and known.excluded)

    def counting(self, month: str, store_id: str) -> Snapshot:
        return {key: one for key, one in self.newest.items() if one.place == (month, store_id) and not one.excluded}

    def frame(self, month: str) -> dict[str, int]:
        found = dict.fromkeys(STORES, 0)
        for one in self.deliveries.values():
            found[STORES[one.number % 3]] += month == OCTOBER and not one.cancelled
        return found

    def tallies(self, snapshot: Snapshot) -> dict[str, Tally]:
        found: dict[str, Tally] = {}
        for response in snapshot.values():
            for key, tally in rules.tallies(self.model, response):
                found[key.code] = found.get(key.code, Tally()) + tally
        return found

    def now(self, month: str) -> tuple[dict[str, Snapshot], dict[str, int]]:
        return {store_id: self.counting(month, store_id) for store_id in STORES}, self.frame(month)

    def late(self, month: str, store_id: str) -> set[UUID]:
        if month not in self.revisions:
            return set()
        return _differing(self.revisions[month][-1][0][store_id], self.counting(month, store_id))

    def changed_stores(self, month: str) -> set[str]:
        _, known = self.revisions[month][-1]
        frame_now = self.frame(month)
        return {one for one in STORES if self.late(month, one) or known[one] != frame_now[one]}


def _differing(before: Snapshot, after: Snapshot) -> set[UUID]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _response(message: ResponseSubmitted, model: SatisfactionModel) -> Response:
    submitted = message.submit_time.ToDatetime(tzinfo=UTC)
    return Response(
        id=UUID(message.response_id),
        store_id=message.store_id,
        version=message.version,
        delivery_id=UUID(message.delivery_id),
        consultant_id=message.consultant_id,
        customer_id=message.customer_id,
        mode=InterviewMode.Name(message.mode),
        month=f"{submitted.astimezone(ZoneInfo(ZONES[message.store_id])):%Y-%m}",
        submit_time=submitted,
        questionnaire_version=message.questionnaire_version,
        model_code=model.code,
        model_version=model.version,
        marks=tuple(Mark(one.question, Scale.SCALE_7, one.mark) for one in message.marks),
    )


class Player:
    """Plays a history against the real use cases and compares after every step."""

    def __init__(self, session: AsyncSession, model: SatisfactionModel, catalogue: ModelCatalogue) -> None:
        self.session = session
        self.books = Books(model)
        self.key = (model.code, model.version)
        self.counting = Counting(catalogue, Peer("127.0.0.1:1", Nobody(), service="gateway"))
        self.excluding = Excluding(catalogue)
        self.closing = Closing(catalogue)

    async def play(self, step: Step) -> None:
        match step:
            case list():
                await self.counting.count(self.session, [one.message() for one in step], NOW)
                for one in step:
                    self.books.answer(one)
            case Decide(number, excluded):
                await self._decide(UUID(int=number), excluded)
            case Deliver():
                await self._deliver(step)
            case Close(month):
                await self._close(month)
            case Reopen(month):
                await self._reopen(month)

    async def _decide(self, identity: UUID, excluded: bool) -> None:
        known = self.books.newest.get(identity)
        decide = self.excluding.decide(
            self.session, identity, excluded=excluded, by="staff/q", reason="checked", etag="", now=NOW
        )
        if known is None:
            with pytest.raises(ResponseNotFound):
                await decide
        elif known.excluded is excluded:
            with pytest.raises(ResponseExcluded if excluded else ResponseNotExcluded):
                await decide
        else:
            await decide
            self.books.newest[identity] = replace(known, excluded=excluded)

    async def _deliver(self, step: Deliver) -> None:
        store_id = STORES[step.number % 3]
        told = a_delivery(
            step.number, day="2026-10-12", version=step.version, cancelled=step.cancelled, store_id=store_id
        )
        await frame.keep(self.session, [told])
        known = self.books.deliveries.get(step.number)
        if known is None or known.version < step.version:
            self.books.deliveries[step.number] = step

    async def _close(self, name: str) -> None:
        if name in self.books.revisions:
            with pytest.raises(MonthClosed):
                await self.closing.close(self.session, name, creator="staff/q", now=NOW)
            return
        month = await self.closing.close(self.session, name, creator="staff/q", now=NOW)
        snapshot = self.books.now(name)
        self.books.revisions[name] = [snapshot]
        assert month.revisions[0].responses == sum(map(len, snapshot[0].values()))

    async def _reopen(self, name: str) -> None:
        reopen = self.closing.reopen(self.session, name, creator="staff/q", reason="late", etag="", now=NOW)
        if name not in self.books.revisions:
            with pytest.raises(MonthNotClosed):
                await reopen
            return
        changed = self.books.changed_stores(name)
        if not changed:
            with pytest.raises(MonthUnchanged):
                await reopen
            return
        before, _ = self.books.revisions[name][-1]
        month = await reopen
        after, deliveries = self.books.now(name)
        self.books.revisions[name].append((after, deliveries))
        assert month.revisions[0].changed_stores == len(changed)
        assert month.revisions[0].responses == sum(map(len, after.values()))
        assert month.late_changes == 0
        await self._compare_changes(name, len(self.books.revisions[name]), before, after)

    async def _compare_changes(
        self, name: str, number: int, before: dict[str, Snapshot], after: dict[str, Snapshot]
    ) -> None:
        told = {
            one.store_id: one
            for one in await reading.index_changes(self.session, name, number, after=("", "", 0), limit=100)
        }
        for store_id in STORES:
            had, has = before[store_id], after[store_id]
            added, removed = has.keys() - had.keys(), had.keys() - has.keys()
            changed = _differing(had, has) - added - removed
            if store_id not in told:
                assert not added | removed | changed
                continue
            one = told[store_id]
            assert [set(map(UUID, ids)) for ids in (one.added, one.removed, one.changed)] == [added, removed, changed]
            assert [one.before, one.after] == [self._index(had), self._index(has)]

    def _index(self, snapshot: Snapshot) -> Tally | None:
        tally = self.books.tallies(snapshot).get("SSI")
        return tally and Tally(tally.n, tally.total, tally.square)

    async def compare(self) -> None:
        """The live cells, every revision and the late changes are those of the books."""
        for month in MONTHS:
            for store_id in STORES:
                live = await LiveSums(store_id, month).by_model(self.session)
                assert live.get(self.key, {}) == self.books.tallies(self.books.counting(month, store_id))
                late = len(self.books.late(month, store_id))
                assert await reading.late_changes(self.session, store_id, month) == late
                await self._compare_revisions(month, store_id)

    async def _compare_revisions(self, month: str, store_id: str) -> None:
        for number, (kept, deliveries) in enumerate(self.books.revisions.get(month, ()), start=1):
            grade = await reading.closed_grade(self.session, store_id, month, number)
            if grade is None:
                assert (kept[store_id], deliveries[store_id]) == ({}, 0)
                continue
            assert (grade.responses, grade.sample_frame) == (len(kept[store_id]), deliveries[store_id])
            sums = await reading.ClosedSums(store_id, month, grade.number).by_model(self.session)
            assert sums.get(self.key, {}) == self.books.tallies(kept[store_id])
            rows = await (await raw_connection(self.session)).fetch(
                "select response_id, version from counted_response"
                " where month = $1 and store_id = $2 and revision = $3",
                *(month, store_id, grade.number),
            )
            assert {row["response_id"]: row["version"] for row in rows} == {
                key: one.version for key, one in kept[store_id].items()
            }
            since = len(_differing(kept[store_id], self.books.counting(month, store_id)))
            assert await reading.changes_since(self.session, store_id, month, grade.number) == since


class EndOfExample(Exception):
    """Rolls the example's transaction back."""


@dataclass
class Stage:
    """One database for all examples, and the loop that they run in."""

    runner: asyncio.Runner
    database: Database
    catalogue: ModelCatalogue = field(default_factory=ModelCatalogue)

    def play(self, history: list[Step]) -> None:
        with suppress(EndOfExample):
            self.runner.run(self._play(history))

    async def _play(self, history: list[Step]) -> None:
        async with self.database.transaction(Scope.system("test")) as session:
            model, _ = await self.catalogue.get(session, "ssi-five-factor", 1)
            player = Player(session, model, self.catalogue)
            for step in history:
                await player.play(step)
                await player.compare()
            raise EndOfExample


@pytest.fixture(scope="module")
def stage(postgres_server: PostgresServer) -> Iterator[Stage]:
    urls = postgres_server.clone("scoring")
    with asyncio.Runner() as runner:
        database = Database(urls.database_url)

        async def prepare() -> None:
            async with database.transaction(Scope.system("test")) as session:
                await stores.save(session, [a_store(store_id, zone) for store_id, zone in ZONES.items()])

        runner.run(prepare())
        yield Stage(runner, database)
        runner.run(database.close())
    postgres_server.drop(urls.name)


@given(history=st.one_of(closed_early, st.lists(steps, max_size=25)))
def test_sums_and_revisions_are_right_after_every_step(stage: Stage, history: list[Step]) -> None:
    stage.play(history)


def test_a_long_history_around_the_end_of_a_month(stage: Stage) -> None:
    """The case that everything is about, once by hand: an answer moves over the month's end between two closings."""
    minute = datetime(2026, 10, 31, 15, 59, tzinfo=UTC)
    link = InterviewMode.INTERVIEW_MODE_LINK

    def answer(version: int, submit_time: datetime, mark: int) -> list[Answer]:
        return [Answer(0, version, {CODES[0]: mark}, submit_time, "li.wei", link)]

    stage.play(
        [
            answer(1, minute, 7),
            Close(OCTOBER),
            Close(NOVEMBER),
            answer(2, minute + timedelta(minutes=1), 4),
            Reopen(NOVEMBER),
            Reopen(NOVEMBER),
            Decide(0, excluded=True),
            Reopen(OCTOBER),
            answer(3, minute, 1),
            Decide(0, excluded=False),
            answer(2, minute, 1),
            Reopen(OCTOBER),
            Reopen(NOVEMBER),
            Close(OCTOBER),
        ]
    )
