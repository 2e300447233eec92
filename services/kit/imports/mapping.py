"""From headers to fields: what the mapping says, what is recognised, and the compiled reader of a row."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final

from kit.errors import FieldViolation
from kit.imports.dates import DateOrder
from kit.imports.normalising import Cell, Convert, Converted, converter, folded, text_of
from kit.imports.reading.encodings import ENCODINGS, known_encoding
from kit.imports.reading.source import Hints, SourceRow, Table
from kit.imports.reading.text import given_delimiter
from kit.imports.values import Field, FieldKind, FileRefusedError, Limits, Remark, Row, Severity, Value, rejected

_FIRST_ROWS: Final = 100
_MOST_CACHED: Final = 20_000
_LONGEST_CACHED: Final = 100
_HEADER_CELLS: Final = 2
_LONG_NUMBER: Final = re.compile(r"\d{5}")
_PLACE: Final = re.compile(r"#([A-Za-z]{1,3})")


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How the columns of a file become fields; see the contract for what each part means."""

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    replacements: Sequence[tuple[str, str, str]] = ()
    date_order: DateOrder | None = None
    header_row: int = 0
    hints: Hints = field(default_factory=Hints)


def violations(mapping: ColumnMapping, fields: Sequence[Field], prefix: str) -> list[FieldViolation]:
    """What a mapping says that cannot be, whatever the file is; paths begin with `prefix`.

    Rules: FIELD_UNKNOWN, COLUMN_PLACE, COLUMN_TWICE, ENCODING_UNKNOWN, DELIMITER, and what a constant breaks.
    """
    return [
        *_unknown_fields(mapping, fields, prefix),
        *_wrong_columns(mapping, prefix),
        *_wrong_constants(mapping, fields, prefix),
        *_wrong_hints(mapping.hints, prefix),
    ]


def _unknown_fields(mapping: ColumnMapping, fields: Sequence[Field], prefix: str) -> Iterator[FieldViolation]:
    known = {one.name for one in fields}
    named = [(f"columns.{name}", name) for name in mapping.columns]
    named += [(f"constants.{name}", name) for name in mapping.constants]
    named += [(f"replacements[{place}].field", name) for place, (name, _, _) in enumerate(mapping.replacements)]
    for path, name in named:
        if name not in known:
            text = f"there is no field {name!r}; there are: {', '.join(one.name for one in fields)}"
            yield FieldViolation(f"{prefix}.{path}", "FIELD_UNKNOWN", text)


def _wrong_constants(mapping: ColumnMapping, fields: Sequence[Field], prefix: str) -> Iterator[FieldViolation]:
    for one in fields:
        _, remark = _constant(one, mapping)
        if remark is not None and remark.severity is Severity.REJECTED:
            yield FieldViolation(f"{prefix}.constants.{one.name}", remark.reason, remark.message)


def _constant(one: Field, mapping: ColumnMapping) -> Converted:
    return converter(one, date_order=mapping.date_order, replacements={})(mapping.constants.get(one.name, ""))


def _wrong_hints(hints: Hints, prefix: str) -> Iterator[FieldViolation]:
    if hints.encoding:
        try:
            known_encoding(hints.encoding)
        except ValueError:
            text = f"must be one of {', '.join(ENCODINGS)}"
            yield FieldViolation(f"{prefix}.encoding", "ENCODING_UNKNOWN", text)
    try:
        given_delimiter(hints.delimiter)
    except ValueError:
        yield FieldViolation(f"{prefix}.delimiter", "DELIMITER", "must be one character, or `tab`")


def _wrong_columns(mapping: ColumnMapping, prefix: str) -> Iterator[FieldViolation]:
    taken: dict[str, str] = {}
    for name, header in sorted(mapping.columns.items()):
        path = f"{prefix}.columns.{name}"
        if header.startswith("#") and not _PLACE.fullmatch(header.strip()):
            yield FieldViolation(path, "COLUMN_PLACE", "a place is a `#` and the letters of a column, such as `#C`")
        if folded(header) in taken:
            text = f"this column is given to {taken[folded(header)]} already"
            yield FieldViolation(path, "COLUMN_TWICE", text)
        taken.setdefault(folded(header), name)


