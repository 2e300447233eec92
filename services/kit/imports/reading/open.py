"""Opens a file as whatever it is."""

from __future__ import annotations

from typing import Final

from kit.imports.reading import text, workbook
from kit.imports.reading.source import Content, Hints, Table
from kit.imports.values import FileRefusedError, Limits

_HEAD_BYTES: Final = 1024
_ZIP: Final = b"PK\x03\x04"
_ENCODED_TEXT: Final = (b"\xff\xfe", b"\xfe\xff")
# How other files begin, and what people call them.
_FOREIGN: Final = (
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file (.xls), or a workbook with a password"),
    (b"\x89PNG", "an image (PNG)"),
    (b"\xff\xd8\xff", "an image (JPEG)"),
    (b"GIF8", "an image (GIF)"),
    (b"BM", "an image (BMP)"),
    (b"II*\0", "an image (TIFF)"),
    (b"MM\0*", "an image (TIFF)"),
    (b"RIFF", "a sound, film or image"),
    (b"PK\x05\x06", "an empty archive"),
    (b"\x1f\x8b", "a packed file (gzip)"),
    (b"7z\xbc\xaf\x27\x1c", "a packed file (7z)"),
    (b"Rar!", "a packed file (RAR)"),
    (b"{\\rtf", "a text document (RTF)"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
)
_MARKUP: Final = (b"<!doctype html", b"<html", b"<table", b"<?xml", b"<meta", b"<head")


def open_table(content: Content, hints: Hints, limits: Limits) -> Table:
    """The rows of a file; its name plays no part in it.

    Raises FileRefusedError: FILE_EMPTY, FILE_TOO_LARGE, FILE_NOT_A_TABLE, FILE_DAMAGED, ENCODING_UNKNOWN,
    SHEET_UNKNOWN, ROWS_TOO_MANY, COLUMNS_TOO_MANY; while it is being read also QUOTE_BROKEN, LINE_TOO_LONG.
    """
    if content.size > limits.file_bytes:
        raise FileRefusedError("FILE_TOO_LARGE", f"The file is larger than {limits.file_bytes} bytes.")
    head = _head(content)
    if not head.strip():
        raise FileRefusedError("FILE_EMPTY", "The file is empty.")
    if head.startswith(_ZIP):
        return workbook.read(content, hints, limits)
    foreign = _foreign(head)
    if foreign:
        raise FileRefusedError(
            "FILE_NOT_A_TABLE",
            f"This is {foreign}, not a table: save the list as CSV or as an Excel workbook (.xlsx).",
        )
    return text.read(content, hints, limits)


def _head(content: Content) -> bytes:
    head = b""
    for piece in content.pieces():
        head += piece[: _HEAD_BYTES - len(head)]
        if len(head) >= _HEAD_BYTES:
            break
    return head


def _foreign(head: bytes) -> str:
    for beginning, called in _FOREIGN:
        if head.startswith(beginning):
            # A header may begin with BM or RIFF too, a picture's second bytes are no text.
            if beginning.isalpha() and b"\0" not in head:
                continue
            return called
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:40].lower()
    if start.startswith(_MARKUP):
        return "a web page or XML"
    if start.startswith((b"{", b"[{")) and b":" in head:
        return "JSON"
    return ""
