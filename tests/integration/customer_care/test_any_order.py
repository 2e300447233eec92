"""Whatever order events come in, and however often: the same follow-ups are open in the end (CARE-01)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest
from google.protobuf.message import Message

from tests.support.care_desk import CareDesk, first_service, visit
from tests.support.deliveries import cancelled, corrected, recorded
from tests.support.statements import counted

Make = Callable[[int], Message]
ORDERS = 12


def _recorded(number: int) -> Message:
    return recorded(number)


def _moved(number: int) -> Message:
    return corrected(number, delivery_date="2026-05-18", consultant_id="han-mei")


def _financed(number: int) -> Message:
    return corrected(number, version=3, delivery_date="2026-05-19", finance_end_date="2028-05-19")


def _cancelled(number: int) -> Message:
    return cancelled(number, version=4)


def _due(number: int) -> Message:
    return first_service(number)


def _due_later(number: int) -> Message:
    return first_service(number, 2, due="2026-12-01")


def _done(number: int) -> Message:
    return first_service(number, 3, due="2026-12-01", done="2026-05-20")


def _visited(number: int) -> Message:
    return visit(number)


HISTORIES: dict[str, Sequence[Make]] = {
    "moved twice": (_recorded, _moved, _financed),
    "moved, first service planned twice": (_recorded, _moved, _due, _due_later),
    "financed, first service made": (_recorded, _financed, _due, _due_later, _done),
    "first service told by a visit": (_recorded, _moved, _due, _visited),
    "cancelled in the end": (_recorded, _moved, _due, _cancelled),
    "cancelled with everything": (_recorded, _moved, _financed, _cancelled, _due, _done, _visited),
}


async def hear(care: CareDesk, batch: Sequence[Message]) -> None:
    """One batch for each subscription, as the streams would bring them."""
    sales = [one for one in batch if one.DESCRIPTOR.full_name.startswith("dealerloop.sales")]
    await care.deliveries(*sales)
    await care.told_of("workshop", *(one for one in batch if one not in sales))


@pytest.mark.parametrize("history", HISTORIES)
async def test_the_open_follow_ups_depend_on_what_happened_and_not_on_the_order(care: CareDesk, history: str) -> None:
    source = random.Random(history)
    streams: dict[int, list[Message]] = {}
    for number in range(1, ORDERS + 1):
        events = [make(number) for make in HISTORIES[history]]
        if number > 1:
            # The first one hears everything once and in order; the others anyhow, some of it twice or three times.
            events += source.choices(events, k=source.randrange(4))
            source.shuffle(events)
        streams[number] = events
    while any(streams.values()):
        batch: list[Message] = []
        for events in streams.values():
            taken = source.randrange(1, 3)
            batch += events[:taken]
            del events[:taken]
        await hear(care, batch)

    rows = await care.rows(
        "select delivery_id::text, step, occurrence, owner_id, window_start_date, window_end_date, state "
        "from follow_up where state in ('PLANNED', 'EXPIRED_ON_ARRIVAL', 'CLOSED')"
    )
    found: dict[str, set[tuple[object, ...]]] = defaultdict(set)
    for row in rows:
        found[row.pop("delivery_id")].add(tuple(row.values()))
    plans = [found[recorded(number).delivery_id] for number in range(1, ORDERS + 1)]
    assert plans[0] or "cancelled" in history
    assert all(plan == plans[0] for plan in plans)
    timers = await care.rows("select due_at, count(*) as n from timer group by due_at")
    assert [timer["n"] for timer in timers] == ([ORDERS] if plans[0] else [])
    open_surveys = await care.rows("select expire_time, count(*) as n from survey where state = 'OPEN' group by 1")
    assert [survey["n"] for survey in open_surveys] == ([ORDERS] if plans[0] else [])


async def test_planning_costs_the_same_number_of_statements_however_many_there_are(care: CareDesk) -> None:
    await care.deliveries(recorded(1))
    with counted(care.database) as one:
        await care.deliveries(recorded(2))
    with counted(care.database) as many:
        await care.deliveries(*(recorded(number) for number in range(3, 203)))
    with counted(care.database) as one_changed:
        await care.deliveries(corrected(1, delivery_date="2026-05-22"))
    with counted(care.database) as many_changed:
        await care.deliveries(*(corrected(number, delivery_date="2026-05-22") for number in range(2, 203)))
    with counted(care.database) as many_services:
        await care.told_of("workshop", *(first_service(number) for number in range(1, 203)))

    # Many events are copied into the outbox, which is no statement here.
    assert len(many) <= len(one) <= 9, many
    assert len(many_changed) <= len(one_changed) <= 14, many_changed
    assert len(many_services) <= 14
