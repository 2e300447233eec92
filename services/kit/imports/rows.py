"""From a file to drafts: every row is read and checked, with nothing but what is in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from kit.imports.mapping import ColumnMapping, RowReader, find_columns, letters
from kit.imports.normalising import text_of
from kit.imports.reading.open import open_table
from kit.imports.reading.source import Content, SourceRow
from kit.imports.values import Draft, Field, Limits, Remark, Row, Severity

if TYPE_CHECKING:
    # Who reads in a process of its own needs no database.
    from kit.imports.importer import Checker

_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Task:
    """What reading a file needs besides the file; it can be given to another process.

    `imports` is the collection of the import's kind, `store_id` empty for a file of the group.
    """

    imports: str
    store_id: str
    fields: Sequence[Field]
    mapping: ColumnMapping
    checker: Checker
    limits: Limits


@dataclass(frozen=True, slots=True)
class Head:
    """What was found out about a file as a whole.

    Attributes:
        recognised: see `Table`.
        header_row: its number; 0 when the file has none.
        headers: all headers in their order.
        named: by field the header of its column, or its place when it has none of its own.
        places: by field the place of its column, from 0.
    """

    recognised: Mapping[str, str]
    header_row: int
    headers: Sequence[str]
    named: Mapping[str, str]
    places: Mapping[str, int]

    def header_of(self, name: str) -> str:
        """The header over a field's column, or the column's place; empty when it has no column."""
        place = self.places.get(name)
        return "" if place is None else self.headers[place] or f"#{letters(place)}"


@dataclass(frozen=True, slots=True)
class Said:
    """A remark about a row with the header and the cell as they stand in the file."""

    row: int
    remark: Remark
    header: str
    cell: str


class Judged(NamedTuple):
    """A draft with the text by which its row is known again, and the reasons of its warnings."""

    draft: Draft
    content: str
    warnings: Sequence[str]


@dataclass(slots=True)
class Batch:
    """What was found out about some rows of a file, before anybody looks into the database; no rows at its end.

    `progress` is the share of the file that was read, 0 to 1; `said` is by row.
    """

    rows: int = 0
    progress: float = 0.0
    judged: list[Judged] = field(default_factory=list)
    said: dict[int, list[Said]] = field(default_factory=dict)


class Rows:
    """A file that is being read."""

    def __init__(self, task: Task, content: Content) -> None:
        """Raises FileRefusedError, here and while it is read."""
        self._task = task
        self._table = open_table(content, task.mapping.hints, task.limits)
        self._columns = columns = find_columns(self._table, task.fields, task.mapping, task.store_id)
        self._reader = RowReader(self._table, columns, task.fields, task.mapping, task.store_id, task.limits)
        named = columns.named()
        self.head = Head(self._table.recognised, columns.header_row, columns.headers, named, dict(columns.places))

    def next(self) -> Batch:
        """Read and check the next rows."""
        batch = Batch()
        for source in islice(self._columns.rows, self._task.limits.batch_rows):
            batch.rows += 1
            row, remarks = self._reader.read(source)
            if not _keeps_out(remarks):
                draft, more = self._task.checker.check(row)
                remarks += more
                if not _keeps_out(more):
                    batch.judged.append(self._judged(row, draft, remarks))
            if remarks:
                batch.said[row.number] = [self._said(source, one) for one in remarks]
        batch.progress = self._table.progress()
        return batch

    def _judged(self, row: Row, draft: Draft | None, remarks: Sequence[Remark]) -> Judged:
        task = self._task
        if draft is None:
            raise TypeError(f"{type(task.checker).__name__} gave neither a draft nor a reason")
        if task.store_id and draft.store_id != task.store_id:
            raise ValueError("a store's file has rows of this store only")
        values = orjson.dumps(row.values, option=orjson.OPT_SORT_KEYS).decode()
        reasons = sorted({one.reason for one in remarks}) if remarks else ()
        return Judged(draft, f"{task.imports}\n{draft.store_id}\n{values}", reasons)

    def _said(self, source: SourceRow, remark: Remark) -> Said:
        cell = text_of(self._reader.cell_of(source, remark.field))[:_SHOWN]
        return Said(source.number, remark, self.head.header_of(remark.field), cell)


def _keeps_out(remarks: Sequence[Remark]) -> bool:
    for one in remarks:  # noqa: SIM110 - nearly always empty: a generator would cost more than the question
        if one.severity is Severity.REJECTED:
            return True
    return False
