"""From the POST of a delivery to readable follow-ups, at 50 deliveries a second; then everything is counted."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import uvloop

from bench.reporting import percentile, say
from tests.support.loop import Group
from tests.support.stack import Stack

# Looking costs processor time too, on the same two cores, and more than recording does. So only some deliveries are
# watched, the rest are counted at the end; and who has waited longer looks less often, so that a machine that is behind
# is not held there by the looking.
WATCHED = 5
FIRST_LOOK_SECONDS = 0.03
PAUSE_SECONDS = 0.02
PAUSE_GROWTH = 1.5
PLAN = 10


async def one(
    http: httpx.AsyncClient, reader: httpx.AsyncClient, store: str, body: dict[str, object], *, watched: bool
) -> tuple[float, float | None]:
    """Seconds until the POST was answered, and until the plan could be read if that is watched."""
    begin = time.perf_counter()
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    answer = await http.post(f"/v1/{store}/deliveries", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    posted = time.perf_counter() - begin
    if not watched:
        return posted, None
    name = answer.json()["name"]
    pause = FIRST_LOOK_SECONDS
    while True:
        await asyncio.sleep(pause)
        plan = await reader.get(f"/v1/{store}/followUps", params={"delivery": name, "pageSize": "20"})
        assert plan.status_code == 200, plan.text
        if len(plan.json()["followUps"]) >= PLAN:
            return posted, time.perf_counter() - begin
        pause = PAUSE_SECONDS if pause == FIRST_LOOK_SECONDS else pause * PAUSE_GROWTH


async def load(stack: Stack, group: Group, per_second: int, seconds: int) -> list[tuple[float, float | None]]:
    """An open loop: a delivery starts when its time has come, whatever became of those before."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    bodies = [group.new_delivery() for _ in range(per_second * seconds)]
    writer_token = group.people["information_clerk"].headers["Authorization"]
    reader_token = group.people["care_manager"].headers["Authorization"]
    async with (
        httpx.AsyncClient(
            base_url=stack.url, limits=limits, timeout=30, headers={"Authorization": writer_token}
        ) as writer,
        httpx.AsyncClient(
            base_url=stack.url, limits=limits, timeout=30, headers={"Authorization": reader_token}
        ) as reader,
    ):
        for body in bodies[:20]:
            await one(writer, reader, group.store, body, watched=True)
        spent = processor_seconds(stack)
        begin = time.perf_counter()
        tasks = []
        async with asyncio.TaskGroup() as running:
            for number, body in enumerate(bodies[20:]):
                await asyncio.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
                tasks.append(running.create_task(one(writer, reader, group.store, body, watched=number % WATCHED == 0)))
        for name, total in processor_seconds(stack).items():
            say(f"processor time of {name} per delivery", (total - spent[name]) * 1000 / len(tasks), "ms")
    return [task.result() for task in tasks]


def processor_seconds(stack: Stack) -> dict[str, float]:
    """Processor seconds so far of every part, the servers and this bench included."""
    here = psutil.Process()
    own = {child.pid: name for name, child in stack.children.items()}
    seconds = dict.fromkeys([*own.values(), "servers", "bench"], 0.0)
    for process in [here, *here.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            name = "bench" if process.pid == here.pid else own.get(process.pid, "servers")
            seconds[name] += times.user + times.system
    return seconds


def main() -> None:
    """Runs the load and counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-second", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Stack(Path(folder)).running() as stack:
        group = Group(stack)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            measured = runner.run(load(stack, group, arguments.per_second, arguments.seconds))
        report(stack, measured, arguments.per_second * arguments.seconds)


def report(stack: Stack, measured: list[tuple[float, float | None]], deliveries: int) -> None:
    """The figures, and whether every delivery has exactly one of everything."""
    posted = [first * 1000 for first, _ in measured]
    readable = [second * 1000 for _, second in measured if second is not None]
    say("POST answered, p50", percentile(posted, 0.5), "ms")
    say("POST answered, p99", percentile(posted, 0.99), "ms")
    p50, p99 = percentile(readable, 0.5), percentile(readable, 0.99)
    say("POST → follow-ups readable, p50", p50, "ms", "goal < 100 ms", met=p50 < 100)
    say("POST → follow-ups readable, p99", p99, "ms", "goal < 500 ms", met=p99 < 500)

    def found() -> dict[str, int]:
        return {
            "sales.delivery": stack.count("sales", "select count(*) from delivery"),
            "customer_care.care_plan": stack.count("customer_care", "select count(*) from care_plan"),
            "customer_care.survey": stack.count("customer_care", "select count(*) from survey"),
            "aftersales.vehicle": stack.count("aftersales", "select count(*) from vehicle"),
            "scoring.sample_frame": stack.count("scoring", "select count(*) from sample_frame"),
        }

    stack.wait_for("everything to arrive", lambda: min(found().values()) >= deliveries, seconds=30)
    for table, count in found().items():
        say(f"rows in {table}", count, "rows", f"goal {deliveries}", met=count == deliveries)


if __name__ == "__main__":
    main()