@dataclass(frozen=True, slots=True)
class Columns:
    """The header of a file, and which column means what.

    Attributes:
        header_row: its number; 0 when the file has none.
        headers: all headers in their order, blanks collapsed.
        places: by field, from 0.
        rows: the rows behind the header.
    """

    header_row: int
    headers: Sequence[str]
    places: Mapping[str, int]
    rows: Iterator[SourceRow]

    def named(self) -> dict[str, str]:
        """By field the header of its column, or its place when it has none of its own."""
        return {name: self._name(place) for name, place in self.places.items()}

    def _name(self, place: int) -> str:
        header = self.headers[place]
        # A header may look like a place itself, such as `#VIN`.
        return header if header and not _PLACE.fullmatch(header) else f"#{letters(place)}"


def find_columns(table: Table, fields: Sequence[Field], mapping: ColumnMapping, store_id: str) -> Columns:
    """Find the header among the first rows and the fields in it.

    Raises FileRefusedError: FILE_EMPTY, HEADERS_MISSING, COLUMN_UNKNOWN, HEADER_TWICE, FIELD_UNMAPPED.
    """
    first = list(islice(table.rows, _FIRST_ROWS))
    if not first:
        raise FileRefusedError("FILE_EMPTY", "There is no row in the file.")
    names = {_bare(word): (rank, one.name) for one in fields for rank, word in enumerate((one.name, *one.synonyms))}
    header = _header(first, names, fields, mapping)
    headers = [text_of(cell) for cell in header.cells]
    places = _places(headers, names, mapping)
    missing = [one.name for one in fields if one.must_be_given(store_id) and one.name not in places]
    missing = [name for name in missing if not mapping.constants.get(name)]
    if missing:
        raise FileRefusedError(
            "FIELD_UNMAPPED",
            f"No column of the file is known to be {', '.join(missing)}: name it in the mapping, or give a constant. "
            f"The columns are: {_listed(headers)}.",
        )
    rows = chain((row for row in first if row.number > header.number), table.rows)
    return Columns(header.number, headers, places, rows)


def _header(
    first: Sequence[SourceRow],
    names: Mapping[str, tuple[int, str]],
    fields: Sequence[Field],
    mapping: ColumnMapping,
) -> SourceRow:
    if mapping.header_row:
        for row in first:
            if row.number == mapping.header_row:
                return row
        raise FileRefusedError("HEADERS_MISSING", f"Row {mapping.header_row}, where the headers should be, is empty.")
    wanted = {folded(header) for header in mapping.columns.values() if not header.startswith("#")}
    best, header = 0, None
    for row in first:
        texts = [text_of(cell) for cell in row.cells]
        said = {folded(text) for text in texts if text} & wanted
        known = {names[_bare(text)][1] for text in texts if _bare(text) in names}
        score = len(said) * 2 + len(known)
        if score > best:
            best, header = score, row
    if header is None and any(column.startswith("#") for column in mapping.columns.values()):
        # Places alone are named. What can be read as data is data: a row must not be lost for a header.
        return SourceRow(0, [""] * len(first[0].cells)) if _is_data(first[0], fields, mapping) else first[0]
    if header is None:
        raise FileRefusedError(
            "HEADERS_MISSING",
            f"None of the first {_FIRST_ROWS} rows holds headers that are known: name the columns in the mapping. "
            f"{_described(first[0])}",
        )
    return header


def _is_data(row: SourceRow, fields: Sequence[Field], mapping: ColumnMapping) -> bool:
    """Whether the cells at the named places hold days and numbers where fields want them; texts prove nothing."""
    if _shows_data(row):
        return True
    proofs = 0
    for one in fields:
        match = _PLACE.fullmatch(mapping.columns.get(one.name, "").strip())
        place = _place(match[1]) if match else len(row.cells)
        if one.kind is FieldKind.TEXT or place >= len(row.cells):
            continue
        value, remark = converter(one, date_order=mapping.date_order, replacements={})(row.cells[place])
        if remark is not None and remark.reason != "DATE_AMBIGUOUS":
            return False
        proofs += value is not None or remark is not None
    return proofs > 0


