"""Texts that a workbook keeps once and its cells refer to: the reader copies one for every cell.

So a small file can fill the memory: one long text, and many cells with its number. What the copies would need is found
out by a parser of XML, not by patterns, since here it is the numbers themselves that must be believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final
from xml.parsers import expat

from kit.imports.values import FileRefusedError, Limits

MOST_COPIED: Final = 256 * 1024 * 1024
"""Bytes of text that the cells of one sheet may have from here."""
PART: Final = "xl/sharedstrings.xml"
"""The part with the texts, in lower case: its name counts in any."""
_MOST_DIGITS: Final = 9


class SharedTexts:
    """The length in bytes of every shared text, by number."""

    def __init__(self, pieces: Iterator[bytes], limits: Limits) -> None:
        """Raises FileRefusedError: FILE_TOO_LARGE, FILE_DAMAGED."""
        self._lengths: list[int] = []
        self._most = limits.area
        _parse(pieces, self._start, None, self._text)

    def may_fill(self, cells: int) -> bool:
        """Whether so many cells could hold too much, if each had the longest text."""
        return cells * max(self._lengths, default=0) > MOST_COPIED

    def weigh(self, pieces: Iterator[bytes]) -> None:
        """Refuse a part of the workbook whose cells copy too much. Raises FileRefusedError as `__init__` does."""
        cells = _Cells(self._lengths)
        _parse(pieces, cells.start, cells.end, cells.text)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        if _local(name) == "si":
            if len(self._lengths) == self._most:
                raise FileRefusedError("FILE_TOO_LARGE", f"The workbook has more than {self._most} different texts.")
            self._lengths.append(0)

    def _text(self, text: str) -> None:
        if self._lengths:
            self._lengths[-1] += len(text.encode())


class _Cells:
    """Adds up the texts of one sheet's cells."""

    def __init__(self, lengths: list[int]) -> None:
        self._lengths = lengths
        self._longest = max(lengths, default=0)
        self._shared = False
        self._number = ""
        self._copied = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._number = ""
        if _local(name) == "c":
            self._shared = attributes.get("t") == "s"

    def text(self, text: str) -> None:
        if self._shared and len(self._number) <= _MOST_DIGITS:
            self._number += text.strip()

    def end(self, _name: str) -> None:
        number, self._number = self._number, ""
        if self._shared and number:
            self._copied += self._length(number)
            if self._copied > MOST_COPIED:
                raise FileRefusedError(
                    "FILE_TOO_LARGE",
                    f"The cells of a sheet hold more than {MOST_COPIED} bytes of text: shorten the long ones, or "
                    "split the list.",
                )

    def _length(self, number: str) -> int:
        # Another reader may make a number of what is none here.
        if len(number) > _MOST_DIGITS or not number.isdecimal():
            return self._longest
        return self._lengths[int(number)] if int(number) < len(self._lengths) else 0


def _parse(
    pieces: Iterator[bytes],
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None,
    text: Callable[[str], None],
) -> None:
    parser: Any = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        for piece in pieces:
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise FileRefusedError(
            "FILE_DAMAGED", "The workbook is damaged: open it in Excel and save it again."
        ) from error


def _refuse_doctype(*_: object) -> None:
    raise FileRefusedError("FILE_DAMAGED", "The workbook defines markup of its own, which no spreadsheet does.")


def _local(name: str) -> str:
    return name.rpartition(":")[2]
