"""Text with delimiters, read piece by piece: memory does not grow with the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from kit.imports.reading.encodings import recognise_encoding
from kit.imports.reading.source import Content, Hints, SourceRow, Table
from kit.imports.values import FileRefusedError, Limits

_SAMPLE_CHARACTERS: Final = 65_536
_SAMPLE_LINES: Final = 30
_DELIMITERS: Final = (",", "\t", ";", "|")
_WORDS: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_BUFFER_BYTES: Final = 65_536


def read(content: Content, hints: Hints, limits: Limits) -> Table:
    """The rows of a text file; raises FileRefusedError at once or while they are read, see `open_table`."""
    encoding = recognise_encoding(content, hints.encoding)
    delimiter = given_delimiter(hints.delimiter) or _recognise_delimiter(_sample(content, encoding))
    stream = _Stream(content)
    return Table(
        recognised={"kind": "text", "encoding": encoding, "delimiter": "tab" if delimiter == "\t" else delimiter},
        rows=_rows(stream, encoding, delimiter, limits),
        progress=lambda: stream.position / max(content.size, 1),
        strict_width=True,
    )


def given_delimiter(text: str) -> str:
    """The delimiter that a mapping names, one character or a word such as `tab`; empty when it names none.

    Raises ValueError when it can be no delimiter.
    """
    delimiter = _WORDS.get(text.casefold(), text)
    if len(delimiter) > 1 or delimiter in {'"', "\n", "\r", "\0", "\ufeff"}:
        raise ValueError("a delimiter is one character")
    return delimiter


class _Stream(io.RawIOBase):
    """The pieces of a file as one stream."""

    def __init__(self, content: Content) -> None:
        super().__init__()
        self._pieces = content.pieces()
        self._rest = memoryview(b"")
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stub wants any buffer
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self.position += count
        return count


def _open(stream: _Stream, encoding: str) -> io.TextIOWrapper:
    # newline="": line ends stay as they are, so that those inside of a cell do too.
    return io.TextIOWrapper(io.BufferedReader(stream, _BUFFER_BYTES), encoding, errors="strict", newline="")


def _sample(content: Content, encoding: str) -> str:
    return _open(_Stream(content), encoding).read(_SAMPLE_CHARACTERS).removeprefix("\ufeff")


def _recognise_delimiter(sample: str) -> str:
    """The delimiter that cuts the most of the first lines into the same number of cells, more than one."""
    best, delimiter = (0, 0), ","
    for candidate in _DELIMITERS:
        widths = _widths(sample, candidate)
        width = max(set(widths), key=lambda one: (widths.count(one), one), default=0)
        if width > 1 and (widths.count(width), width) > best:
            best, delimiter = (widths.count(width), width), candidate
    return delimiter


def _widths(sample: str, delimiter: str) -> list[int]:
    widths: list[int] = []
    try:
        # The last line may be cut off.
        for cells in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
            if any(cells):
                widths.append(len(cells))
            if len(widths) > _SAMPLE_LINES:
                break
    except csv.Error:
        pass
    return widths[:-1] if len(widths) > 1 else widths


def _rows(stream: _Stream, encoding: str, delimiter: str, limits: Limits) -> Iterator[SourceRow]:
    lines = _Lines(_open(stream, encoding), limits.columns * limits.cell_characters)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number = 0
    while True:
        first_line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _broken(str(error), first_line) from None
        number += 1
        if len(cells) > limits.columns and any(cells[limits.columns :]):
            raise FileRefusedError("COLUMNS_TOO_MANY", f"Row {number} has more than {limits.columns} columns.")
        if any(cells):
            yield SourceRow(number, cells)


def _broken(error: str, line: int) -> FileRefusedError:
    if "field limit" in error:
        return FileRefusedError(
            "QUOTE_BROKEN", f"A cell that begins in line {line} does not end: is a quotation mark missing there?"
        )
    return FileRefusedError(
        "QUOTE_BROKEN",
        f"The quotation marks from line {line} on do not fit: one is missing, or one inside a cell is not doubled.",
    )


class _Lines:
    """The lines of a text with their ends, and the number of the last one."""

    def __init__(self, text: io.TextIOWrapper, longest: int) -> None:
        self._text = text
        self._longest = longest
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._longest)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) >= self._longest and line[-1] not in "\r\n":
            raise FileRefusedError(
                "LINE_TOO_LONG", f"Line {self.number} has more than {self._longest} characters: this is not a table."
            )
        return line.removeprefix("\ufeff") if self.number == 1 else line