def _shows_data(row: SourceRow) -> bool:
    """Whether a cell holds what no header does: a value of a workbook that is no text, or a long number."""
    return any(cell != "" if not isinstance(cell, str) else bool(_LONG_NUMBER.search(cell)) for cell in row.cells)


def _places(headers: Sequence[str], names: Mapping[str, tuple[int, str]], mapping: ColumnMapping) -> dict[str, int]:
    by_header: dict[str, list[int]] = {}
    for place, header in enumerate(headers):
        by_header.setdefault(folded(header), []).append(place)
    places: dict[str, int] = {}
    for name, header in mapping.columns.items():
        match = _PLACE.fullmatch(header.strip())
        found = [_place(match[1])] if match else by_header.get(folded(header), [])
        if not found or found[0] >= len(headers):
            raise FileRefusedError(
                "COLUMN_UNKNOWN", f"The file has no column {header!r} for {name}. Its columns are: {_listed(headers)}."
            )
        places[name] = _only(found, header)
    recognised: dict[str, tuple[int, list[int]]] = {}
    given = set(places.values())
    for header, found in by_header.items():
        rank, name = names.get(_bare(header), (0, ""))
        if name and name not in places and not given.intersection(found):
            recognised[name] = min(recognised.get(name, (rank, found)), (rank, found))
    return places | {name: _only(found, headers[found[0]]) for name, (_, found) in recognised.items()}


def _only(found: Sequence[int], header: str) -> int:
    if len(found) > 1:
        where = " and ".join(letters(place) for place in found)
        raise FileRefusedError(
            "HEADER_TWICE",
            f"The header {header!r} stands over the columns {where}: name one by its place, such as "
            f"`#{letters(found[0])}`.",
        )
    return found[0]


class _Column:
    """One column of the file: its place, and its reader with a memory for the cells that come again and again."""

    __slots__ = ("_convert", "_headings", "_longest", "cache", "field", "place")

    def __init__(self, one: Field, place: int, header: str, convert: Convert) -> None:
        self.field = one
        self.place = place
        self._convert = convert
        self._headings = {folded(word) for word in (header, one.name, *one.synonyms)} - {""}
        self._longest = max(map(len, self._headings), default=0) * 2
        self.cache: dict[object, tuple[Value | None, Remark | None, bool]] = {}

    def read(self, cell: Cell) -> tuple[Value | None, Remark | None, bool]:
        """Value and remark of a cell, and whether it is the header once more."""
        # 1, 1.0 and True are one key, and mean different texts.
        key: object = cell if isinstance(cell, str) else (type(cell), cell)
        known = self.cache.get(key)
        if known is None:
            heading = isinstance(cell, str) and len(cell) <= self._longest and folded(cell) in self._headings
            value, remark = self._convert(cell)
            known = (value, remark, heading)
            if len(self.cache) >= _MOST_CACHED:
                self.cache.clear()
            if not isinstance(cell, str) or len(cell) <= _LONGEST_CACHED:
                self.cache[key] = known
        return known


