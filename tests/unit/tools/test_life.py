"""The invented people: the same seed does the same, whatever else happens."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dealership import vin
from dealership.phone import parse as parse_phone
from tools.life import group as groups
from tools.life.chance import Chance
from tools.life.customers import Mood, sales_of
from tools.life.days import Moment, hours
from tools.life.showroom import delivery_list
from tools.terminal import Trouble

SEEDS = st.integers(min_value=0, max_value=2**31)
DAYS = st.dates(date(2024, 1, 1), date(2030, 12, 31))
SCALE = [{"code": f"SSI.DLV.{number}", "type": "QUESTION_TYPE_SCALE_7", "factor": "SSI.DLV"} for number in range(5)] + [
    {"code": "SSI.NPS", "type": "QUESTION_TYPE_NPS", "factor": ""},
    {"code": "SSI.COMPLAIN", "type": "QUESTION_TYPE_YES_NO", "factor": ""},
    {"code": "SSI.COMMENT", "type": "QUESTION_TYPE_TEXT", "factor": ""},
]


def test_a_draw_does_not_depend_on_what_was_drawn_before() -> None:
    alone = Chance(7).about("store").happens("it rains", 0.5)

    chance = Chance(7).about("store")
    for number in range(20):
        chance.happens(f"something else {number}", 0.5)

    assert chance.happens("it rains", 0.5) == alone


@given(SEEDS, st.integers(1, groups.LARGEST))
@settings(max_examples=20)
def test_a_seed_names_one_group_with_an_account_for_everybody(seed: int, stores: int) -> None:
    group = groups.plan(seed, stores)

    assert group == groups.plan(seed, stores)
    people = [one.account for store in group.stores for one in store.everybody()] + [a.account for a in group.above()]
    assert len(people) == len(set(people))
    assert len({store.id for store in group.stores}) == stores
    assert {store.region for store in group.stores} == set(group.regions)


def test_another_seed_is_another_group() -> None:
    one, other = groups.plan(1, 2), groups.plan(2, 2)

    assert [colleague.name for colleague in one.stores[0].everybody()] != [
        colleague.name for colleague in other.stores[0].everybody()
    ]


def test_three_stores_live_in_two_time_zones() -> None:
    assert {store.zone.key for store in groups.plan(1, 3).stores} == {"Asia/Shanghai", "Asia/Urumqi"}


@given(SEEDS, DAYS)
@settings(max_examples=50)
def test_cars_are_well_formed_and_handed_over_in_opening_hours_of_their_day(seed: int, day: date) -> None:
    store = groups.plan(seed, 3).stores[2]

    sales = sales_of(store, day)

    assert sales == sales_of(store, day)
    assert all(one.handed_over <= other.handed_over for one, other in pairwise(sales))
    for sale in sales:
        assert vin.parse(sale.vin, field="vin") == (sale.vin, [])
        assert parse_phone(sale.phone, field="phone").e164 == f"+86{sale.phone}"
        assert sale.handed_over.date() == day
        assert 9 <= sale.handed_over.hour < 18
        assert sale.consultant in store.consultants


@given(SEEDS, st.text(min_size=1, max_size=17))
@settings(max_examples=100)
def test_every_answer_fits_its_question(seed: int, car: str) -> None:
    store = groups.plan(seed, 1).stores[0]
    mood = Mood(store, car, store.consultants[0].account)

    answers = mood.answers(SCALE)

    assert answers == Mood(store, car, store.consultants[0].account).answers(SCALE)
    assert all(answers[f"SSI.DLV.{number}"] in range(1, 8) for number in range(5))
    assert answers["SSI.NPS"] in range(11)
    assert answers["SSI.COMPLAIN"] == int(mood.wants_to_complain)


def test_consultants_who_satisfy_more_get_higher_marks() -> None:
    store = groups.plan(3, 1).stores[0]
    ranked = sorted(store.consultants, key=lambda one: store.satisfaction[one.account])

    def mean(account: str) -> float:
        return sum(Mood(store, f"car {number}", account).level for number in range(500)) / 500

    assert mean(ranked[0].account) < mean(ranked[-1].account)


def test_the_list_is_what_excel_writes_with_the_times_of_the_store() -> None:
    store = groups.plan(1, 3).stores[2]
    sales = [sale for number in range(9) for sale in sales_of(store, date(2026, 3, 1) + timedelta(days=number))]

    content = delivery_list(sales)

    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row["车架号"] for row in rows] == [sale.vin for sale in sales]
    assert [row["交车时间"] for row in rows] == [sale.handed_over.strftime("%Y-%m-%d %H:%M") for sale in sales]


def test_moments_of_all_time_zones_come_in_one_order_and_end_with_the_end() -> None:
    end = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)  # 14:00 in Shanghai, 12:00 in Urumqi

    found = list(hours({"Asia/Shanghai", "Asia/Urumqi"}, date(2026, 3, 1), end))

    assert all(one.at < other.at for one, other in pairwise(found))
    assert found[-1].at <= end
    shanghai = [hour.moments["Asia/Shanghai"] for hour in found if "Asia/Shanghai" in hour.moments]
    urumqi = [hour.moments["Asia/Urumqi"] for hour in found if "Asia/Urumqi" in hour.moments]
    assert shanghai == [*Moment, Moment.MORNING, Moment.NOON]
    assert urumqi == [*Moment, Moment.MORNING, Moment.NOON]


def test_names_of_the_life_need_no_number_beyond_ten_stores_of_a_city() -> None:
    assert len({store.name for store in groups.plan(1, groups.LARGEST).stores}) == groups.LARGEST


@pytest.mark.parametrize(("stores", "months"), [(0, 2), (groups.LARGEST + 1, 2), (3, 0), (3, 37)])
def test_what_cannot_be_simulated_is_refused_in_words(stores: int, months: int) -> None:
    from tools.simulation.command import Wish, script_of

    with pytest.raises(Trouble, match=r"must be from 1 to"):
        script_of(Wish(stores=stores, months=months), datetime(2026, 3, 2, tzinfo=UTC))


def test_without_an_end_the_simulation_reaches_the_present() -> None:
    from tools.simulation.command import Wish, script_of

    now = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
    script = script_of(Wish(stores=1, months=2), now)

    assert script.until_now
    assert script.end == now
    assert script.start == datetime(2025, 12, 30, 23, 0, tzinfo=UTC)  # 61 days before, at seven in Shanghai
    assert script.hours()[-1].at <= now


def test_with_an_end_it_stands_at_the_evening_of_that_day() -> None:
    from tools.simulation.command import Wish, script_of

    script = script_of(Wish(stores=1, months=1, end=date(2025, 12, 31)), datetime(2026, 3, 2, 6, 0, tzinfo=UTC))

    assert not script.until_now
    assert script.end == datetime(2025, 12, 31, 15, 0, tzinfo=UTC)
