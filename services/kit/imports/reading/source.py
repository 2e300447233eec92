"""What readers start from, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from kit.imports.normalising import Cell


class Content(Protocol):
    """A file, from its beginning as often as it is asked for; read in a thread, never in the event loop."""

    @property
    def size(self) -> int:
        """Its size in bytes."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, piece by piece."""
        ...


@dataclass(frozen=True, slots=True)
class Hints:
    """What the mapping says about the file; empty where it is to be recognised."""

    sheet: str = ""
    encoding: str = ""
    delimiter: str = ""


class SourceRow(NamedTuple):
    """A row as it stands in the file: its number as a spreadsheet shows it, and its cells."""

    number: int
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file, to be read once.

    Attributes:
        recognised: what was found out about the file, for people: `kind`, `encoding`, `delimiter`, `sheet`.
        rows: every row that is not blank, in order; raises FileRefusedError where it cannot go on.
        progress: share of the file that was read, 0 to 1.
        merged: by row number the first and last places of the merged ranges that it takes part in.
        days_from_1904: whether its plain numbers count days from 1904, as some workbooks do.
        strict_width: whether a row with more cells than the header was read wrongly.
    """

    recognised: dict[str, str]
    rows: Iterator[SourceRow]
    progress: Callable[[], float]
    merged: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    days_from_1904: bool = False
    strict_width: bool = False
