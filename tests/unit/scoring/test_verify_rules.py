"""A recomputation tells every figure that differs, and nothing else (SCR-08)."""

from __future__ import annotations

import json
from importlib import resources

from scoring.grades.values import CellKey, Tally
from scoring.models.rules import parse
from scoring.verifying import rules
from scoring.verifying.values import Findings, Place

PLACE = Place("2026-10", "bj-01", 2)
MODEL = parse(json.loads((resources.files("scoring.models") / "data/ssi-five-factor.v1.json").read_text("utf-8")), 1)
MODELS = {(MODEL.code, MODEL.version): MODEL}


def cell(code: str = "SSI", consultant: str = "li.wei") -> CellKey:
    return CellKey("bj-01", "2026-10", MODEL.code, 1, consultant, "INTERVIEW_MODE_LINK", code)


def test_equal_sums_are_no_difference_and_an_empty_cell_is_none_either() -> None:
    stored = {cell(): Tally(2, 10, 50, 1, 0), cell("SSI.DEAL"): Tally()}

    assert list(rules.cell_differences(PLACE, stored, {cell(): Tally(2, 10, 50, 1, 0)})) == []


def test_every_figure_is_compared() -> None:
    found = list(rules.cell_differences(PLACE, {cell(): Tally(1, 2, 3, 4, 5)}, {cell(): Tally(2, 3, 4, 5, 6)}))

    where = "2026-10 bj-01 revision 2 ssi-five-factor version 1 li.wei INTERVIEW_MODE_LINK SSI"
    assert found == [
        f"{where} n: stored 1, recomputed 2",
        f"{where} total: stored 2, recomputed 3",
        f"{where} square: stored 3, recomputed 4",
        f"{where} top: stored 4, recomputed 5",
        f"{where} bottom: stored 5, recomputed 6",
    ]


def test_a_cell_on_one_side_only_is_a_difference() -> None:
    nobody = cell("SSI.DEAL", "")

    found = list(
        rules.cell_differences(Place("2026-10", "bj-01"), {cell(): Tally(1, 5, 25)}, {nobody: Tally(1, 5, 25)})
    )

    assert [line.partition(": ")[2] for line in found] == [
        *("stored 0, recomputed 1", "stored 0, recomputed 5", "stored 0, recomputed 25"),
        *("stored 1, recomputed 0", "stored 5, recomputed 0", "stored 25, recomputed 0"),
    ]
    assert found[0].startswith("2026-10 bj-01 live ssi-five-factor version 1 nobody INTERVIEW_MODE_LINK SSI.DEAL n")


def test_the_index_is_the_sum_of_its_cells() -> None:
    recomputed = {
        cell(): Tally(1, 5, 25, 1, 1),
        cell(consultant="wang.li"): Tally(1, 7, 49),
        cell("SSI.DEAL"): Tally(2, 1, 1),
    }

    assert list(rules.index_differences(PLACE, {(MODEL.code, 1): Tally(2, 12, 74)}, recomputed, MODELS)) == []
    assert list(rules.index_differences(PLACE, {(MODEL.code, 1): Tally(2, 13, 74)}, recomputed, MODELS)) == [
        "2026-10 bj-01 revision 2 index ssi-five-factor version 1 total: stored 13, recomputed 12"
    ]
    assert len(list(rules.index_differences(PLACE, {}, recomputed, MODELS))) == 3


def test_the_summary_says_how_much_was_looked_at() -> None:
    findings = Findings(stores=2, revisions=1, responses=30, cells=88, differences=1, months={"2026-10"})

    assert findings.summary() == (
        "30 responses and 88 cells recomputed in 1 month, 2 live grades and 1 closed grade: 1 difference."
    )
