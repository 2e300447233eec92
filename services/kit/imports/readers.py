"""Where a file is read: a small one in a thread, a large one in a process of its own.

A process of its own has an interpreter of its own: the calls of the service do not wait for it, and the next rows are
read while the last ones are written. It knows neither the database nor a key: it asks for the pieces of the file, and
gives back what it made of the rows. It ends with its parent, whose pipe it reads from and writes to.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kit.imports.messages import Failed, GoneError, Order, Pipes
from kit.imports.rows import Batch, Head, Rows, Task
from kit.settings import PREFIX


@dataclass(frozen=True, slots=True)
class File:
    """A stored file.

    Attributes:
        size: in bytes.
        pieces: how many it has.
        piece: fetches one of them, from 0.
    """

    size: int
    pieces: int
    piece: Callable[[int], Awaitable[bytes]]


class ReaderEndedError(Exception):
    """The process that read the file ended by itself."""


class Reader(Protocol):
    """Reads one file."""

    @property
    def head(self) -> Head:
        """What was found out about the file as a whole."""
        ...

    async def next(self) -> Batch:
        """What was found out about the next rows; raises FileRefusedError, and whatever a checker raises."""
        ...


@asynccontextmanager
async def opened(task: Task, file: File) -> AsyncIterator[Reader]:
    """Open a file where its size belongs; raises FileRefusedError, here and while it is read."""
    if file.size > task.limits.apart_bytes:
        # Not by the event loop: uvloop forks, which gRPC's threads take part in; `subprocess` does without.
        apart = _Apart(await asyncio.to_thread(_start), file)
        try:
            await apart.open(task)
            yield apart
        finally:
            await apart.end()
    else:
        content = _Fetched(file, asyncio.get_running_loop())
        yield _Here(await asyncio.to_thread(Rows, task, content))


class _Here:
    """Reads in a thread."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.head = rows.head

    async def next(self) -> Batch:
        return await asyncio.to_thread(self._rows.next)


class _Fetched:
    """A file that is read in a thread while the event loop fetches its pieces."""

    def __init__(self, file: File, loop: asyncio.AbstractEventLoop) -> None:
        self._file = file
        self._loop = loop
        self.size = file.size

    def pieces(self) -> Iterator[bytes]:
        for number in range(self._file.pieces):
            yield asyncio.run_coroutine_threadsafe(_fetched(self._file, number), self._loop).result()


async def _fetched(file: File, number: int) -> bytes:
    return await file.piece(number)


class _Apart:
    """Reads in a process of its own."""

    head: Head

    def __init__(self, process: subprocess.Popen[bytes], file: File) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._pipes = Pipes(process.stdout, process.stdin)
        self._file = file
        self._coming: asyncio.Task[object] | None = None

    async def open(self, task: Task) -> None:
        found = await self._answer(Order(task, self._file.size, self._file.pieces))
        assert isinstance(found, Head)
        self.head = found

    async def next(self) -> Batch:
        coming = self._coming or asyncio.create_task(self._answer())
        self._coming = None
        found = await coming
        assert isinstance(found, Batch)
        if found.rows:
            # It comes while these rows are worked on.
            self._coming = asyncio.create_task(self._answer())
        return found

    async def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        if self._coming is not None:
            await asyncio.gather(self._coming, return_exceptions=True)
        await asyncio.to_thread(self._process.__exit__, None, None, None)

    async def _answer(self, order: Order | None = None) -> object:
        """The next thing that is no question for a piece of the file; before it, what is ordered."""
        try:
            if order is not None:
                await asyncio.to_thread(self._pipes.send, order)
            while isinstance(said := await asyncio.to_thread(self._pipes.receive), int):
                await asyncio.to_thread(self._pipes.send, await self._file.piece(said))
        except GoneError:
            code = await asyncio.to_thread(self._process.wait)
            raise ReaderEndedError(f"exit code {code}") from None
        if isinstance(said, Failed):
            raise said.error
        return said


def _start() -> subprocess.Popen[bytes]:
    # It gets no settings of the service: they name the database and the keys.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    # The checker is found where this process found it.
    environment["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    command = (sys.executable, "-m", "kit.imports.apart")
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)  # noqa: S603
