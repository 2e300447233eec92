"""How the two processes that share the reading of a file talk: over two pipes, in pickled things with their lengths."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import IO, Final

from kit.imports.rows import Task

_LENGTH_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Order:
    """What the reading process is given first: the task, and size in bytes and number of pieces of the file.

    It answers with the head of the file and then with batch after batch; an `int` in between asks for that piece.
    """

    task: Task
    size: int
    pieces: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Why the reading process could not go on."""

    error: Exception


class GoneError(Exception):
    """The process at the other end has ended."""


class Pipes:
    """One end of the two pipes; its calls wait."""

    def __init__(self, source: IO[bytes], target: IO[bytes]) -> None:
        self._source = source
        self._target = target

    def send(self, thing: object) -> None:
        """Say something; raises GoneError."""
        content = pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)
        try:
            self._target.write(len(content).to_bytes(_LENGTH_BYTES))
            self._target.write(content)
            self._target.flush()
        except BrokenPipeError:
            raise GoneError from None

    def receive(self) -> object:
        """Wait for what the other one says; raises GoneError."""
        length = int.from_bytes(self._exactly(_LENGTH_BYTES))
        return pickle.loads(self._exactly(length))  # noqa: S301 - from our own process

    def _exactly(self, length: int) -> bytes:
        data = self._source.read(length)
        if len(data) < length:
            raise GoneError
        return data
