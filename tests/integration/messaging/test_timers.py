"""Timers survive restarts, fire once and on time, and a bad one hurts only itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from kit import timers
from kit.clock import ManualClock, SystemClock
from kit.db.engine import Database, raw_connection
from kit.db.scope import Scope
from kit.timers import Firing, NewTimer, TimerWorker
from kit.wake import Listener, Notifier
from tests.support.pond import START, TEST, Pond, until

MINUTE = timedelta(minutes=1)


@dataclass
class Alarm:
    """Writes down what fires, in memory and in the firing's transaction."""

    fired: list[tuple[str, datetime]] = field(default_factory=list)
    payloads: list[Mapping[str, object]] = field(default_factory=list)
    bad: set[str] = field(default_factory=set)
    again: dict[str, datetime] = field(default_factory=dict)
    gate: asyncio.Event | None = None

    async def fire(self, firing: Firing) -> None:
        connection = await raw_connection(firing.session)
        for item in firing.items:
            await connection.execute("INSERT INTO caught VALUES ($1, $2, $3)", firing.kind, item.key, item.attempts)
        if self.gate is not None:
            await self.gate.wait()
        for item in firing.items:
            if item.key in self.bad:
                raise RuntimeError("a bad timer")
            if due := self.again.pop(item.key, None):
                await timers.schedule(firing.session, firing.kind, item.key, due, {"round": 2})
            self.fired.append((item.key, firing.now))
            self.payloads.append(item.payload)

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.fired]


def worker(pond: Pond, alarm: Alarm, *kinds: str, batch_size: int = 200) -> TimerWorker:
    handlers = dict.fromkeys(kinds or ("ring",), alarm.fire)
    return TimerWorker(pond.database, pond.clock, handlers, batch_size=batch_size)


async def schedule(pond: Pond, *keys: str, due_at: datetime = START + MINUTE, kind: str = "ring") -> None:
    async with pond.database.transaction(TEST) as session:
        await timers.schedule_many(session, kind, [NewTimer(key, due_at, {"of": key}) for key in keys])


async def test_a_timer_fires_when_it_is_due_and_not_before(pond: Pond, clock: ManualClock) -> None:
    alarm = Alarm()
    await schedule(pond, "a")
    clock.advance(MINUTE - timedelta(microseconds=1))
    assert await worker(pond, alarm).fire_due() == 0

    clock.advance(timedelta(microseconds=1))

    assert await worker(pond, alarm).fire_due() == 1
    assert alarm.fired == [("a", START + MINUTE)]
    assert alarm.payloads == [{"of": "a"}]


async def test_a_timer_that_fired_is_gone(pond: Pond, clock: ManualClock) -> None:
    alarm = Alarm()
    await schedule(pond, "a")
    clock.advance(MINUTE)

    await worker(pond, alarm).fire_due()
    clock.advance(MINUTE)

    assert await worker(pond, alarm).fire_due() == 0
    assert await worker(pond, alarm).next_due() is None


async def test_timers_of_one_kind_fire_together_in_the_order_in_which_they_were_due(
    pond: Pond, clock: ManualClock
) -> None:
    alarm = Alarm()
    await schedule(pond, "late", due_at=START + 2 * MINUTE)
    await schedule(pond, "early", due_at=START + MINUTE)
    clock.advance(3 * MINUTE)

    assert await worker(pond, alarm).fire_due() == 2
    assert alarm.keys == ["early", "late"]


async def test_scheduling_again_moves_a_timer(pond: Pond, clock: ManualClock) -> None:
    alarm = Alarm()
    await schedule(pond, "a")
    await schedule(pond, "a", due_at=START + 5 * MINUTE)
    clock.advance(MINUTE)
    assert await worker(pond, alarm).fire_due() == 0

    clock.advance(4 * MINUTE)

    assert await worker(pond, alarm).fire_due() == 1


async def test_a_cancelled_timer_never_fires(pond: Pond, clock: ManualClock) -> None:
    await schedule(pond, "a", "b", "c")
    async with pond.database.transaction(TEST) as session:
        assert await timers.cancel(session, "ring", "a", "c", "unknown") == 2
    clock.advance(MINUTE)

    alarm = Alarm()
    await worker(pond, alarm).fire_due()

    assert alarm.keys == ["b"]


async def test_a_timer_of_a_transaction_that_was_rolled_back_never_was(pond: Pond) -> None:
    try:
        async with pond.database.transaction(TEST) as session:
            await timers.schedule(session, "ring", "a", START)
            _ = 1 // 0
    except ZeroDivisionError:
        pass

    assert await worker(pond, Alarm()).next_due() is None


async def test_a_handler_may_schedule_its_timer_again(pond: Pond, clock: ManualClock) -> None:
    alarm = Alarm(again={"a": START + 3 * MINUTE})
    await schedule(pond, "a")
    clock.advance(MINUTE)
    await worker(pond, alarm).fire_due()

    assert await worker(pond, alarm).next_due() == START + 3 * MINUTE
    clock.advance(2 * MINUTE)
    await worker(pond, alarm).fire_due()

    assert alarm.keys == ["a", "a"]
    assert alarm.payloads[1] == {"round": 2}


