"""Workbooks for tests, written by hand: what a spreadsheet program would write, and what it never would."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from xml.sax.saxutils import escape

_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>'
)
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_ROOT_LINKS = (
    f'<?xml version="1.0"?><Relationships xmlns="{_PACKAGE}">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)
_STYLES = (
    f'<?xml version="1.0"?><styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/>'
    '<xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>'
)
Value = str | int | float | date | None


def workbook(
    rows: Iterable[Sequence[Value]],
    *,
    sheet: str = "Sheet1",
    merged: Sequence[str] = (),
    others: Sequence[str] = (),
    raw_rows: str = "",
) -> bytes:
    """A workbook with these rows from A1 in its first sheet; `merged` are ranges such as `A1:C1`.

    `others` are empty sheets; `raw_rows` is put behind the rows as it is.
    """
    sheets = [sheet, *others]
    body = "".join(_row(number, cells) for number, cells in enumerate(rows, start=1)) + raw_rows
    ranges = "".join(f'<mergeCell ref="{one}"/>' for one in merged)
    joined = f'<mergeCells count="{len(merged)}">{ranges}</mergeCells>' if merged else ""
    listed = "".join(f'<sheet name="{escape(n)}" sheetId="{i}" r:id="rId{i}"/>' for i, n in enumerate(sheets, start=1))
    links = "".join(
        f'<Relationship Id="rId{i}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{i}.xml"/>'
        for i in range(1, len(sheets) + 1)
    )
    styles = f'<Relationship Id="rId{len(sheets) + 1}" Type="{_OFFICE}/styles" Target="styles.xml"/>'
    parts = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": _ROOT_LINKS,
        "xl/workbook.xml": f'<?xml version="1.0"?><workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<?xml version="1.0"?><Relationships xmlns="{_PACKAGE}">{links}{styles}'
        "</Relationships>",
        "xl/styles.xml": _STYLES,
        "xl/worksheets/sheet1.xml": _sheet(body, joined),
    }
    parts |= {f"xl/worksheets/sheet{i}.xml": _sheet("", "") for i in range(2, len(sheets) + 1)}
    return archive(parts)


def archive(parts: dict[str, str]) -> bytes:
    """A zip archive with these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return out.getvalue()


def unpacked(book: bytes) -> dict[str, str]:
    """The files of a workbook, to be changed and packed again."""
    with zipfile.ZipFile(io.BytesIO(book)) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def column(place: int) -> str:
    """The letters of a column, from 0."""
    letters = ""
    place += 1
    while place:
        place, letter = divmod(place - 1, 26)
        letters = chr(65 + letter) + letters
    return letters


def _sheet(body: str, joined: str) -> str:
    return f'<?xml version="1.0"?><worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData>{joined}</worksheet>'


def _row(number: int, cells: Sequence[Value]) -> str:
    written = "".join(_cell(f"{column(place)}{number}", value) for place, value in enumerate(cells))
    return f'<row r="{number}">{written}</row>'


def _cell(place: str, value: Value) -> str:
    match value:
        case None | "":
            return ""
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
        case datetime():
            return f'<c r="{place}" s="2"><v>{_serial(value)}</v></c>'
        case date():
            return f'<c r="{place}" s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
        case _:
            return f'<c r="{place}"><v>{value}</v></c>'


def _serial(moment: datetime) -> float:
    return (moment - datetime(1899, 12, 30)).total_seconds() / 86_400  # noqa: DTZ001 - a spreadsheet knows no zone
