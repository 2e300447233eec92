"""The process of its own in which a large file is read, see `kit.imports.readers`: `python -m kit.imports.apart`."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Iterator

from kit.imports.messages import Failed, GoneError, Order, Pipes
from kit.imports.rows import Rows


class _Asked:
    """A file whose pieces the parent has."""

    def __init__(self, pipes: Pipes, order: Order) -> None:
        self._pipes = pipes
        self._pieces = order.pieces
        self.size = order.size

    def pieces(self) -> Iterator[bytes]:
        for number in range(self._pieces):
            self._pipes.send(number)
            piece = self._pipes.receive()
            assert isinstance(piece, bytes)
            yield piece


def main() -> None:
    """Read one file for the parent, and end with it."""
    # A terminal sends this to both; the parent knows what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever is printed by mistake is no message.
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    pipes = Pipes(sys.stdin.buffer, messages)
    try:
        order = pipes.receive()
        assert isinstance(order, Order)
        _read(pipes, order)
    except GoneError:
        # Without the end of an interpreter, which would try to flush what nobody reads.
        os._exit(0)


def _read(pipes: Pipes, order: Order) -> None:
    # What is here lives as long as the process.
    gc.freeze()
    try:
        rows = Rows(order.task, _Asked(pipes, order))
        pipes.send(rows.head)
        while (batch := rows.next()).rows:
            pipes.send(batch)
        pipes.send(batch)
    except GoneError:
        raise
    except Exception as error:
        pipes.send(Failed(_portable(error)))


def _portable(error: Exception) -> Exception:
    """The error as the parent can raise it; its traceback stays here, and goes as a note."""
    try:
        portable: Exception = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:
        portable = RuntimeError(type(error).__name__)
    portable.add_note("".join(traceback.format_tb(error.__traceback__)))
    return portable


if __name__ == "__main__":
    main()
