"""Imports between their rows and the messages of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dealerloop.imports.v1 import imports_pb2 as pb
from kit.db.etag import etag_of
from kit.imports.dates import DateOrder
from kit.imports.mapping import ColumnMapping
from kit.imports.model import ImportJob, MappingProfileRow
from kit.imports.reading.source import Hints
from kit.imports.storage import CELL
from kit.rpc.carry import carry
from kit.vault import Vault

_ORDERS: Final = {
    pb.Mapping.DATE_ORDER_YMD: DateOrder.YMD,
    pb.Mapping.DATE_ORDER_MDY: DateOrder.MDY,
    pb.Mapping.DATE_ORDER_DMY: DateOrder.DMY,
}


def column_mapping(mapping: pb.Mapping) -> ColumnMapping:
    """What the message says."""
    return ColumnMapping(
        columns=dict(mapping.columns),
        constants=dict(mapping.constants),
        replacements=[(one.field, getattr(one, "from"), one.to) for one in mapping.replacements],
        date_order=_ORDERS.get(mapping.date_order),
        header_row=mapping.header_row,
        hints=Hints(mapping.sheet, mapping.encoding, mapping.delimiter),
    )


def import_message(job: ImportJob, rows: Sequence[pb.ImportRow] = ()) -> pb.Import:
    """The public form of an import."""
    return carry(job, pb.Import, mapping=pb.Mapping.FromString(job.mapping), rows=rows, etag=etag_of(job.version))


def row_message(row: Any, vault: Vault) -> pb.ImportRow:
    """The public form of a stored remark."""
    return pb.ImportRow(
        row=row.row_number,
        column=row.header,
        field=row.field,
        reason=row.reason,
        message=row.message,
        value="" if row.cell_sealed is None else vault.open(CELL, row.cell_sealed),
        severity=f"SEVERITY_{row.severity}",
    )


def profile_message(row: MappingProfileRow) -> pb.MappingProfile:
    """The public form of a kept mapping."""
    name = f"{row.kind}/{row.id}"
    return pb.MappingProfile(
        name=f"stores/{row.store_id}/{name}" if row.store_id else name,
        display_name=row.display_name,
        mapping=pb.Mapping.FromString(row.mapping),
        update_time=row.update_time,
        etag=etag_of(row.version),
    )
