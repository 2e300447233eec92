"""Files in memory, for tests of reading."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kit.imports.normalising import Cell
from kit.imports.reading.open import open_table
from kit.imports.reading.source import Hints, Table
from kit.imports.values import Limits


@dataclass(frozen=True)
class InMemory:
    """A file that comes in pieces of a few bytes."""

    data: bytes
    piece: int = 7

    @property
    def size(self) -> int:
        return len(self.data)

    def pieces(self) -> Iterator[bytes]:
        for start in range(0, len(self.data), self.piece):
            yield self.data[start : start + self.piece]


def opened(
    content: str | bytes, *, piece: int = 4096, limits: Limits | None = None, hints: Hints | None = None
) -> Table:
    data = content.encode() if isinstance(content, str) else content
    return open_table(InMemory(data, piece), hints or Hints(), limits or Limits())


def rows_of(
    content: str | bytes, *, piece: int = 4096, limits: Limits | None = None, hints: Hints | None = None
) -> list[list[Cell]]:
    return [list(row.cells) for row in opened(content, piece=piece, limits=limits, hints=hints).rows]


def written(rows: Sequence[Sequence[str]], *, delimiter: str = ",", newline: str = "\r\n") -> str:
    out = io.StringIO(newline="")
    # The writer forgets to quote a line end that is not its own.
    broken = any("\r" in cell or "\n" in cell for row in rows for cell in row)
    csv.writer(
        out, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL
    ).writerows(rows)
    return out.getvalue()
