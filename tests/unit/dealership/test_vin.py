from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealership import vin
from kit.errors import InvalidArgument

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "vin"
VALID = "LSVAM4187C2184847"
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"

needs_real_vins = pytest.mark.skipif(not SHARED.is_dir(), reason="the real VINs of ../shared/data/vin are not here")


def rule_of(text: str, field: str = "vin") -> str:
    with pytest.raises(InvalidArgument) as refused:
        vin.parse(text, field=field)
    (violation,) = refused.value.violations
    assert violation.field == field
    return violation.rule


def test_a_valid_vin_is_taken_without_warnings() -> None:
    assert vin.parse(VALID) == (VALID, [])


@pytest.mark.parametrize(
    "text", [VALID.lower(), f"  {VALID}\n", "LSVAM 4187-C218 4847", "ＬＳＶＡＭ４１８７Ｃ２１８４８４７"]
)
def test_spellings_of_one_vin_become_the_same(text: str) -> None:
    assert vin.parse(text)[0] == VALID


@pytest.mark.parametrize("text", ["", "LSVAM4187C218484", VALID + "1"])
def test_a_vin_has_seventeen_characters(text: str) -> None:
    assert rule_of(text) == "VIN_LENGTH"


@pytest.mark.parametrize("letter", [*"IOQ", "é", "车", "*", "ſ", "ı", "٣"])
def test_letters_that_look_like_digits_and_everything_foreign_are_refused(letter: str) -> None:
    assert rule_of(VALID[:5] + letter + VALID[6:], field="delivery.vin") == "VIN_CHARACTERS"


@pytest.mark.parametrize("first", "L12345")
def test_a_wrong_check_digit_is_an_error_for_chinese_and_north_american_makers(first: str) -> None:
    text = first + VALID[1:8] + "{}" + VALID[9:]
    right = vin.check_digit(text.format("0"))
    wrong = "1" if right == "0" else "0"

    assert vin.parse(text.format(right)) == (text.format(right), [])
    assert rule_of(text.format(wrong)) == "VIN_CHECK_DIGIT"


def test_a_wrong_check_digit_is_a_warning_elsewhere() -> None:
    assert vin.parse("WDD2040021A065432")[1] == [vin.CHECK_DIGIT_WARNING]


@given(st.text(LETTERS, min_size=17, max_size=17), st.integers(0, 16))
def test_one_wrong_character_of_another_value_is_found(text: str, place: int) -> None:
    start = "L" + text[1:8]
    whole = start + vin.check_digit(start + "0" + text[9:]) + text[9:]
    changed = whole[:place] + ("A" if whole[place] != "A" else "B") + whole[place + 1 :]

    assert vin.parse(whole) == (whole, [])
    # A and J, for instance, have the same value: such a mistake cannot be seen.
    if vin.check_digit(changed) != changed[8] and changed[0] == "L":
        assert rule_of(changed) == "VIN_CHECK_DIGIT"


@given(st.text(max_size=40))
def test_any_text_is_either_a_vin_or_refused_by_name(text: str) -> None:
    try:
        parsed, _ = vin.parse(text)
    except InvalidArgument:
        assert rule_of(text) in {"VIN_LENGTH", "VIN_CHARACTERS", "VIN_CHECK_DIGIT"}
    else:
        assert vin.parse(parsed)[0] == parsed


@needs_real_vins
def test_real_chinese_vins_are_valid() -> None:
    vins = (SHARED / "cn_vins_9.txt").read_text(encoding="utf-8").split()

    assert len(vins) == 9
    assert all(vin.parse(text) == (text, []) for text in vins)


@needs_real_vins
def test_real_vins_of_the_world_have_the_check_digits_that_were_computed_elsewhere() -> None:
    with (SHARED / "vin_decode_vectors.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == 84
    for row in rows:
        number = row["VIN"]
        assert (vin.check_digit(number) == number[8]) is (row["check_digit_ok_computed"] == "True"), number


@pytest.mark.parametrize(
    ("character", "latest", "year"),
    [("F", 2026, 2015), ("F", 2014, 1985), ("7", 2015, 2007), ("Y", 2026, 2000), ("A", 1979, None), ("0", 2026, None)],
)
def test_the_model_year_is_the_last_one_that_its_character_can_mean(
    character: str, latest: int, year: int | None
) -> None:
    assert vin.model_year(f"5FNRL5H24{character}B009338", latest=latest) == year


def test_only_makers_of_china_and_north_america_must_write_the_model_year() -> None:
    assert vin.model_year(VALID, latest=2026) == 2012
    assert vin.model_year("WDD2040021A065432", latest=2026) is None


@needs_real_vins
def test_real_model_years_are_those_that_were_decoded_elsewhere() -> None:
    with (SHARED / "vin_decode_vectors.csv").open(encoding="utf-8") as file:
        told = [(row["VIN"], int(row["YEAR"])) for row in csv.DictReader(file) if row["YEAR"]]

    found = [(vin.model_year(number, latest=year + 1), year) for number, year in told]

    assert all(model_year == year for model_year, year in found if model_year is not None)
    assert sum(model_year is not None for model_year, _ in found) > 40
