"""Workbooks (XLSX): weighed before they are unpacked into memory, then read by calamine."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final
from zlib import error as ZlibError  # noqa: N812 - a class with a small name

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from kit.imports.normalising import Cell
from kit.imports.reading.shared_texts import PART, SharedTexts
from kit.imports.reading.source import Content, Hints, SourceRow, Table
from kit.imports.values import FileRefusedError, Limits

_CHUNK_BYTES: Final = 1024 * 1024
_MOST_MERGED: Final = 1_000_000
_WORKBOOK: Final = "xl/workbook.xml"
_OTHERS: Final = {
    "word/document.xml": "a Word document",
    "ppt/presentation.xml": "a presentation",
    "xl/workbook.bin": "a binary workbook (.xlsb)",
    "content.xml": "an OpenDocument file",
}
# Rows and cells in the order of the sheet, most with their place at once; and places wherever else they stand, so that
# no spelling that calamine understands hides one. A cell without a place of its own follows the one before.
_PLACES: Final = re.compile(
    rb"""<(?:[^\s<>/:"']+:)?(?:(row)|(c))(?=[\s/>])(?:\sr="([A-Z]*)([0-9]+)")?"""
    rb"""|[\s"']r\s*=\s*["']([A-Za-z]*)([0-9]+)["']"""
)
# Far behind the last row of any spreadsheet; a longer number is none.
_MOST_DIGITS: Final = 9
_FROM_1904: Final = re.compile(rb"""\sdate1904\s*=\s*["'](?:1|true)["']""")
_LONGEST_PART: Final = 4 * 1024 * 1024


def read(content: Content, hints: Hints, limits: Limits) -> Table:
    """The rows of one sheet; raises FileRefusedError, see `open_table`."""
    data = b"".join(content.pieces())
    days_from_1904 = _weigh(data, limits)
    try:
        sheet, merged = _load(data, hints.sheet, limits)
    except FileRefusedError:
        raise
    except BaseException as error:
        raise _damaged(error) from error
    reading = _Reading(sheet)
    return Table(
        recognised={"kind": "workbook", "sheet": sheet.name},
        rows=reading.rows(),
        progress=reading.progress,
        merged=merged,
        days_from_1904=days_from_1904,
    )


@dataclass(slots=True)
class _Reading:
    """Where a sheet is being read."""

    sheet: CalamineSheet
    done: int = 0

    def progress(self) -> float:
        return self.done / (self.sheet.end[0] + 1) if self.sheet.end else 1.0

    def rows(self) -> Iterator[SourceRow]:
        start = self.sheet.start
        # Rows come from the first one on, but without the empty columns at the left.
        left: list[Cell] = [""] * (start[1] if start else 0)
        for number, cells in enumerate(self.sheet.iter_rows(), start=1):
            self.done = number
            if any(cell != "" for cell in cells):
                yield SourceRow(number, [*left, *cells])


def _load(data: bytes, wanted: str, limits: Limits) -> tuple[CalamineSheet, dict[int, list[tuple[int, int]]]]:
    book = CalamineWorkbook.from_filelike(BytesIO(data))
    sheet = _sheet(book, wanted)
    if sheet.end is None:
        others = ", ".join(name for name in book.sheet_names if name != sheet.name)
        raise FileRefusedError("FILE_EMPTY", f"The sheet {sheet.name!r} is empty; other sheets: {others or 'none'}.")
    if sheet.end[1] >= limits.columns:
        raise FileRefusedError("COLUMNS_TOO_MANY", f"The sheet has more than {limits.columns} columns.")
    return sheet, _merged(sheet)


def _sheet(book: CalamineWorkbook, wanted: str) -> CalamineSheet:
    tables = [sheet for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    if wanted:
        for sheet in tables:
            if sheet.name.strip().casefold() == wanted.strip().casefold():
                return book.get_sheet_by_name(sheet.name)
        names = ", ".join(sheet.name for sheet in tables)
        raise FileRefusedError("SHEET_UNKNOWN", f"The workbook has no sheet {wanted!r}; it has: {names}.")
    visible = [sheet for sheet in tables if sheet.visible == SheetVisibleEnum.Visible] or tables
    if not visible:
        raise FileRefusedError("FILE_EMPTY", "The workbook has no sheet.")
    return book.get_sheet_by_name(visible[0].name)


def _merged(sheet: CalamineSheet) -> dict[int, list[tuple[int, int]]]:
    places: dict[int, list[tuple[int, int]]] = {}
    last = sheet.end[0] if sheet.end else 0
    left = _MOST_MERGED
    for (first_row, first_column), (last_row, last_column) in sheet.merged_cell_ranges or ():
        rows = range(first_row, min(last_row, last) + 1)
        left -= len(rows)
        if left < 0:
            raise FileRefusedError("FILE_DAMAGED", "Too many cells of the sheet are merged: dissolve them first.")
        for row in rows:
            places.setdefault(row + 1, []).append((first_column, last_column))
    return places


def _weigh(data: bytes, limits: Limits) -> bool:
    """Refuse what would not fit into memory; unpacks everything once, a little at a time.

    Returns whether the workbook counts its days from 1904: dates come out right all the same, plain numbers do not.
    """
    from_1904 = False
    left = limits.unpacked_bytes
    sheets: list[tuple[zipfile.ZipInfo, int]] = []
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = set(archive.namelist())
            if _WORKBOOK not in names:
                called = next((called for name, called in _OTHERS.items() if name in names), "an archive")
                raise FileRefusedError(
                    "FILE_NOT_A_TABLE",
                    f"This is {called}, not a table: save the list as CSV or as an Excel workbook (.xlsx).",
                )
            for entry in archive.infolist():
                # A sheet may have any name; and what an entry says of its own size, calamine does not believe either.
                area = _Area(limits)
                entry.file_size = left + 2 * _CHUNK_BYTES
                with archive.open(entry) as file:
                    while chunk := file.read(_CHUNK_BYTES):
                        left -= len(chunk)
                        if left < 0:
                            raise FileRefusedError(
                                "FILE_TOO_LARGE",
                                f"Unpacked, the workbook is larger than {limits.unpacked_bytes} bytes.",
                            )
                        area.add(chunk)
                        from_1904 |= entry.filename == _WORKBOOK and _FROM_1904.search(chunk) is not None
                if area.cells:
                    sheets.append((entry, area.cells))
            _weigh_texts(archive, sheets, limits)
    # By NotImplementedError zipfile says that it does not know a compression, or a version of the format.
    except (zipfile.BadZipFile, ZlibError, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise _damaged(error) from error
    return from_1904


def _weigh_texts(archive: zipfile.ZipFile, sheets: list[tuple[zipfile.ZipInfo, int]], limits: Limits) -> None:
    """Refuse sheets, each with its number of cells, that share more text than fits into memory."""
    for entry in archive.infolist():
        if entry.filename.replace("\\", "/").lower() == PART:
            texts = SharedTexts(_pieces(archive, entry), limits)
            for sheet, cells in sheets:
                if texts.may_fill(cells):
                    texts.weigh(_pieces(archive, sheet))


def _pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(entry) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


class _Area:
    """The rectangle that the cells of a sheet span: calamine keeps all of it, filled or not."""

    def __init__(self, limits: Limits) -> None:
        self.cells = 0
        self._limits = limits
        self._rest = b""
        self._row = self._last = self._column = self._widest = 0

    def add(self, chunk: bytes) -> None:
        data = self._rest + chunk
        # A tag may be cut in two: what begins at the last bracket is looked at with the next chunk.
        end = max(data.rfind(b"<"), 0)
        self._rest = data[end:]
        if len(self._rest) > _LONGEST_PART:
            raise FileRefusedError("FILE_DAMAGED", f"A cell of the workbook is longer than {_LONGEST_PART} bytes.")
        widest, column, row, last = self._widest, self._column, self._row, self._last
        cells = self.cells
        for is_row, is_cell, letters, number, far_letters, far_number in _PLACES.findall(data, 0, end):
            if is_row:
                row, column = row + 1, 0
            elif is_cell:
                cells += 1
                column += 1
            if number or far_number:
                # A cell may say that it stands in another row than the one around it.
                row = _number(number or far_number)
                column = _column(letters or far_letters)
            widest, last = max(widest, column), max(last, row)
        self._widest, self._column, self._row, self._last = widest, column, row, last
        self.cells = cells
        if last > self._limits.rows + 1:
            raise FileRefusedError("ROWS_TOO_MANY", f"The sheet has more than {self._limits.rows} rows.")
        if widest > self._limits.columns or widest * last > self._limits.area:
            raise FileRefusedError(
                "COLUMNS_TOO_MANY",
                f"The cells of a sheet span {widest} columns and {last} rows, too many: delete empty ones.",
            )
        if cells > self._limits.area:
            # Several may claim one place, and all of them are in memory before the last one wins.
            raise FileRefusedError("FILE_TOO_LARGE", f"A sheet has more than {self._limits.area} cells.")


def _column(letters: bytes) -> int:
    place = 0
    for letter in letters.upper()[:_MOST_DIGITS]:
        place = place * 26 + letter - 64
    return place


def _number(digits: bytes) -> int:
    return int(digits.lstrip(b"0")[: _MOST_DIGITS + 1] or b"0")


def _damaged(error: BaseException) -> BaseException:
    """The refusal for what a broken workbook makes the readers raise; anything else stays what it is."""
    # A panic inside of calamine is no Exception, and its class has no public name.
    if isinstance(error, Exception | CalamineError) or type(error).__name__ == "PanicException":
        return FileRefusedError("FILE_DAMAGED", "The workbook is damaged: open it in Excel and save it again.")
    return error
