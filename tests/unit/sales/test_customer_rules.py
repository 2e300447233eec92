from __future__ import annotations

import pytest

from sales.customers import rules
from sales.customers.rules import Correction
from sales.customers.values import NOBODY, Person

KNOWN = Person("Wang Xiaoming", "+8613800138000")


@pytest.mark.parametrize(
    ("given", "meaning"),
    [
        (KNOWN, Correction.NOTHING),
        (Person("Wang Xiaoming", "+8613900139000"), Correction.SAME_PERSON),
        (Person("Wang Xiao Ming", "+8613800138000"), Correction.SAME_PERSON),
        (Person("WANG  xiaoming", "+8613900139000"), Correction.SAME_PERSON),
        (Person("Li Lei", "+8613900139000"), Correction.OTHER_PERSON),
    ],
)
def test_one_of_name_and_number_is_a_correction_and_both_are_another_person(given: Person, meaning: Correction) -> None:
    assert rules.correction(KNOWN, given, erased=False) is meaning


def test_an_erased_customer_is_not_written_again() -> None:
    assert rules.correction(NOBODY, NOBODY, erased=True) is Correction.NOTHING
    with pytest.raises(rules.CustomerErased):
        rules.correction(NOBODY, KNOWN, erased=True)


def test_what_was_asked_again_wins_and_the_rest_stays() -> None:
    assert rules.merged_consents({"PHONE": True, "SMS": True}, {"SMS": False}) == {"PHONE": True, "SMS": False}


def test_names_are_compared_without_width_case_and_blanks() -> None:
    assert Person("ＷＡＮＧ  xiao", "1").is_same_as(Person("Wang Xiao", "1"))
    assert not Person("Wang Xiao", "1").is_same_as(Person("Wang Xiao", "2"))