class RowReader:
    """Turns rows of cells into rows of values; made once for a file."""

    def __init__(
        self,
        table: Table,
        columns: Columns,
        fields: Sequence[Field],
        mapping: ColumnMapping,
        store_id: str,
        limits: Limits,
    ) -> None:
        self._merged = table.merged
        self._width = len(columns.headers) if table.strict_width else 0
        self._columns = [
            _Column(
                one,
                columns.places[one.name],
                columns.headers[columns.places[one.name]],
                converter(
                    one,
                    date_order=mapping.date_order,
                    replacements={
                        folded(said): meant for name, said, meant in mapping.replacements if name == one.name
                    },
                    longest=limits.cell_characters,
                    days_from_1904=table.days_from_1904,
                ),
            )
            for one in fields
            if one.name in columns.places
        ]
        self._plan = [(one.place, one.field.name, one.cache, one.read) for one in self._columns]
        self._personal = {one.name for one in fields if one.personal}
        self._constants: dict[str, Value] = {}
        for one in fields:
            value, _ = _constant(one, mapping)
            if value is not None:
                self._constants[one.name] = value
        self._required = [one.name for one in fields if one.must_be_given(store_id) and one.name not in self._constants]
        self.headers = columns.headers
        self._places = columns.places

    def header_of(self, field: str) -> str:
        """The header over a field's column, or the column's place; empty when it has no column."""
        place = self._places.get(field)
        return "" if place is None else self.headers[place] or f"#{letters(place)}"

    def cell_of(self, row: SourceRow, field: str) -> Cell:
        """The cell of a field as it stands in the file; empty when it has none, or holds personal data."""
        place = self._places.get(field, len(row.cells))
        return "" if place >= len(row.cells) or field in self._personal else row.cells[place]

    def read(self, row: SourceRow) -> tuple[Row, list[Remark]]:
        """The values of a row, and what is to be said about its cells."""
        cells = row.cells
        width = len(cells)
        values = dict(self._constants)
        remarks: list[Remark] = []
        headings = others = 0
        for place, name, cache, read in self._plan:
            if place >= width:
                continue
            cell = cells[place]
            # Most cells were met before: asking the memory here saves a call for each of them.
            value, remark, heading = (cache.get(cell) if isinstance(cell, str) else None) or read(cell)
            if value is not None:
                values[name] = value
                others += not heading
            if remark is not None:
                remarks.append(remark)
                others += value is None and not heading
            headings += heading
        if headings and not others and headings >= min(_HEADER_CELLS, len(self._columns)):
            return Row(row.number, {}), [rejected("", "HEADER_REPEATED", "This row repeats the headers.")]
        for name in self._required:
            if name not in values and not any(
                one.field == name and one.severity is Severity.REJECTED for one in remarks
            ):
                remarks.append(rejected(name, "CELL_MISSING", "This cell must not be empty."))
        if self._width and width > self._width and any(cells[self._width :]):
            text = f"The row has {width} cells and the header {self._width}: is a delimiter inside of a cell?"
            remarks.append(rejected("", "CELLS_TOO_MANY", text))
        if row.number in self._merged:
            merged = list(self._merged_cells(row.number))
            said = {one.field for one in merged}
            remarks = [*merged, *(one for one in remarks if one.field not in said)]
        return Row(row.number, values), remarks

    def _merged_cells(self, number: int) -> Iterator[Remark]:
        ranges = self._merged[number]
        for column in self._columns:
            if any(first <= column.place <= last for first, last in ranges):
                text = "This cell is merged with others, so it does not say which row its value belongs to."
                yield rejected(column.field.name, "CELL_MERGED", text)


def letters(place: int) -> str:
    """The letters of a column, from 0."""
    text = ""
    place += 1
    while place:
        place, letter = divmod(place - 1, 26)
        text = chr(ord("A") + letter) + text
    return text


def _place(text: str) -> int:
    place = 0
    for letter in text.upper():
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1


def _bare(header: str) -> str:
    """A header without case, width, blanks and signs: `Phone (mobile)` is `phonemobile`."""
    return "".join(character for character in unicodedata.normalize("NFKC", header).casefold() if character.isalnum())


def _described(row: SourceRow) -> str:
    # A row of data may be about persons, and what is said of a file is kept for good.
    if _shows_data(row):
        return "The first row seems to be data already: a column can be named by its place, such as `#A`."
    return f"The first row is: {_listed([text_of(cell) for cell in row.cells])}."


def _listed(headers: Sequence[str]) -> str:
    shown = [header[:60] for header in headers if header][:60]
    return ", ".join(shown) or "none"
