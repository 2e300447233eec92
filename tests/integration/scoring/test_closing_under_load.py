"""While answers stream in, a response is in a revision or late: never both, and never neither (SCR-08)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable

from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from dealerloop.scoring.v1.months_pb2 import Month
from kit.errors import DomainError
from tests.support.grade_desk import BEIJING, DELHI, MID_OCTOBER, OCTOBER, GradeDesk
from tests.support.scoring import a_response

RESPONSES = 240
CONSUMERS = 4
BEFORE_CLOSING = 5
CODES = ("SSI.INIT.GREETED", "SSI.CONS.HONESTY", "SSI.DLV.ON_TIME")


def place_of(number: int) -> str:
    return BEIJING if number % 2 else DELHI


def answers(source: random.Random) -> list[ResponseSubmitted]:
    """Two versions of most responses, some of them twice, in any order."""
    found = [
        a_response(
            number,
            {code: source.randint(1, 7) for code in CODES},
            version=version,
            store_id=place_of(number),
            submit_time=MID_OCTOBER,
            consultant=f"c{source.randrange(3)}",
        )
        for number in range(RESPONSES)
        for version in (1, 2)
    ]
    found += source.sample(found, RESPONSES // 4)
    source.shuffle(found)
    return found


async def test_a_response_is_in_the_revision_or_late(desk: GradeDesk) -> None:
    source = random.Random(8)
    stream = answers(source)
    batches = [stream[start : start + 6] for start in range(0, len(stream), 6)]
    some_arrived, closed = asyncio.Event(), asyncio.Event()

    async def consumer(which: int) -> None:
        for count, batch in enumerate(batches[which::CONSUMERS]):
            await desk.hears(*batch)
            if count == BEFORE_CLOSING:
                some_arrived.set()

    async def closer() -> list[Month | DomainError]:
        await some_arrived.wait()
        done = await asyncio.gather(desk.close(), desk.close(), desk.close(), return_exceptions=True)
        closed.set()
        return done  # type: ignore[return-value]

    async def excluder() -> None:
        numbers = source.sample(range(RESPONSES), 30)
        for number in numbers:
            # It may not have arrived yet.
            assert await reason_of(desk.exclude(number, store_id=place_of(number))) in {"", "RESPONSE_NOT_FOUND"}

    async def reopener() -> None:
        await closed.wait()
        for _ in range(3):
            await asyncio.sleep(0.02)
            assert await reason_of(desk.reopen()) in {"", "MONTH_UNCHANGED"}

    async with asyncio.TaskGroup() as group:
        for which in range(CONSUMERS):
            group.create_task(consumer(which))
        closing = group.create_task(closer())
        group.create_task(excluder())
        group.create_task(reopener())

    outcomes = closing.result()
    assert sum(isinstance(one, Month) for one in outcomes) == 1
    assert {one.reason for one in outcomes if isinstance(one, DomainError)} == {"MONTH_CLOSED"}
    # The closing fell in between, so that the race was run at all.
    assert 0 < (await desk.month()).revisions[-1].responses < RESPONSES
    assert await desk.rows("select 1 from response having count(*) = $1", RESPONSES)
    # Recomputes the cells of every revision and the live ones, and counts the late changes by comparing everything.
    assert await desk.differences() == []
    await settle(desk)
    latest = (await desk.month()).revisions[0]
    assert [{"n": latest.responses}] == await desk.rows("select count(*) as n from response where not excluded")


async def reason_of(call: Awaitable[object]) -> str:
    """Why a call was refused; empty when it was not. Anything but a refusal is raised."""
    try:
        await call
    except DomainError as error:
        return error.reason
    return ""


async def settle(desk: GradeDesk) -> None:
    """Re-opens once more if anything is late, so that the latest revision is everything that is known."""
    if (await desk.month(OCTOBER)).late_changes:
        await desk.reopen()
    assert (await desk.month()).late_changes == 0