async def test_two_workers_never_fire_the_same_timer(pond: Pond, clock: ManualClock) -> None:
    await schedule(pond, *(f"t{number:03}" for number in range(200)))
    clock.advance(MINUTE)
    alarms = [Alarm(), Alarm(), Alarm()]
    workers = [worker(pond, alarm, batch_size=20) for alarm in alarms]

    async def exhaust(one: TimerWorker) -> None:
        while await one.fire_due() or await one.next_due():
            continue

    await asyncio.gather(*(exhaust(one) for one in workers))

    fired = [key for alarm in alarms for key in alarm.keys]
    assert sorted(fired) == [f"t{number:03}" for number in range(200)]


async def test_what_another_worker_is_firing_is_not_waited_for(pond: Pond, clock: ManualClock) -> None:
    slow, quick = Alarm(gate=asyncio.Event()), Alarm()
    assert slow.gate is not None
    await schedule(pond, "held")
    clock.advance(MINUTE)
    async with asyncio.TaskGroup() as group:
        held = group.create_task(worker(pond, slow).fire_due())
        await asyncio.sleep(0.2)
        await schedule(pond, "free", due_at=START)

        async with asyncio.timeout(3):
            assert await worker(pond, quick).fire_due() == 1
        slow.gate.set()
        assert await held == 1

    assert (slow.keys, quick.keys) == (["held"], ["free"])


async def test_a_bad_timer_backs_off_alone(pond: Pond, clock: ManualClock) -> None:
    alarm = Alarm(bad={"bad"})
    await schedule(pond, "a", "bad", "b")
    clock.advance(MINUTE)

    await worker(pond, alarm).fire_due()

    assert await pond.caught("ring") == ["a", "b"]
    [row] = await pond.fetch("SELECT key, due_at, wake_time, attempts, last_error FROM timer")
    now = clock.now()
    assert tuple(row) == ("bad", now, now + timedelta(seconds=5), 1, "RuntimeError: a bad timer")

    assert await worker(pond, alarm).fire_due() == 0
    clock.advance(timedelta(seconds=5))
    await worker(pond, alarm).fire_due()
    assert await pond.value("SELECT wake_time FROM timer") == clock.now() + timedelta(seconds=10)

    alarm.bad.clear()
    clock.advance(timedelta(seconds=10))
    await worker(pond, alarm).fire_due()
    assert await pond.value("SELECT version FROM caught WHERE pebble_id = 'bad'") == 2


async def test_a_worker_fires_only_the_kinds_it_knows(pond: Pond, clock: ManualClock) -> None:
    alarm = Alarm()
    await schedule(pond, "a", kind="other")
    clock.advance(MINUTE)

    assert await worker(pond, alarm, "ring", "buzz").fire_due() == 0
    assert await worker(pond, alarm, "other").fire_due() == 1


async def test_a_running_worker_is_exact_to_a_second(pond: Pond) -> None:
    alarm = Alarm()
    real = Pond(pond.database, pond.jetstream, SystemClock())
    running = worker(real, alarm)
    async with asyncio.TaskGroup() as group:
        group.create_task(running.run())
        await asyncio.sleep(0.2)
        due_at = datetime.now(UTC) + timedelta(seconds=1.5)
        await schedule(real, "a", due_at=due_at)
        await until(lambda: _fired(alarm))
        running.stop()

    [(_, fired_at)] = alarm.fired
    assert timedelta() <= fired_at - due_at < timedelta(seconds=0.5)


async def test_a_timer_that_another_process_schedules_wakes_the_worker_too(pond: Pond) -> None:
    alarm = Alarm()
    url = pond.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    other = Pond(Database(url), pond.jetstream, SystemClock())
    running = worker(Pond(pond.database, pond.jetstream, SystemClock()), alarm)
    async with asyncio.TaskGroup() as group:
        group.create_task(running.run())
        jobs = [
            group.create_task(Listener(pond.database).run()),
            group.create_task(Notifier(other.database).run()),
        ]
        await asyncio.sleep(0.4)
        await schedule(other, "a", due_at=datetime.now(UTC))
        await until(lambda: _fired(alarm), seconds=1)
        running.stop()
        for job in jobs:
            job.cancel()
    await other.database.close()


async def test_timers_are_found_by_an_index_however_many_wait(pond: Pond) -> None:
    await schedule(pond, *(f"t{number}" for number in range(2000)))
    async with pond.database.transaction(Scope.system("test")) as session:
        connection = await raw_connection(session)
        plan = await connection.fetch(f"EXPLAIN {timers._NEXT}", ["ring", "buzz"])

    assert "timer_wake_time_idx" in "\n".join(row[0] for row in plan)


async def _fired(alarm: Alarm) -> bool:
    return bool(alarm.fired)
