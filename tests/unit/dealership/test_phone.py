from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealership.phone import InvalidPhone, Phone, mask_name, mask_phone, mask_plate, parse


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("13812345678", "+8613812345678"),
        ("138 1234 5678", "+8613812345678"),
        ("+86-138-1234-5678", "+8613812345678"),
        ("１３８１２３４５６７８", "+8613812345678"),
        ("(010) 6234-5678", "+861062345678"),
        ("400-812-3123", "+864008123123"),
        ("+1 650 253 0000", "+16502530000"),
    ],
)
def test_a_number_is_kept_in_one_form(text: str, e164: str) -> None:
    assert parse(text) == Phone(e164, verified=True)


@pytest.mark.parametrize(
    "text",
    ["", "abc", "12345", "138123456789012", "10012345678", "8264678", "7931232", "13812345678 ext 5", "1" * 400],
)
def test_what_cannot_be_dialled_is_refused_with_field_and_rule(text: str) -> None:
    with pytest.raises(InvalidPhone) as refused:
        parse(text, field="delivery.buyer.phone")

    assert [(v.field, v.rule) for v in refused.value.violations] == [("delivery.buyer.phone", "PHONE_INVALID")]


def test_the_refusal_does_not_repeat_the_number() -> None:
    with pytest.raises(InvalidPhone) as refused:
        parse("12345678901234")

    assert "12345678901234" not in str(refused.value) + str(refused.value.violations)


def test_an_old_list_may_keep_a_doubtful_number_unverified() -> None:
    assert parse("826-4678", allow_doubtful=True) == Phone("8264678", verified=False)
    with pytest.raises(InvalidPhone):
        parse("n/a", allow_doubtful=True)


@given(st.from_regex(r"1[0-9]{10}", fullmatch=True))
def test_the_short_way_of_a_mobile_number_says_what_the_library_says(digits: str) -> None:
    # With its country a number never takes the short way.
    assert outcome(digits) == outcome(f"+86 {digits}")


def outcome(text: str) -> str:
    try:
        return parse(text).e164
    except InvalidPhone:
        return "refused"


@given(st.text(max_size=30), st.booleans())
def test_any_text_gives_a_number_or_a_refusal(text: str, doubtful: bool) -> None:
    try:
        phone = parse(text, allow_doubtful=doubtful)
    except InvalidPhone:
        return
    assert phone.verified or doubtful
    assert phone.e164.lstrip("+").isdecimal()


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+8613812345678", "138****5678"),
        ("+861062345678", "10****5678"),
        ("8264678", "8****78"),
        ("12345", "****45"),
        ("", ""),
    ],
)
def test_a_masked_phone_shows_three_and_four_digits(number: str, shown: str) -> None:
    assert mask_phone(number) == shown


@given(st.from_regex(r"\+86[0-9]{5,12}", fullmatch=True))
def test_a_mask_never_shows_the_whole_number(number: str) -> None:
    national = number.removeprefix("+86")
    assert len(mask_phone(number).replace("*", "")) <= max(2, len(national) - 3)


@pytest.mark.parametrize(
    ("name", "shown"), [("王小明", "王**"), ("王明", "王*"), ("欧阳小明明", "欧**"), ("王", "*"), ("", "")]
)
def test_a_masked_name_shows_its_first_character(name: str, shown: str) -> None:
    assert mask_name(name) == shown


@pytest.mark.parametrize(
    ("plate", "shown"), [("京A12345", "京A***45"), ("京AD12345", "京A****45"), ("A1", "**"), ("", "")]
)
def test_a_masked_plate_shows_its_ends(plate: str, shown: str) -> None:
    assert mask_plate(plate) == shown
