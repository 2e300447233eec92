"""Which character encoding a text file is written in."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Final

from kit.imports.reading.source import Content
from kit.imports.values import FileRefusedError

ENCODINGS: Final = (
    *("utf-8", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "gbk", "gb2312", "big5"),
    *("windows-1252", "iso-8859-1", "ascii"),
)
"""What a mapping may name; a byte order mark at the beginning is understood and left out."""

_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32_MARKS: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_ENOUGH_CHARACTERS: Final = 20_000
_PLAUSIBLE_SHARE: Final = 0.5
# GB 18030 has places for characters of one's own, which hardly anybody uses and another Asian encoding ends up in.
_PRIVATE: Final = ("\ue000", "\uf8ff")
_LARGEST_PRIVATE_SHARE: Final = 0.02
_HEAD_BYTES: Final = 4096
_UTF16_SHARE: Final = 0.05
_FEWEST_NULS: Final = 4
# So many Chinese characters in a row are no coincidence of bytes.
_SURELY: Final = 10


def known_encoding(name: str) -> str:
    """The encoding of that name in its usual spelling; raises ValueError for one that is not among ENCODINGS."""
    try:
        wanted = codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ValueError("unknown encoding") from None
    for encoding in ENCODINGS:
        if codecs.lookup(encoding).name == wanted.replace("utf-8-sig", "utf-8"):
            return encoding
    raise ValueError("unknown encoding")


def recognise_encoding(content: Content, given: str) -> str:
    """The encoding in which all of the file can be read: the given one, or what it turns out to be.

    Raises FileRefusedError: ENCODING_UNKNOWN, FILE_NOT_A_TABLE when it holds NUL characters.
    """
    if given:
        encoding = known_encoding(given)
        line = _Trial(encoding).first_bad_line(content)
        if line:
            raise FileRefusedError(
                "ENCODING_UNKNOWN", f"The file is not written in {encoding}: line {line} cannot be read in it."
            )
        return encoding
    head = next(content.pieces(), b"")[:_HEAD_BYTES]
    if head.startswith(_UTF32_MARKS):
        raise FileRefusedError("ENCODING_UNKNOWN", "The file is written in UTF-32: save it as UTF-8.")
    for candidate in _candidates(head):
        trial = _Trial(candidate)
        line = trial.first_bad_line(content)
        if not line and (candidate != "gb18030" or trial.looks_chinese):
            return candidate
        if line and candidate == "utf-8" and trial.is_surely_utf8:
            raise FileRefusedError(
                "ENCODING_UNKNOWN", f"The file is written in UTF-8, but line {line} is damaged and cannot be read."
            )
    raise FileRefusedError(
        "ENCODING_UNKNOWN",
        "The character encoding of the file cannot be recognised: save it as UTF-8, or name it in the mapping.",
    )


def _candidates(head: bytes) -> Sequence[str]:
    if head.startswith(_UTF16_MARKS):
        return ["utf-16"]
    # Without a mark UTF-16 shows by its delimiters: every other byte of plain letters is a NUL.
    first, second = head[::2].count(0), head[1::2].count(0)
    if max(first, second) >= max(len(head) * _UTF16_SHARE, _FEWEST_NULS):
        if not second:
            return ["utf-16-be"]
        if not first:
            return ["utf-16-le"]
    return ["utf-8", "gb18030"]


class _Trial:
    """Reads the whole file in one encoding."""

    def __init__(self, encoding: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
        self._foreign = 0
        self._common = 0
        self._private = 0

    @property
    def looks_chinese(self) -> bool:
        """Whether what is not ASCII is mostly common Chinese.

        Nearly any bytes can be read as GB 18030, but a letter with an accent between plain ones becomes a rare sign.
        """
        return (
            self._common >= self._foreign * _PLAUSIBLE_SHARE and self._private <= self._foreign * _LARGEST_PRIVATE_SHARE
        )

    @property
    def is_surely_utf8(self) -> bool:
        """Whether so much could be read that the rest is damaged rather than written in something else."""
        return self._common >= _SURELY

    def first_bad_line(self, content: Content) -> int:
        """The line that cannot be read, from 1; 0 when all can. Raises FileRefusedError for a NUL."""
        line = 1
        for piece in content.pieces():
            try:
                text = self._decoder.decode(piece)
            except UnicodeDecodeError as error:
                readable = error.object[: error.start]
                self._look(readable.decode(error.encoding, "ignore"), line)
                return line + readable.count(b"\n")
            self._look(text, line)
            line += text.count("\n")
        try:
            self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return line
        return 0

    def _look(self, text: str, line: int) -> None:
        place = text.find("\0")
        if place >= 0:
            line += text.count("\n", 0, place)
            raise FileRefusedError(
                "FILE_NOT_A_TABLE", f"The file holds NUL characters (line {line}): this is not a text file."
            )
        if self._foreign < _ENOUGH_CHARACTERS and not text.isascii():
            foreign = "".join(character for character in text if character > "\x7f")[:_ENOUGH_CHARACTERS]
            self._foreign += len(foreign)
            self._common += len(foreign.encode("gb2312", "ignore")) // 2
            self._private += sum(_PRIVATE[0] <= character <= _PRIVATE[1] for character in foreign)
