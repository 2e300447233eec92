"""What the gateway adds to a unary call: processor time of its process, against the same gRPC call without it.

Both ways alternate in short rounds, so that whatever else the machine does falls on both, and the median of the rounds
counts. A busy machine makes every call dearer (cold caches): the bare gRPC call of the same rounds says by how much.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import psutil
import uvloop

from bench.reporting import percentile, say
from dealerloop.sales.v1.deliveries_pb2 import Delivery, GetDeliveryRequest
from kit.rpc.client import Peer
from tests.support.loop import Group
from tests.support.stack import Stack

CALLS = 400
ROUNDS = 9
WARM_UP = 300
IDLE_SECONDS = 3.0
IN_FLIGHT = (1, 8)
GOAL_MS = 1.0

Call = Callable[[], Awaitable[None]]


class OnBehalf:
    """The user's own token, as the gateway forwards it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def service_token(self) -> str:
        """The token."""
        return self._token


@dataclass(frozen=True)
class Round:
    """Milliseconds: how long the calls took, and the processor time per call of each process."""

    durations: list[float]
    elapsed: float
    processor: dict[str, float]


def main() -> None:
    """Starts the product, measures, stops it."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Stack(Path(folder)).running() as stack,
        # The same event loop as the services', or the bare call would look dearer than it is.
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(measure(stack))


async def measure(stack: Stack) -> None:
    """The same read both ways, one at a time and several at once."""
    group = Group(stack)
    delivery = group.deliver()
    token = group.people["general_manager"].headers["Authorization"].removeprefix("Bearer ")
    processes = {name: psutil.Process(stack.children[name].pid) for name in ("gateway", "sales")}
    processes["bench"] = psutil.Process(os.getpid())
    address = next(job.address for job in stack.plan.services if job.name == "sales")
    peer = Peer(address, OnBehalf(token), service="sales")
    request = GetDeliveryRequest(name=delivery["name"])

    async with httpx.AsyncClient(base_url=stack.url, headers={"Authorization": f"Bearer {token}"}) as http:

        async def through() -> None:
            answer = await http.get(f"/v1/{delivery['name']}")
            assert answer.status_code == 200, answer.text

        async def direct() -> None:
            await peer.call("dealerloop.sales.v1.DeliveryService/GetDelivery", request, Delivery, timeout=5)

        before = cpu(processes["gateway"])
        await asyncio.sleep(IDLE_SECONDS)
        idle = (cpu(processes["gateway"]) - before) / IDLE_SECONDS
        for in_flight in IN_FLIGHT:
            await one_round(direct, WARM_UP, in_flight, processes)
            await one_round(through, WARM_UP, in_flight, processes)
            bare, whole = [], []
            for _ in range(ROUNDS):
                bare.append(await one_round(direct, CALLS, in_flight, processes))
                whole.append(await one_round(through, CALLS, in_flight, processes))
            report(in_flight, bare, whole, idle)
    await peer.close()


async def one_round(call: Call, calls: int, in_flight: int, processes: dict[str, psutil.Process]) -> Round:
    """Makes the calls, `in_flight` of them at a time."""
    durations: list[float] = []

    async def caller() -> None:
        for _ in range(calls // in_flight):
            begin = time.perf_counter()
            await call()
            durations.append((time.perf_counter() - begin) * 1000)

    begin = time.perf_counter()
    before = {name: cpu(process) for name, process in processes.items()}
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    spent = {name: (cpu(process) - before[name]) * 1000 / len(durations) for name, process in processes.items()}
    return Round(durations, (time.perf_counter() - begin) * 1000, spent)


def report(in_flight: int, bare: list[Round], whole: list[Round], idle: float) -> None:
    """The medians; `idle` is the share of a core that the gateway takes without any call."""
    print(f"{in_flight} in flight", flush=True)
    added = median(r.processor["gateway"] - idle * r.elapsed / len(r.durations) for r in whole)
    client = median(r.processor["bench"] for r in bare)
    sales = median(r.processor["sales"] for r in bare), median(r.processor["sales"] for r in whole)
    say("  gRPC call without the gateway, p50", median(percentile(r.durations, 0.5) for r in bare), "ms")
    say("  the same call through the gateway, p50", median(percentile(r.durations, 0.5) for r in whole), "ms")
    say("  processor time of sales per call, without the gateway", sales[0], "ms")
    say("  processor time of sales per call, with it", sales[1], "ms")
    say("  processor time of the gRPC call's client, without it", client, "ms")
    say(
        "  processor time that the gateway adds per call",
        added,
        "ms",
        f"goal < {GOAL_MS:.0f} ms",
        met=added < GOAL_MS,
    )
    say("  the same in gRPC client calls of this run", added / client, "ratio")


def cpu(process: psutil.Process) -> float:
    """Processor seconds so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
