from __future__ import annotations

import pytest

from sales.customers import rules
from sales.customers.rules import Correction
from sales.customers.values import NOBODY, Buyer, Person

KNOWN = Person("Wang Xiaoming", "+8613800138000")


def buyer(person: Person, **consents: bool) -> Buyer:
    return Buyer(person, phone_verified=True, consents=consents)


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
    assert rules.correction(buyer(KNOWN), buyer(given), erased=False) is meaning


def test_consents_alone_correct_nobody() -> None:
    assert rules.correction(buyer(KNOWN), buyer(KNOWN, SMS=True), erased=False) is Correction.CONSENTS_ONLY


@pytest.mark.parametrize("known", [Person("Wang", ""), Person("", "+8613900139000")])
def test_what_a_list_did_not_know_is_found_out_and_makes_nobody_else_of_him(known: Person) -> None:
    assert rules.correction(buyer(known), buyer(KNOWN), erased=False) is Correction.SAME_PERSON


@pytest.mark.parametrize("given", [buyer(KNOWN), buyer(NOBODY, SMS=True)])
def test_an_erased_customer_is_not_written_again(given: Buyer) -> None:
    assert rules.correction(buyer(NOBODY), buyer(NOBODY), erased=True) is Correction.NOTHING
    with pytest.raises(rules.CustomerErased):
        rules.correction(buyer(NOBODY), given, erased=True)


def test_what_was_asked_again_wins_and_the_rest_stays() -> None:
    assert rules.merged_consents({"PHONE": True, "SMS": True}, {"SMS": False}) == {"PHONE": True, "SMS": False}


def test_names_are_compared_without_width_case_and_blanks() -> None:
    assert Person("ＷＡＮＧ  xiao", "1").is_same_as(Person("Wang Xiao", "1"))
    assert not Person("Wang Xiao", "1").is_same_as(Person("Wang Xiao", "2"))


def test_without_a_telephone_nobody_is_the_same_as_anybody() -> None:
    assert not Person("Wang Xiao", "").is_same_as(Person("Wang Xiao", ""))
