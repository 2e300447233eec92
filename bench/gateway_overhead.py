"""What the gateway adds to a unary call: processor time of its process, against the same gRPC call without it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import psutil

from bench.reporting import percentile, say
from dealerloop.sales.v1.deliveries_pb2 import Delivery, GetDeliveryRequest
from kit.rpc.client import Peer
from tests.support.loop import Group
from tests.support.stack import Stack

CALLS = 2_000
WARM_UP = 200


class OnBehalf:
    """The user's own token, as the gateway forwards it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def service_token(self) -> str:
        """The token."""
        return self._token


async def main() -> None:
    """Measures both ways, one call after the other."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder))
        try:
            stack.start()
            await measure(stack)
        finally:
            stack.stop()


async def measure(stack: Stack) -> None:
    """Two rounds of the same read."""
    group = Group(stack)
    delivery = group.deliver()
    token = group.people["general_manager"].headers["Authorization"].removeprefix("Bearer ")
    gateway = psutil.Process(stack.children["gateway"].pid)
    sales = psutil.Process(stack.children["sales"].pid)
    address = next(job.address for job in stack.plan.services if job.name == "sales")
    peer = Peer(address, OnBehalf(token), service="sales")
    request = GetDeliveryRequest(name=delivery["name"])

    async with httpx.AsyncClient(base_url=stack.url, headers={"Authorization": f"Bearer {token}"}) as http:

        async def through() -> None:
            answer = await http.get(f"/v1/{delivery['name']}")
            assert answer.status_code == 200, answer.text

        async def direct() -> None:
            await peer.call("dealerloop.sales.v1.DeliveryService/GetDelivery", request, Delivery, timeout=5)

        idle = cpu(gateway)
        await asyncio.sleep(2)
        idle = (cpu(gateway) - idle) / 2
        alone, sales_alone, _ = await rounds(direct, sales, gateway)
        with_gateway, sales_with, gateway_with = await rounds(through, sales, gateway)
    await peer.close()

    added = gateway_with - idle * sum(with_gateway) / CALLS
    say("gRPC call without the gateway, p50", percentile(alone, 0.5) * 1000, "ms")
    say("the same call through the gateway, p50", percentile(with_gateway, 0.5) * 1000, "ms")
    say("processor time of sales per call, without / with gateway", sales_alone / sales_with, "ratio")
    say("processor time that the gateway adds per call", added * 1000, "ms", "goal < 1 ms", met=added < 0.001)


async def rounds(
    call: Callable[[], Awaitable[None]], sales: psutil.Process, gateway: psutil.Process
) -> tuple[list[float], float, float]:
    """Durations in seconds, and the processor seconds per call of both processes."""
    for _ in range(WARM_UP):
        await call()
    before = cpu(sales), cpu(gateway)
    durations = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        await call()
        durations.append(time.perf_counter() - begin)
    return durations, (cpu(sales) - before[0]) / CALLS, (cpu(gateway) - before[1]) / CALLS


def cpu(process: psutil.Process) -> float:
    """Processor seconds so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    asyncio.run(main())
