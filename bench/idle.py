"""What the five services cost while nobody does anything: resident memory and processor share."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import psutil

from bench.reporting import say
from tests.support.loop import Group
from tests.support.stack import Stack

SETTLE_SECONDS = 5
WATCH_SECONDS = 20


def main() -> None:
    """Starts everything, uses it once, lets it settle, and watches."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Stack(Path(folder)).running() as stack:
        Group(stack).deliver()
        time.sleep(SETTLE_SECONDS)
        watch(stack)


def watch(stack: Stack) -> None:
    """Prints the figures of each service and of all together."""
    processes = {name: psutil.Process(child.pid) for name, child in stack.children.items()}
    before = {name: spent(process) for name, process in processes.items()}
    time.sleep(WATCH_SECONDS)
    memory = {name: process.memory_info().rss / 2**20 for name, process in processes.items()}
    share = {name: (spent(process) - before[name]) / WATCH_SECONDS * 100 for name, process in processes.items()}
    for name in processes:
        say(f"{name} resident", memory[name], "MiB", f"{share[name]:.2f} % of one core")
    total, busy = sum(memory.values()), sum(share.values())
    say("all five services resident", total, "MiB", "goal < 700 MB", met=total * 2**20 < 700e6)
    say("all five services, share of one core", busy, "%", "goal < 3 %", met=busy < 3)


def spent(process: psutil.Process) -> float:
    """Processor seconds so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
