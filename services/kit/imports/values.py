"""What an import is made of; nothing here knows a database or a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple


class FieldKind(Enum):
    """How the cells of a field are read.

    TEXT: `str`, blanks collapsed; a number such as 13800138000.0 is read as the digits of a whole number.
    DAY: `date`; of a cell with a time of day the day that is written.
    TIME: `datetime`, naive when no zone is written (the store's time), aware otherwise; a cell without a time of day
    stays a `date`.
    WHOLE_NUMBER: `int`.
    """

    TEXT = "TEXT"
    DAY = "DAY"
    TIME = "TIME"
    WHOLE_NUMBER = "WHOLE_NUMBER"


@dataclass(frozen=True, slots=True)
class Field:
    """What a column may mean.

    Attributes:
        name: as in the mapping, such as `deliveryTime`.
        synonyms: headers by which a column is recognised, the likeliest first; case, blanks and signs do not matter,
            and the name itself is always one of them.
        required: a row without it is rejected (CELL_MISSING).
        required_for_group: the same in files of the group only, such as the store.
        personal: the cell never stands in a remark.
        units: words behind a WHOLE_NUMBER that mean nothing more, such as `km`.
    """

    name: str
    kind: FieldKind = FieldKind.TEXT
    synonyms: tuple[str, ...] = ()
    required: bool = False
    required_for_group: bool = False
    personal: bool = False
    units: tuple[str, ...] = ()

    def must_be_given(self, store_id: str) -> bool:
        """Whether a row of such a file needs it; `store_id` is empty for a file of the group."""
        return self.required or (self.required_for_group and not store_id)


class Severity(Enum):
    """What a remark means for its row."""

    REJECTED = "REJECTED"
    WARNING = "WARNING"


@dataclass(frozen=True, slots=True)
class Remark:
    """Why a row cannot be taken, or what somebody should look at; without personal data.

    `field` is the name of the field in question, empty for the whole row.
    """

    severity: Severity
    field: str
    reason: str
    message: str


def rejected(field: str, reason: str, message: str) -> Remark:
    """A remark that keeps its row out."""
    return Remark(Severity.REJECTED, field, reason, message)


def warning(field: str, reason: str, message: str) -> Remark:
    """A remark that does not."""
    return Remark(Severity.WARNING, field, reason, message)


# Said of a row whose content is here already, though no list has brought it: it is counted, and never kept.
UNCHANGED: Final = warning("", "UNCHANGED", "is here already")

Value = str | int | date | datetime


class Row(NamedTuple):
    """One row of data after mapping and normalising.

    Attributes:
        number: as a spreadsheet shows it.
        values: by field, of the type that its kind says; a field without a value is absent.
    """

    number: int
    values: Mapping[str, Value]

    def text(self, field: str) -> str:
        """The text of a field, empty when it is absent."""
        value = self.values.get(field, "")
        return value if isinstance(value, str) else str(value)


class Draft(NamedTuple):
    """A row that can be taken.

    Attributes:
        row: its number.
        store_id: the store that it is for; in a store's file always that store.
        key: what may be taken once, such as a VIN; empty when there is no such limit.
        rank: of several rows with one key in one file the lowest (rank, row) is taken, the others are rejected.
        payload: everything that taking it needs, in the importer's own form; sealed while it waits.
    """

    row: int
    store_id: str
    key: str
    rank: str
    payload: bytes


class State(Enum):
    """Where an import stands; the same words as in the contract."""

    UPLOADING = "UPLOADING"
    CHECKING = "CHECKING"
    CHECKED = "CHECKED"
    TAKING_OVER = "TAKING_OVER"
    DONE = "DONE"
    REFUSED = "REFUSED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


ENDED: Final = frozenset({State.DONE, State.REFUSED, State.CANCELLED, State.EXPIRED})


@dataclass(frozen=True, slots=True)
class Limits:
    """What an import may cost.

    Attributes:
        file_bytes: size of the file.
        unpacked_bytes: size of everything in a workbook, unpacked.
        area: rows × columns of a workbook's sheet; all of it is in memory at once.
        rows: rows of data.
        columns: columns of the table.
        cell_characters: length of one cell.
        remarks: remarks that are kept of each severity; they are counted exactly all the same.
        apart_bytes: a larger file is read in a process of its own.
        batch_rows: rows that are checked, and taken over, at once.
        unconfirmed: how long a dry run waits for its confirmation.
        unfinished: how long a file that nobody goes on sending is kept.
    """

    file_bytes: int = 64 * 1024 * 1024
    unpacked_bytes: int = 512 * 1024 * 1024
    area: int = 6_000_000
    rows: int = 1_048_576
    columns: int = 200
    cell_characters: int = 10_000
    remarks: int = 20_000
    apart_bytes: int = 1024 * 1024
    batch_rows: int = 2_000
    unconfirmed: timedelta = timedelta(days=7)
    unfinished: timedelta = timedelta(days=1)


class FileRefusedError(Exception):
    """The whole file cannot be taken: a stable reason and the words for a person, without any cell of the data."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = message
        super().__init__(f"{reason}: {message}")

    def __reduce__(self) -> tuple[type[FileRefusedError], tuple[str, str]]:
        """Let it be raised in another process than the one that found it out."""
        return type(self), (self.reason, self.message)
