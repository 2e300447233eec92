"""Ids sort by the time they carry."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.ids import floor_id, new_id, new_ids, time_of

NOW = datetime(2026, 3, 2, 8, 0, 0, 123000, tzinfo=UTC)


def test_an_id_is_a_uuid_of_version_7_that_carries_its_time() -> None:
    made = new_id(NOW)

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert time_of(made) == NOW


def test_ids_of_one_millisecond_grow_and_never_repeat() -> None:
    made = [new_id(NOW) for _ in range(20_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {time_of(one) for one in made} == {NOW}


def test_many_ids_at_once_are_like_as_many_one_by_one() -> None:
    before, made, after = new_id(NOW), new_ids(20_000, NOW), new_id(NOW)

    assert [before, *made, after] == sorted({before, *made, after})
    assert {time_of(one) for one in made} == {NOW}
    assert new_ids(0, NOW) == []


def test_without_a_time_the_present_is_taken() -> None:
    assert abs(time_of(new_id()) - datetime.now(UTC)) < timedelta(seconds=5)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_everything_made_before_an_instant_is_below_its_floor(instant: datetime) -> None:
    before, after = new_id(max(instant - timedelta(milliseconds=2), datetime(1970, 1, 1, tzinfo=UTC))), new_id(instant)

    assert floor_id(instant) <= after
    assert before < floor_id(instant) or instant < datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_two_ids_of_one_millisecond_are_not_neighbours() -> None:
    first, second = new_id(NOW), new_id(NOW)

    assert second.int - first.int > 1


def test_a_time_without_a_zone_and_an_id_without_a_time_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        new_id(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time"):
        time_of(uuid4())
    with pytest.raises(ValueError, match="no time"):
        time_of(UUID(int=0))
