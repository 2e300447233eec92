"""Where stored figures are not those that the responses give (SCR-08)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scoring.grades.values import CellKey, Tally
from scoring.models.values import SatisfactionModel
from scoring.verifying.values import Cells, Place

Index = Mapping[tuple[str, int], Tally]


def cell_differences(place: Place, stored: Cells, recomputed: Cells) -> Iterator[str]:
    """One line for each figure of a cell that is not the recomputed one; a missing cell is one of zeros."""
    for key in sorted(stored.keys() | recomputed.keys()):
        yield from _tally_differences(f"{place} {_cell(key)}", stored.get(key, Tally()), recomputed.get(key, Tally()))


def index_differences(
    place: Place, stored: Index, recomputed: Cells, models: Mapping[tuple[str, int], SatisfactionModel]
) -> Iterator[str]:
    """The same for the index of a closed grade by model version, which knows no boxes."""
    sums: dict[tuple[str, int], Tally] = {}
    for key, tally in recomputed.items():
        model = models[key.model_code, key.model_version]
        if key.code == model.index_code:
            version = (model.code, model.version)
            sums[version] = sums.get(version, Tally()) + Tally(tally.n, tally.total, tally.square)
    for version in sorted(stored.keys() | sums.keys()):
        where = f"{place} index {version[0]} version {version[1]}"
        yield from _tally_differences(where, stored.get(version, Tally()), sums.get(version, Tally()))


def count_difference(place: Place, what: str, stored: int, counted: int) -> Iterator[str]:
    """One line when a stored number is not the counted one."""
    if stored != counted:
        yield f"{place} {what}: stored {stored}, recomputed {counted}"


def _tally_differences(where: str, stored: Tally, recomputed: Tally) -> Iterator[str]:
    for figure in ("n", "total", "square", "top", "bottom"):
        had, has = getattr(stored, figure), getattr(recomputed, figure)
        if had != has:
            yield f"{where} {figure}: stored {had}, recomputed {has}"


def _cell(key: CellKey) -> str:
    consultant = key.consultant_id or "nobody"
    return f"{key.model_code} version {key.model_version} {consultant} {key.mode} {key.code}"
