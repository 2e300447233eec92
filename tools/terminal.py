"""What a person at the terminal sees: progress while something takes time, tables, plain errors.

On a terminal a long step is a moving line with its time; in a log file it is one line at its begin and one at its end.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

OK = "✓"
BAD = "✗"


class Trouble(Exception):
    """Something that the person must know; shown as it is, without a traceback, and the command fails."""


def is_terminal() -> bool:
    """Whether a person watches."""
    return sys.stderr.isatty()


def say(text: str = "") -> None:
    """A line of the command's own output."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    """A line beside the output: progress, warnings."""
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> None:
    """Writes a line; that the reader has gone (`./dev up | head`) must not end what was begun."""
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Work:
    """A step under way; its text may change while it goes on. With `total` it knows how far it is."""

    def __init__(self, text: str, total: float | None = None) -> None:
        self.text = text
        self._total = total
        self._told = 0
        self._begin = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it takes already."""
        return time.monotonic() - self._begin

    def now(self, text: str) -> None:
        """Says what it is doing now."""
        self.text = text

    def reach(self, done: float, text: str) -> None:
        """Says how much of the total is done; a log file gets a line for every tenth."""
        tenths = int(10 * done / self._total) if self._total else 0
        if tenths > self._told:
            self._told = tenths
            note(f"  {tenths * 10:>3} %  {text}")


class _Live(Work):
    """A step drawn by rich."""

    def __init__(self, text: str, total: float | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

        super().__init__(text, total)
        bar = () if total is None else (BarColumn(), TaskProgressColumn())
        columns = (SpinnerColumn(), *bar, TextColumn("{task.description}"), TimeElapsedColumn())
        self.display = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self.display.add_task(text, total=total)

    def now(self, text: str) -> None:
        super().now(text)
        self.display.update(self._task, description=text)

    def reach(self, done: float, text: str) -> None:
        self.display.update(self._task, completed=done, description=text)


@contextmanager
def working(text: str, total: float | None = None) -> Iterator[Work]:
    """Shows a long step while it goes on, and its time when it is done; with a `total` also how far it is."""
    work = _Live(text, total) if is_terminal() else Work(text, total)
    try:
        if isinstance(work, _Live):
            with work.display:
                yield work
        else:
            note(f"{text} …")
            yield work
    except BaseException:
        note(f"{BAD} {work.text}  {work.seconds:.1f} s")
        raise
    note(f"{OK} {work.text}  {work.seconds:.1f} s")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns under a header; the same on a terminal and in a file, so that it can be read by a script.

    A Chinese character takes two places of a terminal.
    """
    from rich.cells import cell_len

    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def confirm(question: str) -> bool:
    """Asks; without a person there the answer is no."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
